"""Several compose files as one; what Docker makes of two files is in tests/contract/compose."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.compose.loading import load_compose
from stack.compose.model import ComposeFile, Logging, Port
from stack.errors import ComposeFileError


def merged(tmp_path: Path, first: str, *later: str) -> ComposeFile:
    files = [tmp_path / f"{number}.yml" for number in range(1 + len(later))]
    for file, service in zip(files, (first, *later), strict=True):
        file.write_text(f"services: {{a: {{{service}}}}}\n")
    return load_compose(files[0], {"A": "one"}, files[1:])


def test_each_file_adds_to_those_before_it(tmp_path: Path) -> None:
    texts = ("image: b, environment: {A: 1}", "environment: [B=2], ports: ['1:1']", "image: $A, ports: ['1:2', '3:3']")
    service = merged(tmp_path, *texts).services["a"]
    assert (service.image, service.environment) == ("one", {"A": "1", "B": "2"})
    assert service.ports == (Port(2, 1), Port(3, 3))


def test_a_command_and_a_test_are_replaced_and_other_lists_grow(tmp_path: Path) -> None:
    later = "command: y, healthcheck: {test: [CMD, z]}, dns: 2.2.2.2"
    service = merged(tmp_path, "image: b, command: [x], healthcheck: {test: [CMD, x]}, dns: 1.1.1.1", later).services[
        "a"
    ]
    assert (service.command, service.dns) == (("y",), ("1.1.1.1", "2.2.2.2"))
    assert service.healthcheck is not None
    assert service.healthcheck.test == ("CMD", "z")


def test_options_of_another_log_driver_are_not_mixed(tmp_path: Path) -> None:
    texts = ("image: b, logging: {driver: x, options: {a: 1}}", "logging: {driver: y, options: {b: 2}}")
    assert merged(tmp_path, *texts).services["a"].logging == Logging("y", {"b": "2"})


@pytest.mark.parametrize(
    ("first", "later", "message"),
    [
        ("image: b, init: true", "init: false", r"services\.a\.init: a later file cannot take back"),
        ("image: b, env_file: x", "env_file: y", r"services\.a\.env_file: only the first file"),
        ("image: b, labels: {c: 1}", "labels: c", r"services\.a\.labels: expected a mapping"),
        ("image: b", "image: '${}'", r"1\.yml: services\.a\.image: .* is not a reference"),
    ],
)
def test_what_cannot_be_merged_is_refused_with_the_place(tmp_path: Path, first: str, later: str, message: str) -> None:
    with pytest.raises(ComposeFileError, match=message):
        merged(tmp_path, first, later)
