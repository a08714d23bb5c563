"""A real Chromium, one page at a time."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.requirements import missing

_QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--enable-logging=stderr",
]


@dataclass(frozen=True)
class Page:
    """What a page became after its scripts had run, and what they wrote to the console."""

    document: str
    console: list[str]

    @property
    def text(self) -> str:
        """The visible text, roughly: without scripts, styles and tags, blanks as one."""
        bare = re.sub(r"<(script|style)\b.*?</\1>", " ", self.document, flags=re.DOTALL)
        return " ".join(re.sub(r"<[^>]*>", " ", bare).split())


class Browser:
    """Chromium with its profile in `directory`. Skips the test where there is none."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if program is None:
            missing("browser", "install Chromium (apt-get install chromium).")
        self._command = [program, *_QUIET, f"--user-data-dir={directory}"]

    def open(self, url: str, budget: float = 15.0, *options: str) -> Page:
        """The page at `url` after `budget` seconds of its own time, which pass as fast as its requests allow."""
        command = [*self._command, f"--virtual-time-budget={int(budget * 1000)}", *options, "--dump-dom", url]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=120, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stderr
        return Page(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line])
