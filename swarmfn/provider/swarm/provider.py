"""The Swarm provider as the gateway sees it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

from swarmfn.provider.notifications import Notifier
from swarmfn.provider.starting import START_TIMEOUT
from swarmfn.provider.swarm.admission import Admission, Connect, connect_directly
from swarmfn.provider.swarm.deployed import Deployed, deployed_functions
from swarmfn.provider.swarm.documents import ServiceDocument, ServiceSpec
from swarmfn.provider.swarm.engine_api import EngineApi, EngineRefused
from swarmfn.provider.swarm.events import Events
from swarmfn.provider.swarm.hardening import DEFAULTS, Hardening, check_drop, offers_no_new_privileges
from swarmfn.provider.swarm.image_identity import identity_of
from swarmfn.provider.swarm.investigator import Investigator
from swarmfn.provider.swarm.log_frames import in_order, last_bytes, unframed
from swarmfn.provider.swarm.observer import Observer
from swarmfn.provider.swarm.references import check_image
from swarmfn.provider.swarm.registry_logins import RegistryLogins, own_login
from swarmfn.provider.swarm.replica_rows import status
from swarmfn.provider.swarm.service_context import ContextFinder
from swarmfn.provider.swarm.service_spec import check_constraints, marked, service_spec, warnings, with_login_noted
from swarmfn.provider.swarm.timing import Timing
from swarmfn.wire.addresses import as_url
from swarmfn.wire.errors import EngineUnavailable, FunctionExists, FunctionNotFound, InvalidFunction, InvalidRequest
from swarmfn.wire.functions import SCALE_MIN_LABEL, FunctionSpec, FunctionStatus
from swarmfn.wire.names import check_new_name
from swarmfn.wire.replicas import ReplicaTable

logger = logging.getLogger(__name__)

MAX_REPLICAS = 1000
"""Of one function."""

_MAX_LOG = 64 * 1024
_LOG_LINES = 500
_ATTEMPTS = 10


class SwarmProvider:
    """Functions as services of the swarm that the engine at `docker_host` manages; see `swarmfn.provider.Provider`.

    The functions that are there are in the table once this object exists. Raises EngineUnavailable if the engine does
    not answer or manages no swarm. `gateway_address` is where functions reach the gateway, `host:port` or a URL;
    `network` the name of their network, "" for the one labelled so; `connect` how a replica is reached; `hardening`
    what functions may not do; `start_timeout` how long a replica may take to get ready, unless it says more itself;
    `logins` what nodes log in with at registries, for functions that bring no login of their own.
    """

    kind = "swarm"

    def __init__(
        self,
        docker_host: str | None,
        default_exec_timeout: float,
        gateway_address: str,
        timing: Timing | None = None,
        network: str = "",
        connect: Connect = connect_directly,
        hardening: Hardening = DEFAULTS,
        start_timeout: float = START_TIMEOUT,
        logins: RegistryLogins | None = None,
    ) -> None:
        timing = timing or Timing()
        self._logins = logins or RegistryLogins()
        self._timing = timing
        self._start_timeout = start_timeout
        self._default_exec_timeout = default_exec_timeout
        gateway_url = as_url(gateway_address)
        with ExitStack() as undo:
            # Each thread has connections of its own: one that hangs holds up no other.
            apis = [EngineApi(docker_host, timing.poll_timeout, network) for _ in range(3)]
            self._api = EngineApi(docker_host, timing.call_timeout, network)
            for api in (*apis, self._api):
                undo.callback(api.close)
            self._finder = ContextFinder(
                self._api, network, gateway_url, default_exec_timeout, timing.restart_delay, hardening, start_timeout
            )
            self._notifier = Notifier()
            undo.callback(self._notifier.close)
            self._observer = self._observing(apis, timing, connect, undo)
            self._observer.look(everything=True)
            self._observer.start()
            self._undo = undo.pop_all()

    def _observing(self, apis: list[EngineApi], timing: Timing, connect: Connect, undo: ExitStack) -> Observer:
        def poke() -> None:
            self._observer.poke(everything=False)

        admission = Admission(connect, timing.connect_timeout, timing.admission_wait, poke)
        undo.callback(admission.close)
        investigator = Investigator(apis[0], timing.poll, timing.log_timeout, poke)
        undo.callback(investigator.close)
        observer = Observer(
            apis[1],
            timing,
            self._default_exec_timeout,
            self._start_timeout,
            admission,
            investigator,
            self._notifier.publish,
        )
        undo.callback(observer.close)
        events = self._events = Events(apis[2], observer.poke)
        undo.callback(events.close)
        investigator.start()
        events.start()
        return observer

    def deploy(self, function: FunctionSpec) -> None:
        check_new_name(function.name)
        with self._changing():
            if self._find(function.name) is not None:
                raise FunctionExists(
                    f'a function "{function.name}" is deployed already.', "Update it with PUT instead."
                )
            _check(function)
            context = self._finder.context(function)
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            own = own_login(function)
            login = own or self._logins.login_for(function.image)
            identity = identity_of(self._api, function.image, login)
            spec = marked(service_spec(function, context, function.initial_replicas, now), identity)
            try:
                self._api.create_service(with_login_noted(spec, bool(own)), login)
            except EngineRefused as exc:
                # Not "from": it may be the same one.
                raise self._not_created(function, exc) from None
        _warn(function)

    def update(self, function: FunctionSpec) -> None:
        with self._changing():
            self._found(function.name)
            _check(function)
            own = own_login(function)
            identity = identity_of(self._api, function.image, own or self._logins.login_for(function.image))
            for _ in range(_ATTEMPTS):
                service, deployed = self._found(function.name)
                is_equal = deployed.function == function.without_credentials()
                is_known = identity in ("", deployed.image_identity)
                if is_equal and is_known and not function.registry_auth and not deployed.update.has_failed:
                    return
                spec = service["Spec"] if is_equal else self._updated(function, service, deployed)
                # Of an image that nobody knew the identity of so far, it is not known either that it is another one.
                is_rebuilt = deployed.function.image == function.image and bool(deployed.image_identity)
                spec = marked(spec, identity, must_roll=is_rebuilt and not is_known)
                login, is_own = self._logins.login_after(deployed, function.image, own)
                if self._replaced(service, with_login_noted(spec, is_own), login):
                    _warn(function)
                    return
        raise _too_busy(function.name)

    def remove(self, name: str) -> None:
        with self._changing():
            _service, deployed = self._found(name)
            self._api.remove_service(deployed.service_id)

    def functions(self) -> list[FunctionStatus]:
        view = self._observer.view
        return [
            status(view.cluster.functions[name], view.cluster, view.table) for name in sorted(view.cluster.functions)
        ]

    def get(self, name: str) -> FunctionStatus:
        view = self._observer.view
        if name not in view.cluster.functions:
            raise FunctionNotFound(name)
        return status(view.cluster.functions[name], view.cluster, view.table)

    def scale(self, name: str, replicas: int) -> None:
        with self._changing():
            for _ in range(_ATTEMPTS):
                service, deployed = self._found(name)
                if not 0 <= replicas <= MAX_REPLICAS:
                    raise InvalidRequest(f"cannot run {replicas} replicas.", f"Ask for 0 to {MAX_REPLICAS}.")
                if deployed.replicas is None:
                    raise InvalidRequest(f'function "{name}" runs once on every node, and cannot be scaled.')
                spec: ServiceSpec = {**service["Spec"], "Mode": {"Replicated": {"Replicas": replicas}}}
                login, _is_own = self._logins.login_after(deployed, deployed.function.image)
                if deployed.replicas == replicas or self._replaced(service, spec, login):
                    return
        raise _too_busy(name)

    def shortcomings(self) -> list[str]:
        """What this engine cannot do for the safety of functions, and what keeps failing here, in sentences."""
        failing = [*self._observer.failures.sentences, *self._events.failures.sentences]
        version = self._api.version()
        if offers_no_new_privileges(version):
            return failing
        return [
            *failing,
            f"the engine's API {version} has no no-new-privileges for services (1.46 has): "
            "programs with the setuid bit keep their effect in functions",
        ]

    def table(self) -> ReplicaTable:
        return self._observer.view.table

    def watch(self, listener: Callable[[ReplicaTable], None]) -> Callable[[], None]:
        return self._notifier.watch(listener)

    def logs(self, name: str) -> str:
        with _refusals():
            _service, deployed = self._found(name)
            framed = self._api.service_logs(deployed.service_id, _LOG_LINES, self._timing.log_timeout)
        return last_bytes(in_order(unframed(framed)), _MAX_LOG).decode(errors="replace")

    def close(self) -> None:
        """Stops this object's threads; functions go on running. Idempotent."""
        self._undo.close()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """What was changed in the body is in the table afterwards."""
        try:
            with _refusals():
                yield
        finally:
            self._observer.poke(everything=True)
        try:
            self._observer.look(everything=True)
        except EngineUnavailable as exc:
            logger.debug("the change is made, but cannot be seen yet: %s", exc)

    def _find(self, name: str) -> tuple[ServiceDocument, Deployed] | None:
        services = {service["ID"]: service for service in self._api.services(name)}
        deployed = deployed_functions(services.values(), self._default_exec_timeout).get(name)
        return None if deployed is None else (services[deployed.service_id], deployed)

    def _found(self, name: str) -> tuple[ServiceDocument, Deployed]:
        found = self._find(name) if name else None
        if found is None:
            raise FunctionNotFound(name)
        return found

    def _updated(self, function: FunctionSpec, service: ServiceDocument, deployed: Deployed) -> ServiceSpec:
        context = self._finder.context(function)
        present = service["Spec"]
        spec = service_spec(function, context, deployed.replicas or 0, deployed.created_at)
        # The engine replaces all tasks when this number changes.
        spec["TaskTemplate"]["ForceUpdate"] = present["TaskTemplate"].get("ForceUpdate", 0)
        return {**spec, "Name": present["Name"], "Mode": present["Mode"]}

    def _replaced(self, service: ServiceDocument, spec: ServiceSpec, login: str) -> bool:
        """False if the service has changed since it was read: Swarm itself does that while an update rolls."""
        try:
            self._api.update_service(service, spec, login)
        except EngineRefused as exc:
            if "out of sequence" in exc.text:
                return False
            if exc.status == 404:
                raise FunctionNotFound(spec["Name"]) from exc
            raise
        return True

    def _not_created(self, function: FunctionSpec, exc: EngineRefused) -> Exception:
        if exc.status != 409:
            return exc
        if self._find(function.name) is not None:
            return FunctionExists(f'a function "{function.name}" is deployed already.', "Update it with PUT instead.")
        return InvalidFunction(
            "service",
            f'"{function.name}" is the name of a service that is not a function of this stack.',
            "Names are shared by the whole swarm: choose another.",
        )


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except EngineRefused as exc:
        raise InvalidRequest(f"the Docker Engine refuses it: {exc.text}.") from exc


def _check(function: FunctionSpec) -> None:
    check_image(function.image)
    check_constraints(function)
    check_drop(function.annotations)
    if function.initial_replicas > MAX_REPLICAS:
        raise InvalidFunction("labels", f"{SCALE_MIN_LABEL} is over {MAX_REPLICAS}, the most for one function.")
    own_login(function)


def _warn(function: FunctionSpec) -> None:
    for warning in warnings(function):
        logger.warning(
            "%s: %s", function.name, warning, extra={"event": "function_adjusted", "function": function.name}
        )


def _too_busy(name: str) -> EngineUnavailable:
    return EngineUnavailable(f'function "{name}" is being changed by others all the time.', "Try again in a moment.")
