"""The embedded engine as the command uses it: up and down."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import redis

from stack.chosen_files import choose_files, files_of
from stack.compose.loading import load_compose
from stack.compose.model import Service
from stack.credentials import Credentials, make_credentials
from stack.draining import with_room_to_drain
from stack.embedded.client import SupervisorClient
from stack.embedded.converge import DesiredService, converge
from stack.embedded.memory import AUTO, default_maxmemory
from stack.embedded.passwords import Renewal
from stack.embedded.ports import free_port, holder_of, is_free
from stack.embedded.readiness import ReadinessChecks
from stack.embedded.records import Records
from stack.embedded.redis_binary import program_for
from stack.embedded.redis_config import redis_config, with_password
from stack.embedded.redis_data import note_writer
from stack.embedded.services import EmbeddedServices, reachable
from stack.errors import StackError
from stack.options import UpOptions
from stack.settings_check import check_settings
from stack.state import Settings, StateDirectory, refuse_one_port
from swarmfn.private_files import write_private
from swarmfn.provider.local import stop_all

FUNCTION_STOP_TIMEOUT = 30.0
Say = Callable[[str], None]


class EmbeddedEngine:
    """The stack of one state directory. `root` is where the compose file and the packages lie."""

    def __init__(self, state: StateDirectory, root: Path, say: Say) -> None:
        self.state = state
        self._root = root
        self._say = say
        self.supervisor = SupervisorClient(state, root)

    def up(self, options: UpOptions) -> bool:
        """Brings the services to what the compose file and `options` say; whether that changed anything.

        Raises StackError. What a first start began is stopped again when it fails.
        """
        is_first_start = self.supervisor.pid() is None and not Records(self.state.run / "services").running()
        files = choose_files(options.deploy.files, self.state.settings().compose_files, self._root, self._say)
        compose = self._compose(files_of(files, self._root))
        program = program_for(self.state.redis)
        settings = self._settle(options, files)
        credentials = make_credentials(self.state)
        config, desired = self._desired(settings, credentials, program.path, compose)
        renewal = self._renewal(settings, credentials)
        renewed = renewal.begin()
        write_private(self.state.redis / "redis.conf", with_password(config, credentials.redis_password))
        renewal.finish()
        for name in renewed:
            self._say(f"{name}: the new one is in force")
        try:
            self.supervisor.ensure()
            note_writer(self.state.redis, program.server)
            plan = converge(self.supervisor, desired, self._say)
        except StackError:
            if is_first_start:
                self._say("stopping what was started")
                self.stop()
            raise
        return bool(renewed) or not plan.is_empty

    def stop(self) -> None:
        """Stops everything: workers first, so that they can finish, then the gateway, the functions and Redis.

        Definitions and data stay. Works as well when the supervisor is gone; nothing happens when nothing runs.
        """
        if self.supervisor.pid() is None and not Records(self.state.run / "services").running():
            self._stop_functions()
            return
        self.supervisor.ensure()
        names = reversed(list(self.supervisor.services()))
        order = sorted(names, key=_stop_rank)
        for name in [name for name in order if name != "redis"]:
            self._stop_service(name)
        self._stop_functions()
        if "redis" in order:
            self._stop_service("redis")
        self.supervisor.shutdown(timeout=10)

    def _stop_service(self, name: str) -> None:
        self._say(f"{name}: stopping")
        self.supervisor.stop(name, timeout=120)

    def _stop_functions(self) -> None:
        if (self.state.root / "functions").is_dir():
            self._say("functions: stopping")
            stop_all(self.state.root, FUNCTION_STOP_TIMEOUT)

    def _settle(self, options: UpOptions, files: tuple[str, ...]) -> Settings:
        """The settings of this run, remembered for the next: every port in them is ours or free."""
        before = self.state.settings()
        settings = replace(
            before,
            port=options.port or before.port,
            management_port=before.management_port if options.management_port is None else options.management_port,
            listen_address=options.listen_address or before.listen_address,
            compose_files=files,
        )
        refuse_one_port(settings)
        running = {spec.name: spec.environment for spec, _ in Records(self.state.run / "services").running()}
        ours = running.get("gateway", {})
        held = {ours.get("port"), ours.get("management_port")}
        for port in filter(None, (settings.port, settings.management_port)):
            if settings.listen_address != ours.get("listen_address") or str(port) not in held:
                self._refuse_taken_port(settings.listen_address, port, is_ours=str(port) in held)
        if "redis" not in running and not (settings.redis_port and is_free("127.0.0.1", settings.redis_port)):
            settings = replace(settings, redis_port=free_port())
        if settings != before:
            self.state.remember(settings)
        return settings

    def _refuse_taken_port(self, address: str, port: int, is_ours: bool) -> None:
        if not is_ours and not is_free(address, port):
            raise StackError(f"port {port} is in use{holder_of(port)}. Choose another, such as --port {port + 1}.")

    def _compose(self, files: Sequence[Path]) -> Mapping[str, Service]:
        """The services. Settings that their programs cannot use are refused here, before anything is changed."""
        first, *later = files
        compose = with_room_to_drain(load_compose(first, os.environ, later).services)
        check_settings(compose, (first, *later), self._root, self._say)
        return compose

    def _desired(
        self, settings: Settings, credentials: Credentials, redis_server: Path, compose: Mapping[str, Service]
    ) -> tuple[str, Sequence[Sequence[DesiredService]]]:
        """Redis's configuration without the password, and the services in stages."""
        services = EmbeddedServices(compose, self._root, self.state, settings)
        shared = (self._root / "stack" / "redis.conf").read_text()
        chosen = dict(compose["redis"].environment)
        if chosen.get("maxmemory", AUTO) == AUTO:
            chosen["maxmemory"] = str(default_maxmemory())
        config = redis_config(shared, chosen, self.state.redis, settings.redis_port)
        checks = checks_of(settings, credentials)
        return config, [
            [DesiredService(services.redis(redis_server, config), checks.redis_server)],
            [
                DesiredService(services.gateway(), checks.gateway),
                *(DesiredService(spec, checks.worker) for spec in services.workers()),
            ],
        ]

    def _renewal(self, settings: Settings, credentials: Credentials) -> Renewal:
        def connect(password: str) -> redis.Redis:
            return checks_of(settings, replace(credentials, redis_password=password)).redis_client()

        running = {spec.name for spec, _ in Records(self.state.run / "services").running()}
        return Renewal(self.state, connect if "redis" in running else None)


def checks_of(settings: Settings, credentials: Credentials) -> ReadinessChecks:
    """The readiness checks of the stack with these settings."""
    return ReadinessChecks(reachable(settings, settings.managing_port), f"127.0.0.1:{settings.redis_port}", credentials)


def _stop_rank(name: str) -> int:
    """Workers, then the gateway, then the rest."""
    return 0 if name.startswith("worker") else 1 if name == "gateway" else 2
