"""The settings reference against the programs: every variable that is read is documented, with its true default."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fwatchdog.settings import Settings as WatchdogSettings
from gateway.settings import Settings as GatewaySettings
from swarmfn.wire import secret_files
from swarmfn.wire.environment import misspelt_settings
from swarmfn.wire.errors import SettingsError
from swarmfn.wire.functions import KNOWN_ANNOTATIONS, KNOWN_LABELS
from worker.settings import Settings as WorkerSettings

SECRETS = {"basic-auth-user": "admin", "basic-auth-password": "x", "redis-password": "y", "callback-signing-key": "z"}
COMPOSE = "docker-compose.swarm.yml"


class Recorded(dict[str, str]):
    """An environment that notes which variables were asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


Load = Callable[[Mapping[str, str]], Any]
PROGRAMS = [
    pytest.param(GatewaySettings.from_environment, "Gateway", id="gateway"),
    pytest.param(WorkerSettings.from_environment, "Worker", id="worker"),
]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("secrets")
    for name, text in SECRETS.items():
        (folder / name).write_text(text)
    return str(folder)


@pytest.mark.parametrize(("load", "section"), PROGRAMS)
def test_what_a_program_reads_is_what_its_table_lists(
    pages: dict[str, Any], secrets: str, load: Load, section: str
) -> None:
    variables = Recorded({"secret_mount_path": secrets})
    load(variables)
    assert variables.asked == set(pages["docs/reference/settings.md"].settings(section))


@pytest.mark.parametrize(("load", "section"), PROGRAMS)
def test_the_documented_defaults_are_the_programs_own(
    pages: dict[str, Any], secrets: str, load: Load, section: str
) -> None:
    documented = pages["docs/reference/settings.md"].settings(section)
    assert documented["secret_mount_path"] == "/run/secrets"
    assert load({**documented, "secret_mount_path": secrets}) == load({"secret_mount_path": secrets})


def test_the_secret_files_are_documented(pages: dict[str, Any], root: Path) -> None:
    sources = [(root / name / "settings.py").read_text() for name in ("gateway", "worker")]
    read = [name for source in sources for name in re.findall(r"env\.secret\(secrets, ([^)]+)\)", source)]
    files = {getattr(secret_files, name) for name in read}
    assert files == set(SECRETS)
    text = pages["docs/reference/settings.md"].text
    assert all(f"`{name}`" in text for name in files)


def test_what_the_compose_file_takes_from_the_environment_is_listed_with_its_default(
    pages: dict[str, Any], root: Path
) -> None:
    page = pages["docs/reference/settings.md"]
    taken = dict(re.findall(r"^(?!\s*#).*?\$\{(\w+):-([^}]*)\}", (root / COMPOSE).read_text(), re.MULTILINE))
    below = {**page.settings("Gateway"), **page.settings("Worker")}
    listed = page.settings("With deploy_extended.py")
    assert {name: below[name] if value == "as below" else value for name, value in listed.items()} == taken


def test_the_programs_accept_every_setting_that_the_compose_file_gives_them(root: Path) -> None:
    services = yaml.safe_load((root / COMPOSE).read_text())["services"]
    for name, load in (("gateway", GatewaySettings.from_environment), ("worker", WorkerSettings.from_environment)):
        variables = Recorded({})
        with contextlib.suppress(SettingsError):
            load(variables)
        assert set(services[name]["environment"]) <= variables.asked, name


def test_no_setting_is_taken_for_another_one_misspelt(pages: dict[str, Any], secrets: str) -> None:
    page = pages["docs/reference/settings.md"]
    sections = ("With deploy_extended.py", "Gateway", "Worker")
    known = {name for section in sections for name in page.settings(section)}
    known |= set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", pages["docs/reference/watchdog.md"].text))
    odd = dict.fromkeys(known, "")
    assert len(odd) > 60
    assert GatewaySettings.from_environment({**odd, "secret_mount_path": secrets}).misspelt == ()
    assert WorkerSettings.from_environment({**odd, "secret_mount_path": secrets}).misspelt == ()
    assert [line for line in WatchdogSettings.load({**odd, "fprocess": "cat"}).warnings if "meant" in line] == []
    assert misspelt_settings(known, set(page.settings(sections[0]))) == ()


def test_what_the_watchdog_reads_is_in_its_reference(pages: dict[str, Any]) -> None:
    variables = Recorded({})
    with contextlib.suppress(SettingsError):
        WatchdogSettings.load(variables)
    text = pages["docs/reference/watchdog.md"].text
    assert {name for name in variables.asked if f"`{name}`" not in text} == set()


def test_every_label_and_annotation_that_is_read_is_in_the_reference(root: Path) -> None:
    text = "\n".join(path.read_text() for path in (root / "docs" / "reference").glob("*.md"))
    assert [name for name in (*KNOWN_LABELS, *KNOWN_ANNOTATIONS) if f"`{name}" not in text] == []
