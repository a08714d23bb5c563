"""`./test --pin`: an exact version, with its hashes, of every package that setup.cfg asks for and of what those need.

usage: ./test --pin [--upgrade]

  --upgrade    the newest versions; without it, those that still fit stay

  requirements.txt           what the platform needs: for .venv, for the image of the gateway and the worker
  requirements-dev.txt       what ./test needs on top
  requirements-lowest.txt    the lowest versions that setup.cfg allows, with what ./test needs
  requirements-tools.txt     what ./test --audit and this need
  sbom.cdx.json              a list of requirements.txt's packages for machines (CycloneDX)

The versions are for every Python that setup.cfg names. The hashes are those that the package index has for all files
of a release, for any machine, not of what this machine has on its disk: neither pip's configuration nor uv's is read.
"""

from __future__ import annotations

import argparse
import configparser
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUNTIME, DEV, LOWEST, TOOLS = (
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-lowest.txt",
    "requirements-tools.txt",
)
HEADINGS = {
    RUNTIME: "Exact versions that this release was tested with; deploy_extended.py installs these into .venv.",
    DEV: f"What ./test needs on top of {RUNTIME}.",
    LOWEST: "The lowest versions that setup.cfg allows, and what tests need: ./test --lowest.",
    TOOLS: "What ./test --audit and ./test --pin need, in an environment of their own (.venv-tools).",
}
ORIGIN = "# Made by ./test --pin from setup.cfg: change that. The hashes are those of all files of a release.\n"
LOWEST_PYTHON = "3.11"
SBOM = "sbom.cdx.json"

_ROOT = Path(__file__).resolve().parents[2]
# Neither runs on Windows, which the platform does not.
_NOT_HERE = ("pywin32", "colorama")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)(?: ; (.*?))?(?: \\)?$")
_HASH = re.compile(r"--hash=(\w+):(\w+)")


@dataclass(frozen=True)
class Pin:
    """One package: `needed_by` are the packages that ask for it, `block` its lines in the file."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    needed_by: tuple[str, ...]
    block: str


def pins_in(text: str) -> list[Pin]:
    """Those of a file that uv wrote."""
    pins = []
    for block in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE):
        if match := _PIN.match(block.partition("\n")[0]):
            name, version, marker = match.groups(default="")
            comments = [line.strip(" #") for line in block.splitlines() if line.lstrip().startswith("#")]
            asking = [re.sub(r"^via\s*", "", comment) for comment in comments]
            needed_by = tuple(word for word in asking if _NAME.fullmatch(word) and word != "-")
            hashes = tuple(value for _, value in _HASH.findall(block))
            pins.append(Pin(canonical(name), version, marker, hashes, needed_by, block))
    return pins


def canonical(name: str) -> str:
    """A package's name as the index has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def ranges_in(setup: str, extra: str = "") -> dict[str, str]:
    """What setup.cfg asks for: the range of each package, by name."""
    config = configparser.ConfigParser()
    config.read_string(setup)
    text = config["options.extras_require"][extra] if extra else config["options"]["install_requires"]
    lines = (line.strip() for line in text.splitlines())
    found = {}
    for line in lines:
        if line and not line.startswith("#"):
            match = _NAME.match(line)
            assert match is not None, line
            found[canonical(match.group())] = line[match.end() :]
    return found


def project(root: Path) -> tuple[str, str]:
    """Our own name and version."""
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg")
    match = re.search(r'^__version__ = "(.+)"', (root / "swarmfn/__init__.py").read_text(), flags=re.MULTILINE)
    assert match is not None
    return config["metadata"]["name"], match.group(1)


def sbom(pins: Sequence[Pin], of: tuple[str, str], direct: Iterable[str]) -> dict[str, Any]:
    """What is installed with our release `of`, as CycloneDX has it. The same for equal pins: it names no time."""
    known = {pin.name: _url(pin.name, pin.version) for pin in pins}
    own = _url(*of)
    needs = {own: sorted(known[name] for name in direct)}
    needs |= {known[pin.name]: sorted(known[one.name] for one in pins if pin.name in one.needed_by) for pin in pins}
    component = {"type": "application", "bom-ref": own, "name": of[0], "version": of[1], "purl": own}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**component, "licenses": [{"license": {"id": "MIT"}}]}},
        "components": [_component(pin) for pin in pins],
        "dependencies": [{"ref": ref, "dependsOn": others} for ref, others in needs.items()],
    }


def _component(pin: Pin) -> dict[str, Any]:
    """One package. Its files' hashes are in the requirements: which of them is installed depends on the machine."""
    url = _url(pin.name, pin.version)
    condition = [{"name": "swarmfn:installed-where", "value": pin.marker}] if pin.marker else []
    component = {"type": "library", "bom-ref": url, "name": pin.name, "version": pin.version, "purl": url}
    return {**component, **({"properties": condition} if condition else {})}


def _url(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"


class Pinning:
    """Writes the files in `root` with `uv`."""

    def __init__(self, root: Path, uv: Path, is_upgrade: bool) -> None:
        self._root = root
        self._uv = uv
        self._is_upgrade = is_upgrade

    def all(self) -> None:
        setup = (self._root / "setup.cfg").read_text()
        runtime, dev = ranges_in(setup), ranges_in(setup, "dev")
        self._compile(RUNTIME, _lines(runtime))
        self._compile(DEV, _lines({**runtime, **dev}), "--constraints", RUNTIME)
        self._leave_out(DEV, RUNTIME)
        exact = [f"{pin.name}=={pin.version}" for pin in self._pins(DEV) if pin.name in dev]
        self._compile(LOWEST, [*_lines(runtime), *exact], "--resolution", "lowest-direct")
        self._compile(TOOLS, _lines(ranges_in(setup, "tools")))
        document = sbom(self._pins(RUNTIME), project(self._root), ranges_in(setup))
        (self._root / SBOM).write_text(json.dumps(document, indent=2) + "\n")

    def _compile(self, name: str, wanted: Iterable[str], *options: str) -> None:
        command = [str(self._uv), "pip", "compile", "-", "--output-file", name, "--quiet", "--no-config"]
        command += ["--universal", "--python-version", LOWEST_PYTHON, "--generate-hashes", "--system-certs"]
        command += ["--no-header", *options]
        command += [word for package in _NOT_HERE for word in ("--no-emit-package", package)]
        command += ["--upgrade"] if self._is_upgrade else []
        subprocess.run(command, cwd=self._root, input="\n".join(wanted), text=True, check=True)
        file = self._root / name
        file.write_text(f"# {HEADINGS[name]}\n{ORIGIN}{file.read_text()}")
        print(f"{name}: {len(self._pins(name))} packages", flush=True)

    def _leave_out(self, name: str, other: str) -> None:
        """Lets `name` include `other` instead of repeating it."""
        file = self._root / name
        there = {pin.name for pin in self._pins(other)}
        blocks = [pin.block for pin in self._pins(name) if pin.name not in there]
        file.write_text(f"# {HEADINGS[name]}\n{ORIGIN}-r {other}\n{''.join(blocks)}")

    def _pins(self, name: str) -> list[Pin]:
        return pins_in((self._root / name).read_text())


def _lines(ranges: Mapping[str, str]) -> list[str]:
    return [f"{name}{versions}" for name, versions in ranges.items()]


def main(arguments: Sequence[str]) -> int:
    """uv's exit code where it fails."""
    parser = argparse.ArgumentParser(prog="./test --pin")
    parser.add_argument("--upgrade", action="store_true")
    options = parser.parse_args(arguments)
    try:
        Pinning(_ROOT, Path(sys.executable).with_name("uv"), options.upgrade).all()
    except subprocess.CalledProcessError as exc:
        return exc.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
