"""The documentation as data: pages, their links, their code blocks, their tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_ROW = re.compile(r"^\| (`[^|]+) \| ([^|]*) \|", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path
    text: str

    @property
    def prose(self) -> str:
        return _FENCE.sub("", self.text)

    @property
    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """As GitHub makes them of headings."""
        return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in self.headings}

    @property
    def headings(self) -> list[str]:
        return _HEADING.findall(self.prose)

    def blocks(self, language: str) -> list[str]:
        return [body for name, body in _FENCE.findall(self.text) if name == language]

    def section(self, heading: str) -> str:
        """The text from a heading of the second level to the next."""
        _, found, rest = self.text.partition(f"\n## {heading}\n")
        assert found, f"{self.path} has no section {heading!r}"
        return rest.split("\n## ", 1)[0]

    def settings(self, heading: str) -> dict[str, str]:
        """Name and default in the rows of a section's tables that begin with `name`; "" for a default of –."""
        rows = {}
        for names, default in _ROW.findall(self.section(heading)):
            for name in re.findall(r"`([^`]+)`", names):
                rows[name] = "" if default.strip() == "–" else default.strip().strip("`")
        return rows


def _pages() -> list[Page]:
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")]
    return [Page(path, path.read_text()) for path in sorted(files)]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def pages() -> dict[str, Page]:
    """Every page by its path in the repository."""
    return {str(page.path.relative_to(ROOT)): page for page in _pages()}
