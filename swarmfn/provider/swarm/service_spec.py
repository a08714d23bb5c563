"""What a function becomes on Swarm: a service's specification, as the engine's API takes it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from swarmfn.provider.starting import START_TIMEOUT
from swarmfn.provider.swarm.documents import (
    Amounts,
    ContainerSpec,
    FileTarget,
    ResourceRequirements,
    SecretGrant,
    ServiceSpec,
    TaskTemplate,
)
from swarmfn.provider.swarm.hardening import DEFAULTS, Hardening, take_privileges, with_default_limits
from swarmfn.provider.swarm.templates import literal
from swarmfn.provider.timeouts import drain_time, timeout_variables
from swarmfn.wire.errors import InvalidFunction
from swarmfn.wire.functions import FunctionSpec, Resources
from swarmfn.wire.quantities import parse_cpu, parse_memory
from swarmfn.wire.swarm_labels import (
    ANNOTATION_PREFIX,
    CREATED_LABEL,
    EXEC_TIMEOUT_LABEL,
    FUNCTION_LABEL,
    IMAGE_LABEL,
    INTERNAL_PREFIX,
    IS_FUNCTION,
    IS_FUNCTION_LABEL,
    IS_OWN_LOGIN,
    OWN_LOGIN_LABEL,
    SECRETS_FOLDER,
    SPEC_LABEL,
)

FUNCTION_PORT = 8080
MIN_MEMORY = 6 * 2**20
"""The engine starts no container with a lower limit."""

# Long enough for the workers and gateways that still hold the last table: SIGTERM comes about 2 s after a task has
# left it, and until this has passed the watchdog goes on to accept calls.
_HEALTHCHECK_INTERVAL = "2s"
# As swarmkit reads them: what is compared, == or !=, and a value.
_CONSTRAINT = re.compile(r"\s*[a-z_][a-z0-9_./-]+\s*[=!]=\s*[a-z0-9:_\s.*()?+\[\]\\^$|/-]+", re.IGNORECASE | re.ASCII)
_LINUX = "node.platform.os == linux"
_SECOND = 10**9
_MONITOR = 5.0


@dataclass(frozen=True)
class ServiceContext:
    """What a specification needs to know besides the function: ids of the network and the secrets, the image's ENV,
    what the operator and the engine do to keep functions small."""

    network: str
    gateway_url: str
    default_exec_timeout: float
    restart_delay: float
    start_timeout: float = START_TIMEOUT
    image_env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    hardening: Hardening = DEFAULTS
    has_no_new_privileges: bool = False


def service_spec(function: FunctionSpec, context: ServiceContext, replicas: int, created: str) -> ServiceSpec:
    """The whole specification of the function's service."""
    return {
        "Name": function.name,
        "Labels": _labels(function, context, created),
        "TaskTemplate": {
            "ContainerSpec": _container(function, context),
            "Resources": _resources(function, context.hardening),
            "RestartPolicy": {"Condition": "any", "Delay": int(context.restart_delay * _SECOND)},
            "Placement": {"Constraints": _constraints(function.constraints)},
            "Networks": [{"Target": context.network}],
        },
        "Mode": {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": {
            "Parallelism": 1,
            "FailureAction": "rollback",
            "Order": "start-first",
            "Monitor": int(_MONITOR * _SECOND),
        },
        "RollbackConfig": {"Parallelism": 1, "Order": "start-first", "FailureAction": "continue"},
        "EndpointSpec": {"Mode": "dnsrr"},
    }


def check_constraints(function: FunctionSpec) -> None:
    """Raises InvalidFunction for what is not a constraint: the engine reports that as an error of its own."""
    for constraint in function.constraints:
        if _CONSTRAINT.fullmatch(constraint) is None:
            raise InvalidFunction(
                "constraints",
                f"{constraint!r:.200} is not a constraint.",
                'Write them like "node.labels.disk == fast".',
            )


def warnings(function: FunctionSpec) -> list[str]:
    """What was asked for and is not done to the letter, in sentences."""
    return [
        f"{kind}.memory of {amounts.memory} is below the engine's minimum and was raised to 6Mi"
        for kind, amounts in (("limits", function.limits), ("requests", function.requests))
        if amounts.memory and 0 < parse_memory(amounts.memory) < MIN_MEMORY
    ]


def marked(spec: ServiceSpec, image_identity: str, must_roll: bool = False) -> ServiceSpec:
    """The specification with what its image's name stands for; `must_roll`: its tasks are replaced even if nothing else
    differs."""
    labels = {**spec["Labels"]}
    task: TaskTemplate = {**spec["TaskTemplate"]}
    if image_identity:
        labels[IMAGE_LABEL] = image_identity
    if must_roll:
        task["ForceUpdate"] = task.get("ForceUpdate", 0) + 1
    return {**spec, "Labels": labels, "TaskTemplate": task}


def with_login_noted(spec: ServiceSpec, is_own: bool) -> ServiceSpec:
    """The specification with a note of whose login its service has: the function's own, or the operator's or none."""
    labels = {name: value for name, value in spec["Labels"].items() if name != OWN_LOGIN_LABEL}
    return {**spec, "Labels": {**labels, **({OWN_LOGIN_LABEL: IS_OWN_LOGIN} if is_own else {})}}


def stored_spec(function: FunctionSpec) -> str:
    """The function as its label holds it: everything but the registry's password."""
    return json.dumps(function.without_credentials().to_json(), separators=(",", ":"), sort_keys=True)


def _labels(function: FunctionSpec, context: ServiceContext, created: str) -> dict[str, str]:
    own = {name: value for name, value in function.labels.items() if not name.startswith(INTERNAL_PREFIX)}
    return {
        **own,
        **{ANNOTATION_PREFIX + name: value for name, value in function.annotations.items()},
        FUNCTION_LABEL: function.name,
        IS_FUNCTION_LABEL: IS_FUNCTION,
        SPEC_LABEL: stored_spec(function),
        EXEC_TIMEOUT_LABEL: f"{function.exec_timeout(context.image_env, context.default_exec_timeout):g}",
        CREATED_LABEL: created,
    }


def _container(function: FunctionSpec, context: ServiceContext) -> ContainerSpec:
    environment = _environment(function, context)
    container: ContainerSpec = {
        "Image": function.image,
        # Not the function's own labels: a change of those must not replace its replicas.
        "Labels": {FUNCTION_LABEL: function.name},
        "Env": [f"{name}={literal(value)}" for name, value in sorted(environment.items())],
        # How the image checks its health stays the image's own.
        "Healthcheck": {"StartPeriod": int(function.start_timeout(context.start_timeout) * _SECOND)},
        "StopGracePeriod": int(drain_time({**context.image_env, **environment}) * _SECOND),
    }
    take_privileges(container, context.hardening, function.annotations, context.has_no_new_privileges)
    if function.read_only_root:
        container["ReadOnly"] = True
        container["Mounts"] = [{"Type": "tmpfs", "Target": "/tmp"}]  # noqa: S108, where the watchdog's lock is
    if function.secrets:
        container["Secrets"] = [_secret(name, context.secrets[name]) for name in function.secrets]
    return container


def _environment(function: FunctionSpec, context: ServiceContext) -> dict[str, str]:
    """envVars win over the image's ENV, and that over the platform's defaults."""
    timeouts = timeout_variables(
        function, context.image_env, context.default_exec_timeout, healthcheck_interval=_HEALTHCHECK_INTERVAL
    )
    defaults = {"gateway_url": context.gateway_url, **timeouts}
    environment = {name: value for name, value in defaults.items() if context.image_env.get(name) != value}
    if "gateway_url" in context.image_env:
        environment.pop("gateway_url", None)
    environment.update({name: value for name, value in function.env_vars.items() if name not in timeouts})
    if function.env_process:
        environment["fprocess"] = function.env_process
    return environment


def _resources(function: FunctionSpec, hardening: Hardening) -> ResourceRequirements:
    reserved = _amounts(function.requests)
    limits = with_default_limits(hardening, _amounts(function.limits), reserved)
    found: ResourceRequirements = {}
    if limits:
        found["Limits"] = limits
    if reserved:
        found["Reservations"] = reserved
    return found


def _amounts(amounts: Resources) -> Amounts:
    found: Amounts = {}
    if amounts.memory and (memory := parse_memory(amounts.memory)):
        found["MemoryBytes"] = max(MIN_MEMORY, memory)
    if amounts.cpu:
        found["NanoCPUs"] = round(parse_cpu(amounts.cpu) * 1e9)
    return found


def _constraints(constraints: Sequence[str]) -> list[str]:
    if any(constraint.replace(" ", "").startswith("node.platform.os") for constraint in constraints):
        return list(constraints)
    return [_LINUX, *constraints]


def _secret(name: str, secret_id: str) -> SecretGrant:
    # Readable for every user: who the image runs as is its own business, and nobody else is in the container.
    file: FileTarget = {"Name": f"{SECRETS_FOLDER}/{name}", "UID": "0", "GID": "0", "Mode": 0o444}
    return {"SecretID": secret_id, "SecretName": name, "File": file}
