"""The virtual environment beside deploy_extended.py: made, kept current, recovered. Standard library only."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;#]+)(?: *(;))?", re.MULTILINE)
_FETCHING = re.compile(r"(?:Collecting|Processing) (?:\S*/)?([^\s;]+)")
_INCLUDE = re.compile(r"-r\s+(\S+)")


class VenvError(Exception):
    """The environment cannot be made; the message says why and what helps."""


def say(line: str) -> None:
    """One line of progress."""
    print(line, file=sys.stderr, flush=True)


def python_for(root: str) -> str:
    """The interpreter to go on with: this one when it has everything, else the one in `.venv`, which is made or
    brought up to date first. Raises VenvError."""
    requirements = Path(root, "requirements.txt")
    venv = Venv(Path(root, ".venv"), requirements)
    if not requirements.exists():
        return sys.executable  # an installed distribution: its installer took care of its dependencies
    if not venv.is_running_here() and has_pins(requirements):
        return sys.executable
    venv.ensure()
    return sys.executable if venv.is_running_here() else str(venv.python)


def has_pins(requirements: Path) -> bool:
    """Whether this interpreter has every exact version that `requirements` names.

    Those that only some interpreters need are left out: whatever needs them has brought them.
    """
    pins = _PIN.findall(requirements.read_text())
    return bool(pins) and all(is_conditional or _installed(name) == version for name, version, is_conditional in pins)


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


class Venv:
    """A virtual environment in `directory` that holds what `requirements` lists.

    Two marks in it tell its state: a stamp for each requirements file that is installed completely, and a marker that
    is there only while an installation runs, so that one that was killed is known by it.
    """

    def __init__(
        self, directory: Path, requirements: Path, progress: Callable[[str], None] = say, interpreter: str = ""
    ) -> None:
        """`interpreter` makes it; without one, that which runs this."""
        self.directory = directory
        self.python = directory / "bin" / "python"
        self._requirements = requirements
        self._say = progress
        # Not sys.executable: that may lie in an environment that is about to be cleared away.
        self._interpreter = interpreter or getattr(sys, "_base_executable", sys.executable)
        self._marker = directory / ".installing"
        self._log = directory / "install.log"

    def is_running_here(self) -> bool:
        """Whether this very interpreter is the environment's."""
        return Path(sys.prefix).resolve() == self.directory.resolve()

    def is_current(self) -> bool:
        """Whether everything is installed, for the requirements as they are now."""
        try:
            stamp = self._stamp(self._requirements).read_text()
        except OSError:
            return False
        return stamp == self._fingerprint(self._requirements) and not self._marker.exists()

    def ensure(self) -> None:
        """Makes it current. One process at a time does the work, the others wait; costs nothing when it is current."""
        if self.is_current():
            return
        with self._locked() as lock:
            if not self.is_current():
                self._install(lock)

    def _install(self, lock: int) -> None:
        try:
            self._clear_what_is_broken()
            if not self.python.exists():
                _check_venv_module()
            self.directory.mkdir(parents=True, exist_ok=True)
            self._marker.touch()
            for stamp in self.directory.glob(".installed-*"):
                stamp.unlink()
            if not self.python.exists():
                self._create(lock)
            self._run_pip(lock)
            for file in requirement_files(self._requirements):
                self._stamp(file).write_text(self._fingerprint(file))
            self._marker.unlink()
        except OSError as exc:
            raise VenvError(f"{exc}. {self.directory} must be writable.") from exc

    def _clear_what_is_broken(self) -> None:
        if not self.directory.exists() or not any(self.directory.iterdir()):
            return
        if self._marker.exists():
            self._say(f"an earlier installation into {self.directory} did not finish; starting again")
        elif not (self.directory / "pyvenv.cfg").exists():
            raise VenvError(f"{self.directory} exists and is not a virtual environment. Move it away.")
        elif self.python.exists():
            return
        else:
            self._say(f"the interpreter of {self.directory} is gone; starting again")
        shutil.rmtree(self.directory)

    def _create(self, lock: int) -> None:
        self._say(f"making a virtual environment in {self.directory}")
        self._run([self._interpreter, "-m", "venv", str(self.directory)], lock, lambda line: None)

    def _run_pip(self, lock: int) -> None:
        total = len(_PIN.findall("".join(file.read_text() for file in requirement_files(self._requirements))))
        self._say(f"installing {total} packages (once, about a minute)")

        def show(line: str) -> None:
            if match := _FETCHING.match(line):
                self._say(f"  {match.group(1)}")
            elif line.startswith("Installing collected packages"):
                self._say("  unpacking")

        pip = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        self._run([*pip, "--progress-bar", "off", "-r", str(self._requirements)], lock, show)
        self._say("the Python environment is ready")

    def _run(self, command: list[str], lock: int, show: Callable[[str], None]) -> None:
        # The child inherits the lock: should only this process be killed, nobody meddles until the child has ended.
        with (
            self._log.open("a") as log,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors="replace", pass_fds=(lock,),
            ) as process,
        ):  # fmt: skip
            assert process.stdout is not None
            lines: list[str] = []
            try:
                for line in process.stdout:
                    log.write(line)
                    lines.append(line)
                    show(line)
            except BaseException:
                process.terminate()
                raise
        if process.returncode != 0:
            said = "".join(f"  | {line}" for line in lines[-12:])
            raise VenvError(
                f"{_reason(lines)}`{' '.join(command)}` ended with {process.returncode}:\n{said}"
                "Run this again when that is fixed."
            )

    @contextmanager
    def _locked(self) -> Iterator[int]:
        lock = os.open(self._requirements, os.O_RDONLY)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._say(f"another process is preparing {self.directory}; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock
        finally:
            os.close(lock)

    def _stamp(self, requirements: Path) -> Path:
        return self.directory / f".installed-{requirements.stem}"

    def _fingerprint(self, requirements: Path) -> str:
        """Changes with the text of the requirements and with the interpreter behind the environment."""
        digest = hashlib.sha256(os.path.realpath(self.python).encode())
        for file in requirement_files(requirements):
            digest.update(file.read_bytes())
        return digest.hexdigest()


def _reason(lines: Sequence[str]) -> str:
    """What is behind pip's words, for those who did not set up this machine's network. pip ends with "No matching
    distribution" when it has reached nobody."""
    if not any("Retrying (Retry(" in line for line in lines):
        return ""
    return (
        "the Python package index cannot be reached. Behind a mirror, name it: PIP_INDEX_URL=URL python3 "
        "deploy_extended.py. Without any network, give a folder of wheels: PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER.\n"
    )


def _check_venv_module() -> None:
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        raise VenvError(
            "this Python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"
        )


def requirement_files(requirements: Path) -> list[Path]:
    """The file and those it includes with `-r`."""
    included = (requirements.parent / name for name in _INCLUDE.findall(requirements.read_text()))
    return [requirements, *(file for name in included for file in requirement_files(name))]
