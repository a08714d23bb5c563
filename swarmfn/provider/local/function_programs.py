"""What to run for a function: reads a spec and the folder it names, once, when the function is deployed."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from swarmfn.provider.local import contents, dockerfile, requirements
from swarmfn.provider.local.environment import host_path
from swarmfn.wire.errors import InvalidFunction
from swarmfn.wire.function_requests import check_command
from swarmfn.wire.functions import EXEC_TIMEOUT, FunctionSpec

logger = logging.getLogger(__name__)

FOLDER_PREFIX = "dir:"
IMPORTING_MODES = ("python", "wsgi", "asgi")
"""The watchdog's modes for code in a folder."""
FORKING_MODES = ("fork", "classic", "serializing", "streaming")
"""The watchdog's modes for a command that is started for each call."""
# Variables of an image that describe the image's own file system, not this machine's.
_IMAGE_ONLY = ("PATH", "HOME")
_IMAGE_ONLY_PREFIXES = ("PYTHON", "LD_")


@dataclass(frozen=True)
class Program:
    """How replicas of a function are started.

    folder: where it runs ("" = it has none); command: forked for each call ("" = the folder's code is called, in the
    watchdog's mode python unless the variables name another);
    image_env: the Dockerfile's ENV; venv: key of the virtual environment ("" = this machine's own Python);
    contents: fingerprint of the folder.
    """

    folder: str = ""
    command: str = ""
    image_env: Mapping[str, str] = field(default_factory=dict)
    venv: str = ""
    contents: str = ""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Program:
        return cls(**{name: document[name] for name in ("folder", "command", "image_env", "venv", "contents")})

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "image_env": dict(self.image_env)}

    def revision(self, function: FunctionSpec) -> str:
        """A short text that differs when replicas of `function` would run differently."""
        seen = [self.to_json(), dict(function.env_vars), function.labels.get(EXEC_TIMEOUT, "")]
        return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16]


def program_for(function: FunctionSpec) -> Program:
    """What to run for `function`. Raises InvalidFunction, naming the field, for what cannot run on this machine."""
    if function.secrets:
        raise InvalidFunction("secrets", "functions that run as local processes cannot have secrets yet.")
    _warn_of_what_is_not_enforced(function)
    if not function.image.startswith(FOLDER_PREFIX):
        return _command_only(function)
    folder = _folder(function.image)
    image_env = _image_environment(folder)
    variables = {**image_env, **function.env_vars}
    command = function.env_process or variables.get("function_process", "") or variables.get("fprocess", "")
    command = _checked_mode(variables.get("mode", ""), command, folder)
    venv = requirements.key_for(folder, is_isolated=not command)
    if command:
        _check_command(command, folder, has_venv=bool(venv))
    return Program(str(folder), command, image_env, venv, contents.fingerprint(folder))


def _command_only(function: FunctionSpec) -> Program:
    if not function.env_process:
        raise InvalidFunction(
            "image",
            f'"{function.image}" is an image, and an image cannot run without a Docker Engine.',
            "Give envProcess, or an image of the form dir:/absolute/path.",
        )
    command = _checked_mode(function.env_vars.get("mode", ""), function.env_process, None)
    _check_command(command, None, has_venv=False)
    return Program(command=command)


def _folder(image: str) -> Path:
    path = Path(image.removeprefix(FOLDER_PREFIX))
    if not path.is_absolute():
        raise InvalidFunction(
            "image", f'"{path}" is a relative path.', f"Write it in full: {FOLDER_PREFIX}/the/path/to/{path.name}"
        )
    if not path.is_dir():
        raise InvalidFunction("image", f'there is no folder "{path}" on the machine of the gateway.')
    return path


def _image_environment(folder: Path) -> dict[str, str]:
    try:
        text = (folder / "Dockerfile").read_text(errors="replace")
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise InvalidFunction("image", f"cannot read {folder / 'Dockerfile'}: {exc.strerror}.") from exc
    return {
        name: value
        for name, value in dockerfile.environment(text).items()
        if name not in _IMAGE_ONLY and not name.startswith(_IMAGE_ONLY_PREFIXES)
    }


def _checked_mode(mode: str, command: str, folder: Path | None) -> str:
    """The command to fork, "" for code that is imported. Raises InvalidFunction where there is nothing to run."""
    if mode not in ("", *FORKING_MODES, *IMPORTING_MODES):
        # Replicas of http mode would share the port of their server; static has no folder that both sides agree on.
        hint = "Set mode to one of " + ", ".join((*FORKING_MODES, *IMPORTING_MODES)) + "."
        raise InvalidFunction("envVars", f'mode "{mode}" does not run as a local process.', hint)
    if command and mode not in IMPORTING_MODES:
        return command
    if folder is not None and mode in IMPORTING_MODES and mode != "python":
        # The application may be in any module, and its import says best what is wrong.
        return ""
    if folder is not None and mode not in FORKING_MODES and (folder / "handler.py").is_file():
        return ""
    if mode in FORKING_MODES or folder is None:
        hint = "A mode with a process for each call needs envProcess, the others a dir:."
        raise InvalidFunction("envVars", f'mode "{mode}" has nothing to run.', hint)
    raise InvalidFunction(
        "image", f"there is no handler.py in {folder}, and no process is named.", "Add one, or give envProcess."
    )


def _check_command(command: str, folder: Path | None, has_venv: bool) -> None:
    check_command("envProcess", command)  # it may be the Dockerfile's
    program = command.split(" ")[0]
    if "/" in program:
        path = (folder or Path("/")) / program
        found = path.is_file() and shutil.which(path) is not None
    else:
        # A virtual environment brings programs of its own, and is made later.
        found = has_venv or shutil.which(program, path=host_path()) is not None
    if not found:
        in_folder = folder is not None and "/" not in program and (folder / program).is_file()
        hint = f"For the file in the folder write ./{program}" if in_folder else "Is it installed, and executable?"
        raise InvalidFunction("envProcess", f'no program "{program}" was found on this machine.', hint)


def _warn_of_what_is_not_enforced(function: FunctionSpec) -> None:
    fields = {
        "constraints": function.constraints,
        "limits": function.limits.to_json(),
        "requests": function.requests.to_json(),
        "readOnlyRootFilesystem": function.read_only_root,
        "network": function.network,
    }
    ignored = ", ".join(name for name, value in fields.items() if value)
    if ignored:
        logger.warning(
            'function "%s": %s cannot be enforced for local processes and will be ignored.',
            function.name,
            ignored,
            extra={"event": "setting_not_enforced", "function": function.name},
        )
