"""Starting one replica: its socket, its environment, its process."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from swarmfn.provider.local import processes
from swarmfn.provider.local.decisions import Phase
from swarmfn.provider.local.definitions import Definition
from swarmfn.provider.local.environment import replica_environment
from swarmfn.provider.local.function_programs import FORKING_MODES, IMPORTING_MODES
from swarmfn.provider.local.output import Output
from swarmfn.provider.local.records import Record
from swarmfn.provider.local.resource_limits import DEFAULTS, ResourceLimits
from swarmfn.provider.local.state_dir import StateDir
from swarmfn.provider.local.venvs import Venvs
from swarmfn.provider.local.watchdog import MODULE, link_packages
from swarmfn.provider.timeouts import drain_time

_BACKLOG = 1024


@dataclass(frozen=True)
class Launched:
    """A replica that was just started, its pidfd, and where in its log its own output begins."""

    record: Record
    pidfd: int
    log_offset: int


class Launcher:
    """Starts replicas of whatever definition it is given, once its environment is ready."""

    def __init__(
        self,
        state: StateDir,
        output: Output,
        venvs: Venvs,
        *,
        default_exec_timeout: float,
        gateway_url: str,
        limits: ResourceLimits = DEFAULTS,
    ) -> None:
        link_packages(state.watchdog)
        self._state = state
        self._output = output
        self._venvs = venvs
        self._default_exec_timeout = default_exec_timeout
        self._gateway_url = gateway_url
        self._limits = limits

    def launch(self, definition: Definition, number: int) -> Launched:
        """Raises OSError."""
        name = definition.function.name
        mark = processes.Mark(self._state.owner, name, secrets.token_hex(8))
        environment = self._environment(definition, mark)
        log = self._output.of_replica(name, number)
        offset = log.stat().st_size if log.exists() else 0
        # The socket is made here and handed over: no other process can take the port in between, and a health check
        # sent early waits in the backlog instead of being refused.
        with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listener:
            environment["listen_fd"] = str(listener.fileno())
            # -P keeps the function's own modules (a queue.py, say) from taking the place of the watchdog's.
            argv = [self._venvs.python(definition.program.venv), "-P", "-s", "-m", MODULE]
            folder = self._folder(definition)
            process, pidfd = processes.start(argv, environment, folder, log, listener.fileno(), self._limits)
            port = listener.getsockname()[1]
        record = Record(
            id=mark.id,
            name=name,
            number=number,
            process=process,
            port=port,
            revision=definition.revision,
            venv=definition.program.venv,
            drain=drain_time(environment),
            phase=Phase.STARTING,
        )
        return Launched(record, pidfd, offset)

    def _environment(self, definition: Definition, mark: processes.Mark) -> dict[str, str]:
        program = definition.program
        environment = replica_environment(
            definition.function,
            program.image_env,
            default_exec_timeout=self._default_exec_timeout,
            gateway_url=self._gateway_url,
        )
        if "TMPDIR" not in {**program.image_env, **definition.function.env_vars}:
            temporary = self._state.temporary_folder(definition.function.name)
            temporary.mkdir(mode=0o700, exist_ok=True)
            environment["TMPDIR"] = str(temporary)
        modes = FORKING_MODES if program.command else IMPORTING_MODES
        mode = environment.get("mode", "")
        environment["mode"] = mode if mode in modes else modes[0]
        if program.command:
            environment |= {"fprocess": program.command, "function_process": program.command}
        else:
            environment["handler_path"] = program.folder
        if program.venv:
            environment["PATH"] = f"{self._venvs.folder(program.venv) / 'bin'}{os.pathsep}{environment['PATH']}"
        own = environment.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(self._state.watchdog), own)))
        environment[processes.MARKER] = str(mark)
        return environment

    def _folder(self, definition: Definition) -> Path:
        if definition.program.folder:
            return Path(definition.program.folder)
        folder = self._state.work_folder(definition.function.name)
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder
