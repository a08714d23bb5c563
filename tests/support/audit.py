"""`./test --audit`: what is known against the versions that requirements.txt names, as pip-audit tells it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE = 120.0


@dataclass(frozen=True)
class Verdict:
    """found: a line for each advisory; unknown: the packages of which nothing could be learnt; audited: how many could
    be looked up."""

    found: tuple[str, ...]
    unknown: tuple[str, ...]
    audited: int

    @property
    def text(self) -> str:
        if not self.audited:
            return "no advisory database can be reached from here: nothing was audited"
        lines = [*self.found, f"{self.audited} packages audited, {len(self.found)} advisories"]
        if self.unknown:
            lines.append(f"nothing could be learnt of {', '.join(self.unknown)}")
        return "\n".join(lines)


def verdict_of(document: Mapping[str, Any]) -> Verdict:
    """From pip-audit's JSON. It counts a package that its database does not have as a success: here it is unknown."""
    packages = document.get("dependencies", [])
    looked_up = [package for package in packages if "skip_reason" not in package]
    found = tuple(
        f"{package['name']} {package['version']}: {advisory['id']}, fixed in {_versions(advisory)}"
        for package in looked_up
        for advisory in package["vulns"]
    )
    unknown = tuple(package["name"] for package in packages if "skip_reason" in package)
    return Verdict(found, unknown, len(looked_up))


def _versions(advisory: Mapping[str, Any]) -> str:
    return ", ".join(advisory["fix_versions"]) or "?"


def audit(requirements: Path) -> Verdict:
    """Runs pip-audit of this interpreter's environment; nothing audited where it cannot reach its database."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(requirements), "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        return verdict_of(json.loads(done.stdout))
    except (subprocess.TimeoutExpired, ValueError):
        return verdict_of({})


def main() -> int:
    """0: nothing is known against them; 1: something is; 3: nothing could be learnt of some or all."""
    verdict = audit(Path(sys.argv[1]))
    print(verdict.text, flush=True)
    return 1 if verdict.found else 3 if verdict.unknown or not verdict.audited else 0


if __name__ == "__main__":
    sys.exit(main())
