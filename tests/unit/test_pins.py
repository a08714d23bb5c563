"""The exact versions in requirements*.txt, as `./test --pin` writes them from setup.cfg."""

from __future__ import annotations

import json

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tests.support.pins import DEV, LOWEST, RUNTIME, SBOM, TOOLS, Pin, pins_in, project, ranges_in, sbom
from tests.support.processes import REPOSITORY

SETUP = (REPOSITORY / "setup.cfg").read_text()
WRITTEN = """\
# A heading.
-r requirements.txt
one==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via
    #   -r -
    #   two
two-parts==2.0 ; python_full_version < '3.11.3' \\
    --hash=sha256:cc
    # via one
"""


def pins_of(name: str) -> dict[str, Pin]:
    return {pin.name: pin for pin in pins_in((REPOSITORY / name).read_text())}


def test_a_pin_has_its_hashes_and_who_needs_it() -> None:
    one, two = pins_in(WRITTEN)
    assert (one.name, one.version, one.marker, one.hashes, one.needed_by) == ("one", "1.0", "", ("aa", "bb"), ("two",))
    assert (two.name, two.version, two.marker) == ("two-parts", "2.0", "python_full_version < '3.11.3'")
    assert (two.hashes, two.needed_by) == (("cc",), ("one",))


@pytest.mark.parametrize("name", [RUNTIME, DEV, LOWEST, TOOLS])
def test_every_package_is_pinned_with_hashes(name: str) -> None:
    pins = pins_of(name)
    assert pins
    assert [pin.name for pin in pins.values() if not pin.hashes] == []
    lines = [line for line in (REPOSITORY / name).read_text().splitlines() if line[:1].isalnum()]
    assert len(lines) == len(pins)


@pytest.mark.parametrize(
    ("extra", "files"), [("", [RUNTIME]), ("dev", [DEV]), ("tools", [TOOLS]), ("", [LOWEST]), ("dev", [LOWEST])]
)
def test_what_setup_cfg_asks_for_is_there_in_its_range(extra: str, files: list[str]) -> None:
    pins = {name: pin for file in files for name, pin in pins_of(file).items()}
    ranges = ranges_in(SETUP, extra)
    assert ranges.keys() <= pins.keys()
    assert [name for name, versions in ranges.items() if pins[name].version not in SpecifierSet(versions)] == []


def test_the_lowest_versions_are_the_lower_ends_of_the_ranges() -> None:
    pins = pins_of(LOWEST)
    ends = {
        name: next(one for one in SpecifierSet(versions) if one.operator == ">=")
        for name, versions in ranges_in(SETUP).items()
    }
    for name, end in ends.items():
        wanted = Version(end.version).release
        assert Version(pins[name].version).release[: len(wanted)] == wanted, name


def test_the_list_for_machines_is_that_of_the_requirements() -> None:
    there = json.loads((REPOSITORY / SBOM).read_text())
    assert there == sbom(list(pins_of(RUNTIME).values()), project(REPOSITORY), ranges_in(SETUP))
    urls = {component["purl"] for component in there["components"]}
    needs = {entry["ref"]: set(entry["dependsOn"]) for entry in there["dependencies"]}
    assert "pkg:pypi/werkzeug@" in " ".join(urls)
    assert set().union(*needs.values()) == urls
