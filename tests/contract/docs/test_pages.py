"""Pages: links lead somewhere, the front page shows the way in, calls name functions that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.closing_words import closing_words

NO_EXAMPLES = {"nobody", "hello"}
"""What the tutorial calls to show what a missing function looks like, and what the front page makes itself."""


def test_links_inside_the_repository_lead_to_a_file_and_a_heading(pages: dict[str, Any], root: Path) -> None:
    broken = []
    for name, page in pages.items():
        for link in page.links:
            if link.startswith(("http://", "https://", "mailto:")):
                continue
            path, _, anchor = link.partition("#")
            target = (page.path.parent / path).resolve() if path else page.path
            if not target.exists() or not target.is_relative_to(root):
                broken.append(f"{name}: {link}: no such file")
            elif anchor and anchor not in pages[str(target.relative_to(root))].anchors:
                broken.append(f"{name}: {link}: no such heading")
    assert broken == []


def test_every_page_of_the_documentation_is_reached_from_its_index(pages: dict[str, Any], root: Path) -> None:
    linked = {str((root / "docs" / link).resolve().relative_to(root)) for link in pages["docs/index.md"].links}
    assert {name for name in pages if name.startswith("docs/") and name != "docs/index.md"} <= linked


@pytest.mark.parametrize("command", ["python3 deploy_extended.py", "./test"])
def test_the_front_page_opens_with_the_two_commands(pages: dict[str, Any], command: str) -> None:
    assert command in pages["README.md"].text.splitlines()[:60]


def test_calls_in_code_blocks_name_functions_that_exist(pages: dict[str, Any], root: Path) -> None:
    functions = set(yaml.safe_load((root / "examples" / "stack.yml").read_text())["functions"])
    unknown = set()
    called = 0
    for page in pages.values():
        for block in page.blocks("sh"):
            for name in re.findall(r"/(?:async-)?function/([a-z][\w-]*)", block):
                called += 1
                if name not in functions | NO_EXAMPLES:
                    unknown.add(name)
    assert called > 20
    assert unknown == set()


def test_the_three_calls_are_those_that_the_command_prints(pages: dict[str, Any]) -> None:
    url = "http://127.0.0.1:8080"
    printed = closing_words(url, url, Path("credentials"), True, "python3 deploy_extended.py")
    shown = " ".join(" ".join(pages["README.md"].blocks("sh")).replace("\\\n", " ").split())
    calls = [line.strip() for line in printed.splitlines() if line.strip().startswith("curl ")]
    assert len(calls) >= 3
    for call in calls:
        assert " ".join(call.split()) in shown


def test_the_product_is_never_called_openfaas(pages: dict[str, Any]) -> None:
    for name, page in pages.items():
        assert not re.search(r"^# .*OpenFaaS", page.text, re.MULTILINE), name
    assert "OpenFaaS-compatible" in pages["README.md"].text


def test_each_test_that_the_security_page_names_is_there(root: Path) -> None:
    page = root / "docs" / "security.md"
    named = re.findall(r"\[(test_\w+)\]\(\.\./(tests/[^)]+)\)", page.read_text())
    assert len(named) > 30
    for name, file in named:
        text = (root / file).read_text()
        assert f"def {name}(" in text or Path(file).stem == name, (name, file)


def test_each_path_that_the_page_for_contributors_names_is_there(pages: dict[str, Any], root: Path) -> None:
    named = re.findall(r"`((?:[\w.]+/)+[\w.]*)`", pages["CONTRIBUTING.md"].text)
    assert len(named) > 20
    assert [path for path in named if not (root / path).exists()] == []
