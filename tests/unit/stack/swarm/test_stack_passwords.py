"""The swarm's secrets and the local copy of them, with a list in memory in place of the swarm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stack.compose.model import Secret
from stack.credentials import put_in_force
from stack.errors import StackError
from stack.state import StateDirectory
from stack.swarm.stack_passwords import CHECK_LABEL, OWNER_LABEL, ensure_secrets, has_secrets, remove_superseded
from swarmfn.wire.secret_files import PASSWORD, USER

NAMES = (USER, PASSWORD)
SECRETS = {name: Secret(name, f"small_{name}") for name in NAMES}


class Swarm:
    """Keeps secrets as an engine does, and does not give their values back."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self._entries: list[dict[str, Any]] = []
        self.client: Any = SimpleNamespace(api=self)

    def secrets(self) -> list[dict[str, Any]]:
        return list(self._entries)

    def create_secret(self, name: str, data: bytes, labels: Mapping[str, str]) -> dict[str, str]:
        assert name not in self.values
        self.values[name] = data.decode()
        created = {"ID": f"id-{name}"}
        self._entries.append({**created, "Spec": {"Name": name, "Labels": dict(labels)}})
        return created

    def remove_secret(self, secret_id: str) -> None:
        self._entries = [entry for entry in self._entries if entry["ID"] != secret_id]


@pytest.fixture
def swarm() -> Swarm:
    return Swarm()


def state_directory(root: Path) -> StateDirectory:
    state = StateDirectory(root)
    state.make()
    return state


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    return state_directory(tmp_path / "state")


def up(swarm: Swarm, state: StateDirectory) -> dict[str, str]:
    """What `up` does with secrets; the names on the swarm that the services are given."""
    _, references = ensure_secrets(swarm.client, "small", SECRETS, state)
    put_in_force(state, NAMES)
    return {key: reference.name for key, reference in references.items()}


def test_the_first_up_makes_each_secret_and_the_next_ones_use_it(swarm: Swarm, state: StateDirectory) -> None:
    first = up(swarm, state)
    assert first == {name: f"small_{name}" for name in NAMES}
    assert swarm.values[f"small_{PASSWORD}"] == (state.secrets / PASSWORD).read_text()
    assert up(swarm, state) == first
    assert len(swarm.values) == len(NAMES)


def test_a_password_changed_in_the_state_directory_is_another_secret(swarm: Swarm, state: StateDirectory) -> None:
    first = up(swarm, state)
    (state.secrets / PASSWORD).write_text("another one")
    second = up(swarm, state)
    assert {name for name in NAMES if first[name] != second[name]} == {PASSWORD}
    assert second[PASSWORD].startswith(f"small_{PASSWORD}.")
    assert swarm.values[second[PASSWORD]] == "another one"
    (state.secrets / PASSWORD).write_text(swarm.values[first[PASSWORD]])
    assert up(swarm, state) == first


def test_another_password_in_the_swarm_than_in_the_state_directory_is_refused(
    swarm: Swarm, state: StateDirectory, tmp_path: Path
) -> None:
    """The services would be given a password that nobody here knows, or lose the one that others use."""
    up(swarm, state)
    elsewhere = state_directory(tmp_path / "elsewhere")
    for name in NAMES:
        value = (state.secrets / name).read_text() if name != PASSWORD else "not the swarm's"
        (elsewhere.secrets / name).write_text(value)
    before = dict(swarm.values)
    with pytest.raises(StackError, match=rf"\(small_{PASSWORD}\), and \S+ has others; .* --purge --stack small"):
        up(swarm, elsewhere)
    assert swarm.values == before


def test_a_swarm_whose_passwords_the_state_directory_has_no_copy_of_is_refused(
    swarm: Swarm, state: StateDirectory, tmp_path: Path
) -> None:
    up(swarm, state)
    elsewhere = state_directory(tmp_path / "elsewhere")
    with pytest.raises(StackError, match="has no copy of them"):
        up(swarm, elsewhere)
    assert not any(elsewhere.secrets.iterdir())


def test_the_state_directory_of_other_times_is_known_by_a_value_that_the_stack_has_had(
    swarm: Swarm, state: StateDirectory
) -> None:
    """The password was changed here before a failed `up`, and again since."""
    up(swarm, state)
    for password in ("a failed one", "the one after"):
        (state.secrets / PASSWORD).write_text(password)
        _, references = ensure_secrets(swarm.client, "small", SECRETS, state)
        assert swarm.values[references[PASSWORD].name] == password


def test_a_secret_made_by_hand_is_taken_for_what_the_copy_said_at_first(swarm: Swarm, state: StateDirectory) -> None:
    swarm.create_secret(f"small_{PASSWORD}", b"by hand", {})
    (state.secrets / PASSWORD).write_text("by hand")
    assert up(swarm, state)[PASSWORD] == f"small_{PASSWORD}"
    (state.secrets / PASSWORD).write_text("another one")
    assert up(swarm, state)[PASSWORD].startswith(f"small_{PASSWORD}.")


def test_what_no_service_needs_any_more_goes_and_what_others_made_stays(swarm: Swarm, state: StateDirectory) -> None:
    swarm.create_secret(f"small_{USER}", b"admin", {})
    (state.secrets / USER).write_text("admin")
    up(swarm, state)
    (state.secrets / PASSWORD).write_text("another one")
    (state.secrets / USER).write_text("operator")
    now = up(swarm, state)
    remove_superseded(swarm.client, "small", SECRETS, keep={f"id-{name}" for name in now.values()})
    assert {entry["Spec"]["Name"] for entry in swarm.secrets()} == {*now.values(), f"small_{USER}"}


def test_secrets_are_labelled_as_the_stacks_and_do_not_show_their_value(swarm: Swarm, state: StateDirectory) -> None:
    assert not has_secrets(swarm.client, "small")
    up(swarm, state)
    assert has_secrets(swarm.client, "small")
    assert not has_secrets(swarm.client, "sma")
    for entry in swarm.secrets():
        labels = entry["Spec"]["Labels"]
        assert labels[OWNER_LABEL] == "small"
        assert swarm.values[entry["Spec"]["Name"]] not in labels[CHECK_LABEL]
