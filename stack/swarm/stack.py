"""The commands on a Docker Swarm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import docker

from stack.chosen_files import choose_files, files_of
from stack.credentials import NAMES, Credentials, put_in_force, read_credentials
from stack.engine import Outcome
from stack.errors import StackError
from stack.lock import exclusive
from stack.options import LogsOptions, PrepareOptions, UpOptions
from stack.posture import NOTHING_KNOWN, read_posture
from stack.state import Settings, StateDirectory, refuse_one_port
from stack.status import Status
from stack.swarm import passwords
from stack.swarm.addresses import candidates, likely_address, reach_gateway
from stack.swarm.data_server import require_reader
from stack.swarm.docker_command import how_to_deploy
from stack.swarm.engine_api import api_of
from stack.swarm.engine_client import SwarmState, engine_errors
from stack.swarm.function_examples import deploy_swarm_examples
from stack.swarm.images import images_of, remove_superseded
from stack.swarm.log_view import logs as show_logs
from stack.swarm.objects import StackObjects
from stack.swarm.observe import observe
from stack.swarm.placement import Placement
from stack.swarm.preparation import REDIS, REQUIRED, Preparation, Prepared, data_node
from stack.swarm.references import is_local_only
from stack.swarm.registry_logins import has_login, renew_logins
from stack.swarm.rollout import ServiceRollout
from stack.swarm.services import StackServices
from stack.swarm.stack_passwords import has_secrets
from stack.swarm.stored_functions import restore, stored_configs, stored_images
from stack.swarm.taking_down import TakingDown
from swarmfn.wire.secret_files import REGISTRY_LOGINS

Say = Callable[[str], None]

_PORT_INSIDE = 8080
"""Where the gateway listens in its container, whatever its node publishes."""


class SwarmStack:
    """A `stack.engine.Stack` of Swarm services. It closes the client."""

    def __init__(
        self,
        client: docker.DockerClient,
        swarm: SwarmState,
        state: StateDirectory,
        root: Path,
        environ: Mapping[str, str],
        stack: str | None,
        say: Say,
    ) -> None:
        self._client = client
        self._swarm = swarm
        self._state = state
        self._root = root
        self._environ = environ
        self._say = say
        self._name = stack or state.settings().stack
        self._services = StackServices(client, self._name)

    def up(self, options: UpOptions) -> Outcome:
        self._state.make()
        with exclusive(self._state.run / "command.lock", "up", self._say):
            with self._undone_at_first():
                settings, prepared = self._prepare(options)
                self._renew_logins(prepared, settings)
                rollout = ServiceRollout(self._client, self._name, self._services, self._say)
                has_changed = rollout.run(prepared, settings, self._placement(settings))
                put_in_force(self._state, self._names_of(prepared))
            self._state.remember(replace(settings, redis_image=prepared.redis_image))
            restored = restore(self._client, self._name, self._say)
            has_changed = has_changed or bool(restored.names)
            address = reach_gateway(lambda: self._addresses(settings.managing_port), prepared.credentials)
            deployed, problems = (
                self._deploy_examples(address, prepared.credentials, settings) if options.has_examples else (False, {})
            )
            self._remove_old_images()
        warnings = read_posture(address, prepared.credentials).warnings
        urls = (f"http://{_at(address, settings.port)}", f"http://{address}")
        return Outcome(has_changed or deployed, *urls, warnings, problems)

    def prepare(self, options: PrepareOptions) -> str:
        self._state.make()
        with exclusive(self._state.run / "command.lock", "prepare", self._say):
            with self._undone_at_first():
                settings, prepared = self._prepare(UpOptions(options.deploy))
            self._state.remember(settings)
            # Who runs Docker's own command next, and whether it succeeds, nobody tells us.
            put_in_force(self._state, self._names_of(prepared))
            pulled = [image for image in prepared.images.values() if not is_local_only(image)]
            gives_logins = options.gives_logins or has_login(self._client, pulled)
        return how_to_deploy(settings, prepared, self._environ, self._root, gives_logins)

    def down(self, purge: bool) -> str:
        is_unused = self._state.is_unused()
        self._state.make()
        with exclusive(self._state.run / "command.lock", "down", self._say):
            taking_down = TakingDown(self._client, self._name, self._services, self._say)
            was_there = taking_down.stop()
            if purge:
                taking_down.purge()
            if purge or (is_unused and not was_there):
                self._state.purge()
        if purge:
            return "stopped; everything of the stack is removed from the swarm, and the state directory"
        if not was_there:
            return f'nothing to do: there is no stack "{self._name}" on this swarm'
        return f"stopped; functions, passwords and queued calls are kept for the next up (stack {self._name})"

    def status(self) -> Status:
        settings = self._state.settings()
        addresses = self._addresses(settings.managing_port)
        credentials = read_credentials(self._state)
        known = likely_address(addresses, credentials)
        address = known or f"127.0.0.1:{settings.managing_port}"
        urls = (f"http://{_at(address, settings.port)}", f"http://{address}")
        posture = read_posture(known, credentials) if known else NOTHING_KNOWN
        files = [] if self._state.is_unused() else [str(file) for file in files_of(settings.compose_files, self._root)]
        return observe(self._client, self._name, *urls, REQUIRED, posture, files)

    def logs(self, options: LogsOptions, write: Callable[[str], None]) -> None:
        show_logs(self._client, self._name, options.name, options.lines, options.is_following, write)

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _undone_at_first(self) -> Iterator[None]:
        """A first start that fails in the body leaves nothing but the images that it built."""
        is_unused = self._state.is_unused()
        is_new = is_unused and not self._is_known()
        try:
            yield
        except StackError:
            if is_new:
                taking_down = TakingDown(self._client, self._name, self._services, self._say)
                taking_down.stop()
                taking_down.remove_data()
            if is_new or (is_unused and not any(self._state.secrets.glob("*"))):
                self._state.purge()
            raise

    def _is_known(self) -> bool:
        """Whether the swarm has anything of this stack."""
        return bool(
            self._services.present()
            or stored_configs(self._client, self._name)
            or StackObjects(self._client, self._name).has_networks()
            or has_secrets(self._client, self._name)
            or TakingDown(self._client, self._name, self._services, self._say).volumes()
        )

    def _prepare(self, options: UpOptions) -> tuple[Settings, Prepared]:
        settings = self._settle(options)
        present = self._present_redis(settings)
        prepared = self._preparation(options.deploy.image, settings).prepare(settings, present)
        return self._with_data_server(settings, present, prepared), prepared

    def _settle(self, options: UpOptions) -> Settings:
        """The settings of this run. Once it has succeeded they are remembered for the next; only the stack's name is at
        once, for the `down` after an interruption."""
        if options.listen_address:
            raise StackError(
                "--listen is for local processes: on a Swarm a port is published on every address of a node."
            )
        before, deploy = self._state.settings(), options.deploy
        settings = replace(
            before,
            stack=self._name,
            port=options.port or before.port,
            management_port=before.management_port if options.management_port is None else options.management_port,
            data_node=data_node(self._client, before.data_node, self._swarm.node_id),
            registry=before.registry if deploy.registry is None else deploy.registry,
            is_pinned=before.is_pinned if deploy.is_pinned is None else deploy.is_pinned,
            base_image=self._environ.get("SWARMFN_BASE_IMAGE", before.base_image),
            compose_files=choose_files(deploy.files, before.compose_files, self._root, self._say),
        )
        refuse_one_port(settings)
        if settings.management_port == _PORT_INSIDE:
            raise StackError(
                f"--management-port {_PORT_INSIDE} is taken inside the gateway's container. Choose another."
            )
        if before.stack != self._name:
            self._state.remember(replace(before, stack=self._name))
        self._placement(settings).check_data(self._client, settings.data_node)
        return settings

    def _placement(self, settings: Settings) -> Placement:
        return Placement(self._swarm.node_id, settings.registry, settings.is_pinned)

    def _preparation(self, image: str | None, settings: Settings) -> Preparation:
        environ = {**self._environ, **({"SWARMFN_IMAGE": image} if image else {})}
        return Preparation(self._client, self._root, self._state, environ, self._placement(settings), self._say)

    def _present_redis(self, settings: Settings) -> str:
        """Another program might not read the data that this one wrote; a volume outlives its service."""
        found = self._services.find(f"{self._name}_redis")
        return str(found.spec["TaskTemplate"]["ContainerSpec"]["Image"]) if found else settings.redis_image

    def _with_data_server(self, settings: Settings, present: str, prepared: Prepared) -> Settings:
        return require_reader(self._client, settings, present, prepared.images[REDIS], prepared.redis_image, self._say)

    def _renew_logins(self, prepared: Prepared, settings: Settings) -> None:
        """Where the gateway is about to get another login: an `up` that is interrupted in between begins here again."""
        gateway, wanted = self._services.find(f"{self._name}_gateway"), prepared.secrets.get(REGISTRY_LOGINS)
        if settings.registry and gateway and wanted and passwords.granted(gateway, REGISTRY_LOGINS) != wanted:
            renew_logins(self._client, self._name, self._services, settings.registry)

    def _names_of(self, prepared: Prepared) -> list[str]:
        kept = [name for name in prepared.secrets if name != REGISTRY_LOGINS]
        return list(dict.fromkeys([*NAMES, *kept]))

    def _deploy_examples(
        self, address: str, credentials: Credentials, settings: Settings
    ) -> tuple[bool, dict[str, str]]:
        return deploy_swarm_examples(
            self._client, self._root, settings.base_image, address, credentials, self._placement(settings), self._say
        )

    def _remove_old_images(self) -> None:
        """What no service may return to; the disk would fill with every change of the code."""
        services = api_of(self._client)
        with engine_errors("list the services"):
            keep = images_of(services.services())
        remove_superseded(self._client, keep | stored_images(self._client))

    def _addresses(self, port: int) -> list[str]:
        """Where the gateway may be reached from here."""
        gateway = self._services.find(f"{self._name}_gateway")
        tasks = self._services.tasks(gateway.id) if gateway else []
        nodes = {task.node for task in tasks if task.is_running}
        api = api_of(self._client)
        with engine_errors("list the nodes"):
            entries = [node for node in api.nodes() if node["ID"] in nodes]
        return [host for node in entries for host in candidates(self._environ, self._swarm.node_id, node, port)]


def _at(address: str, port: int) -> str:
    """The same host at another port."""
    return f"{address.rpartition(':')[0]}:{port}"
