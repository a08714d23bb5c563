"""The local provider, with functions made of small scripts."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from swarmfn.provider.local import LocalProvider, ResourceLimits, stop_all
from swarmfn.provider.local.decisions import Timing
from swarmfn.wire.functions import FunctionSpec
from tests.contract.provider.calls import call_function
from tests.contract.provider.engines import SHOW_VARIABLES

TIMING = Timing(health_interval=0.2, min_backoff=0.05, max_backoff=0.4, retire_pause=0.1)


class LocalEngine:
    """Keeps its state and the functions' folders under `root`."""

    def __init__(self, root: Path, timing: Timing = TIMING) -> None:
        self.state_dir = root / "state"
        self._folders = root / "folders"
        self._timing = timing
        self.provider = self.open()

    def open(self, limits: ResourceLimits | None = None) -> LocalProvider:
        return LocalProvider(self.state_dir, 60.0, "127.0.0.1:8080", self._timing, limits or ResourceLimits())

    def reopen(self, limits: ResourceLimits | None = None) -> LocalProvider:
        self.provider.close()
        self.provider = self.open(limits)
        return self.provider

    def destroy(self) -> None:
        self.provider.close()
        stop_all(self.state_dir, timeout=0)

    def connect(self, address: str, timeout: float) -> socket.socket:
        host, _, port = address.rpartition(":")
        return socket.create_connection((host, int(port)), timeout)

    def echo(self, name: str) -> FunctionSpec:
        return FunctionSpec(name, "any/image:1", env_process="cat")

    def answering(self, name: str, text: str) -> FunctionSpec:
        return self.script(name, f"echo '{text}'")

    def sleeping(self, name: str) -> FunctionSpec:
        return self.script(name, "sleep $(cat); echo awake")

    def identifying(self, name: str) -> FunctionSpec:
        # The parent of the script is the watchdog.
        return self.script(name, "echo $PPID")

    def showing_variables(self, name: str) -> FunctionSpec:
        return FunctionSpec(name, "any/image:1", env_process=SHOW_VARIABLES)

    def crashing(self, name: str) -> FunctionSpec:
        return self.handler(name, "raise RuntimeError('crashed on purpose')")

    def kill_replica(self, name: str) -> None:
        os.kill(self.replica_pid(name), signal.SIGKILL)

    def replica_pid(self, name: str) -> int:
        """Of one replica of an `identifying` function."""
        return int(call_function(self, name).body)

    def script(self, name: str, script: str) -> FunctionSpec:
        """A function that runs a shell script for every call."""
        folder = self.folder(name, {"run.sh": f"#!/bin/sh\n{script}\n"})
        return FunctionSpec(name, f"dir:{folder}", env_process="./run.sh")

    def handler(self, name: str, source: str, **files: str) -> FunctionSpec:
        """A function that is a Python handler, with more files if wanted."""
        return FunctionSpec(name, f"dir:{self.folder(name, {'handler.py': source, **files})}")

    def folder(self, name: str, files: Mapping[str, str]) -> Path:
        """A folder that holds exactly `files`, made once, as the layers of an image are."""
        digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:8]
        folder = self._folders / f"{name}-{digest}"
        if not folder.exists():
            folder.mkdir(parents=True)
            for file, content in files.items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_text(content)
                (folder / file).chmod(0o755)
        return folder
