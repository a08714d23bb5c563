"""A function as clients describe it (FunctionSpec) and as the platform reports it (FunctionStatus).

The JSON names and types are those of OpenFaaS's provider API; Python names are converted here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from swarmfn.wire.durations import parse_duration
from swarmfn.wire.errors import InvalidFunction, InvalidRequest
from swarmfn.wire.names import CALLBACKS, NAMESPACE, check_new_name
from swarmfn.wire.odd_names import odd_names
from swarmfn.wire.policies import POLICY_ANNOTATIONS, Policy, policy_of
from swarmfn.wire.priorities import is_priority_queue
from swarmfn.wire.quantities import parse_cpu, parse_memory
from swarmfn.wire.rollouts import Rollout

SCALE_MIN_LABEL = "com.openfaas.scale.min"
QUEUE_ANNOTATION = "com.openfaas.queue"
SITE_ANNOTATION = "com.swarmfn.site"
EXEC_TIMEOUT = "exec_timeout"
INITIAL_DELAY = "com.openfaas.health.http.initialDelay"
"""OpenFaaS's: how long a replica takes before it is worth asking whether it is ready."""
DROP_ANNOTATION = "com.swarmfn.drop_capabilities"
KNOWN_LABELS = (SCALE_MIN_LABEL,)
KNOWN_ANNOTATIONS = (*POLICY_ANNOTATIONS, QUEUE_ANNOTATION, SITE_ANNOTATION, INITIAL_DELAY, DROP_ANNOTATION)
_AFTER_DELAY = 60.0
_LONGEST_DELAY = 86400.0
_TRUSTED = "trusted"
_LONGEST_VARIABLE = 131_072
"""Linux's MAX_ARG_STRLEN, with the NUL at the end."""
_REPLICAS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Resources:
    """Amounts as the client wrote them; empty text means unset."""

    memory: str = ""
    cpu: str = ""

    def to_json(self) -> dict[str, str]:
        return {key: value for key, value in (("memory", self.memory), ("cpu", self.cpu)) if value}


@dataclass(frozen=True)
class FunctionSpec:
    """What a user deploys. `name` is plain, without a namespace; `image` is kept exactly as given."""

    name: str
    image: str
    env_process: str = ""
    env_vars: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    limits: Resources = Resources()
    requests: Resources = Resources()
    read_only_root: bool = False
    registry_auth: str = ""
    network: str = ""

    @classmethod
    def from_json(cls, body: Any) -> FunctionSpec:
        """The spec in a deploy or update body. Raises InvalidRequest or InvalidFunction, naming the field."""
        document = _object(body)
        check_namespace(document)
        image = _text(document, "image")
        if not image:
            raise InvalidFunction("image", "is required.")
        return cls(
            name=check_new_name(_text(document, "service")),
            image=image,
            env_process=_text(document, "envProcess"),
            env_vars=_variables(document, "envVars"),
            labels=_texts_by_name(document, "labels"),
            annotations=_texts_by_name(document, "annotations"),
            secrets=_texts(document, "secrets"),
            constraints=_texts(document, "constraints"),
            limits=_resources(document, "limits"),
            requests=_resources(document, "requests"),
            read_only_root=_flag(document, "readOnlyRootFilesystem"),
            registry_auth=_text(document, "registryAuth"),
            network=_text(document, "network"),
        )

    def to_json(self) -> dict[str, Any]:
        """The deploy body that `from_json` reads back into an equal spec."""
        document: dict[str, Any] = {"service": self.name, **self.described()}
        optional = {"registryAuth": self.registry_auth, "network": self.network}
        document.update({key: value for key, value in optional.items() if value})
        return document

    def without_credentials(self) -> FunctionSpec:
        """The function as it may be stored: without the password of its registry, which is for one deployment only."""
        return replace(self, registry_auth="")

    def described(self) -> dict[str, Any]:
        """The fields that a deploy body and a status share.

        `labels` and `annotations` are always there, everything else only when set: faas-cli and dashboards rely on
        both (an empty `envVars` is absent).
        """
        document: dict[str, Any] = {
            "image": self.image,
            "namespace": NAMESPACE,
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
        }
        optional: dict[str, Any] = {
            "envProcess": self.env_process,
            "envVars": dict(self.env_vars),
            "secrets": list(self.secrets),
            "constraints": list(self.constraints),
            "limits": self.limits.to_json(),
            "requests": self.requests.to_json(),
            "readOnlyRootFilesystem": self.read_only_root,
        }
        document.update({key: value for key, value in optional.items() if value})
        return document

    @property
    def initial_replicas(self) -> int:
        """Replicas to start with: the label `com.openfaas.scale.min`, else 1 (also when the label does not parse)."""
        text = self.labels.get(SCALE_MIN_LABEL, "")
        return int(text) if _REPLICAS.fullmatch(text) else 1

    def start_timeout(self, default: float) -> float:
        """Seconds a replica may take to get ready: `default`, or a minute more than its initialDelay if that is longer.
        An annotation that is not a duration is ignored."""
        try:
            delay = parse_duration(self.annotations.get(INITIAL_DELAY, ""))
        except ValueError:
            return default
        return max(default, min(delay, _LONGEST_DELAY) + _AFTER_DELAY)

    @property
    def queue(self) -> str:
        """The queue its asynchronous calls wait in: its own, unless an annotation names another that is not kept for
        callbacks or priorities."""
        named = self.annotations.get(QUEUE_ANNOTATION, "")
        return self.name if not named or _is_kept(named) else named

    @property
    def policy(self) -> Policy:
        """What it asks of its asynchronous calls, with a warning for each value that cannot be used and each label and
        annotation that is misspelt."""
        policy = policy_of(self.annotations)
        warnings = [
            *self._queue_warnings(),
            *self._exec_timeout_warnings(),
            *self._site_warnings(),
            *self._delay_warnings(),
            *odd_names("label", self.labels, KNOWN_LABELS, "annotation", KNOWN_ANNOTATIONS),
            *odd_names("annotation", self.annotations, KNOWN_ANNOTATIONS, "label", KNOWN_LABELS),
        ]
        return replace(policy, warnings=(*policy.warnings, *warnings)) if warnings else policy

    @property
    def is_site(self) -> bool:
        """Whether its pages are trusted with the whole origin of a port that serves no management."""
        return self.annotations.get(SITE_ANNOTATION) == _TRUSTED

    def _site_warnings(self) -> Iterator[str]:
        text = self.annotations.get(SITE_ANNOTATION, _TRUSTED)
        if text != _TRUSTED:
            yield f"annotation {SITE_ANNOTATION}: expected {_TRUSTED!r}, got {text!r:.50}; its pages stay sandboxed"

    def _delay_warnings(self) -> Iterator[str]:
        try:
            parse_duration(self.annotations.get(INITIAL_DELAY, "0"))
        except ValueError as exc:
            yield f"annotation {INITIAL_DELAY}: {str(exc)[:200]}; ignored"

    def _queue_warnings(self) -> Iterator[str]:
        named = self.annotations.get(QUEUE_ANNOTATION, "")
        if _is_kept(named):
            yield f"annotation {QUEUE_ANNOTATION}: {named!r:.50} is reserved for the platform; using {self.name}"

    def _exec_timeout_warnings(self) -> Iterator[str]:
        for kind, source in (("envVars", self.env_vars), ("label", self.labels)):
            text = source.get(EXEC_TIMEOUT) or "0"
            try:
                parse_duration(text)
            except ValueError as exc:
                yield f"{kind} {EXEC_TIMEOUT}: {str(exc)[:200]}; ignored"

    def exec_timeout(self, image_env: Mapping[str, str], default: float) -> float:
        """Seconds one attempt may run: envVars, else label, else the image's ENV, else `default`.

        A value that is not a duration is ignored, as the watchdog does; 0 means no limit of its own, so `default`.
        """
        for source in (self.env_vars, self.labels, image_env):
            try:
                seconds = parse_duration(source.get(EXEC_TIMEOUT, ""))
            except ValueError:
                continue
            if seconds > 0:
                return seconds
        return default


def _is_kept(queue: str) -> bool:
    """Whether a queue of this name is for callbacks, or for calls of a priority."""
    return queue.partition(":")[0] == CALLBACKS or is_priority_queue(queue)


@dataclass(frozen=True)
class FunctionStatus:
    """A deployed function as the platform reports it. `created_at` is RFC 3339 text in UTC; `problem` says why no
    replica is healthy, or an update failed ("" if nothing is known)."""

    spec: FunctionSpec
    replicas: int
    available_replicas: int
    created_at: str
    invocation_count: float = 0
    usage: Mapping[str, float] | None = None
    rollout: Rollout = Rollout.DONE
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        document = {
            "name": self.spec.name,
            **self.spec.described(),
            "replicas": self.replicas,
            "availableReplicas": self.available_replicas,
            "invocationCount": float(self.invocation_count),
            "createdAt": self.created_at,
        }
        if self.usage is not None:
            document["usage"] = dict(self.usage)
        if self.rollout is not Rollout.DONE:
            document["rollout"] = str(self.rollout)
        if self.problem:
            document["problem"] = self.problem
        if warnings := self.spec.policy.warnings:
            document["warnings"] = list(warnings)
        return document


def check_namespace(document: Mapping[str, Any]) -> None:
    """Raises InvalidFunction unless the body names no namespace or the only one there is."""
    namespace = document.get("namespace") or NAMESPACE
    if namespace != NAMESPACE:
        raise InvalidFunction("namespace", f'there is only "{NAMESPACE}", got {namespace!r}.')


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise InvalidRequest("the body is not a JSON object.", "Send Content-Type: application/json and an object.")
    return body


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidFunction(name, f"expected text, got {value!r:.100}.")
    return value


def _flag(document: Mapping[str, Any], name: str) -> bool:
    value = document.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise InvalidFunction(name, f"expected true or false, got {value!r:.100}.")
    return value


def _texts(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = document.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidFunction(name, "expected a list of texts.")
    return tuple(value)


def _texts_by_name(document: Mapping[str, Any], name: str) -> dict[str, str]:
    value = document.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise InvalidFunction(name, "expected an object whose values are texts.", 'Quote numbers: {"limit": "10"}.')
    return value


def _variables(document: Mapping[str, Any], name: str) -> dict[str, str]:
    variables = _texts_by_name(document, name)
    for variable, value in variables.items():
        if not variable or "=" in variable or "\0" in variable:
            hint = "A name is not empty, and has no = and no NUL in it."
            raise InvalidFunction(name, f"no variable can be called {variable!r:.100}.", hint)
        if "\0" in value:
            raise InvalidFunction(name, f"the value of {variable!r:.100} has a NUL in it, which no variable can have.")
        if len(f"{variable}={value}".encode(errors="surrogatepass")) >= _LONGEST_VARIABLE:
            hint = f"With its name it may have {_LONGEST_VARIABLE - 1} bytes."
            raise InvalidFunction(name, f"the value of {variable!r:.100} is too long to start a program with.", hint)
    return variables


def _resources(document: Mapping[str, Any], name: str) -> Resources:
    amounts = _texts_by_name(document, name)
    for key, parse in (("memory", parse_memory), ("cpu", parse_cpu)):
        if amounts.get(key):
            try:
                parse(amounts[key])
            except ValueError as exc:
                raise InvalidFunction(f"{name}.{key}", f"{exc}.") from exc
    return Resources(memory=amounts.get("memory", ""), cpu=amounts.get("cpu", ""))
