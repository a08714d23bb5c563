"""The Docker Engine's API, as far as functions need it: documents in, documents out, and no wait without an end. What
the engine answers has a type from here on."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import docker
import docker.errors
import docker.utils
import requests
import urllib3

from swarmfn.provider.swarm.documents import (
    ImageDocument,
    NetworkDocument,
    NodeDocument,
    SecretDocument,
    ServiceDocument,
    ServiceSpec,
    TaskDocument,
)
from swarmfn.provider.swarm.ownership import own_services
from swarmfn.wire.errors import EngineUnavailable
from swarmfn.wire.swarm_labels import FUNCTION_LABEL, NETWORK_LABEL, NETWORK_VALUE

logger = logging.getLogger(__name__)

Document = Mapping[str, Any]
_REGISTRY_PATIENCE = 3.0
_RPC = re.compile(r"rpc error: code = \w+ desc = ")


class EngineRefused(Exception):
    """The engine answered that it will not: `status` as in HTTP, the message in its words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class EventStream:
    """Documents as the engine sends them; over when it breaks off. As a context it gives the connection back, which
    docker-py's own stream leaves open."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()

    def __iter__(self) -> Iterator[Document]:
        try:
            for line in self._response.iter_lines(chunk_size=None):
                yield json.loads(line)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            logger.debug("the engine's events break off: %s", exc)

    def interrupt(self) -> None:
        """Ends the iteration of another thread."""
        try:
            self._response.raw.shutdown()
        except (ValueError, RuntimeError, OSError):
            logger.debug("the stream of events had ended already")


class EngineApi:
    """One engine, which is a manager of a swarm; usable from any thread.

    `docker_host` is an URL, None: what DOCKER_HOST and its companions say, else the default socket. Every method
    raises EngineUnavailable when no answer comes for `timeout` seconds, and EngineRefused. `network` is the name of our
    functions' network, "" where all functions of the swarm are ours.
    """

    def __init__(self, docker_host: str | None, timeout: float, network: str = "") -> None:
        self._network = network
        self._docker_host = docker_host
        self._timeout = timeout
        self._client: docker.APIClient | None = None
        self._connecting = threading.Lock()

    def version(self) -> str:
        """Of the engine's API, such as 1.41."""
        with self._translated():
            return str(self._connected().api_version)

    def services(self, name: str | None = None) -> list[ServiceDocument]:
        """The services of functions, of no other stack; with `name`, of those that claim this function's name."""
        label = FUNCTION_LABEL if name is None else f"{FUNCTION_LABEL}={name}"
        found: list[ServiceDocument] = self._list("/services", {"label": [label]})
        return own_services(found, self.function_networks(), self._network) if found and self._network else found

    def service_named(self, name: str) -> ServiceDocument | None:
        """Any service of exactly this name, function or not."""
        # The engine's filter takes a beginning of the name, too.
        found: list[ServiceDocument] = self._list("/services", {"name": [name]})
        return next((service for service in found if service["Spec"]["Name"] == name), None)

    def wanted_tasks(self) -> list[TaskDocument]:
        """The tasks of all functions that should run."""
        found: list[TaskDocument] = self._list("/tasks", {"label": [FUNCTION_LABEL], "desired-state": ["running"]})
        return found

    def all_tasks(self, service_id: str) -> list[TaskDocument]:
        """The tasks of one service, with those that ended."""
        found: list[TaskDocument] = self._list("/tasks", {"service": [service_id]})
        return found

    def nodes(self) -> list[NodeDocument]:
        found: list[NodeDocument] = self._list("/nodes", {})
        return found

    def function_networks(self) -> list[NetworkDocument]:
        """The networks that say they are for functions."""
        filters = {"label": [f"{NETWORK_LABEL}={NETWORK_VALUE}"], "scope": ["swarm"]}
        found: list[NetworkDocument] = self._list("/networks", filters)
        return found

    def network_named(self, name: str) -> NetworkDocument | None:
        found: list[NetworkDocument] = self._list("/networks", {"name": [name], "scope": ["swarm"]})
        return next((network for network in found if network["Name"] == name), None)

    def secrets(self, names: Iterable[str]) -> list[SecretDocument]:
        """The secrets of exactly these names."""
        wanted = set(names)
        found: list[SecretDocument] = self._list("/secrets", {})
        return [secret for secret in found if secret["Spec"]["Name"] in wanted]

    def image(self, image: str) -> ImageDocument | None:
        """An image that this engine has."""
        try:
            found: ImageDocument = self._json("GET", f"/images/{image}/json")
        except EngineRefused as exc:
            if exc.status != 404:
                raise
            return None
        return found

    def registry_digest(self, image: str, login: str) -> str:
        """The digest that a registry has for the image now, "" where none answers soon."""
        headers = _login_header(login)
        try:
            found = self._json("GET", f"/distribution/{image}/json", headers=headers, timeout=_REGISTRY_PATIENCE)
        except (EngineRefused, EngineUnavailable) as exc:
            logger.debug("no registry describes %s: %s", image, exc)
            return ""
        return str(found["Descriptor"]["digest"])

    def create_service(self, spec: ServiceSpec, login: str) -> None:
        self._json("POST", "/services/create", json=spec, headers=_login_header(login))

    def update_service(self, service: ServiceDocument, spec: ServiceSpec, login: str) -> None:
        """Replaces the specification; without a login the service keeps the one it has. EngineRefused if `service` is
        no longer what it is."""
        self._json(
            "POST",
            f"/services/{service['ID']}/update",
            params={"version": service["Version"]["Index"], "registryAuthFrom": "spec"},
            json=spec,
            headers=_login_header(login),
        )

    def remove_service(self, service_id: str) -> None:
        self._json("DELETE", f"/services/{service_id}")

    def service_logs(self, service_id: str, tail: int, limit: float) -> bytes:
        """The last lines of each of its tasks, with times, in the engine's framing; what came within `limit` s."""
        return self._logs(f"/services/{service_id}/logs", {"tail": tail, "timestamps": 1}, limit)

    def task_logs(self, task_id: str, tail: int, limit: float) -> bytes:
        return self._logs(f"/tasks/{task_id}/logs", {"tail": tail}, limit)

    def events(self) -> EventStream:
        """What happens to services, nodes, and containers of this node, for as long as the engine lives."""
        filters = {"type": ["service", "node", "container"], "event": ["create", "update", "remove", "start", "die"]}
        params = {"filters": json.dumps(filters)}
        return EventStream(self._request("GET", "/events", params=params, stream=True, timeout=None))

    def exit_status(self, task_id: str, within: float) -> int | None:
        """How the container of a task ended in the last `within` seconds, if it was on this engine's node: the engine
        remembers that longer than Swarm keeps the task."""
        now = time.time()
        filters = {"type": ["container"], "event": ["die"], "label": [f"com.docker.swarm.task.id={task_id}"]}
        params = {"since": f"{now - within:.3f}", "until": f"{now:.3f}", "filters": json.dumps(filters)}
        lines = self._request("GET", "/events", params=params).text.splitlines()
        statuses = [json.loads(line)["Actor"]["Attributes"].get("exitCode", "") for line in lines]
        return next((int(status) for status in statuses if status.isdigit()), None)

    def close(self) -> None:
        with self._connecting:
            if self._client is not None:
                self._client.close()

    def _list(self, path: str, filters: Mapping[str, list[str]]) -> list[Any]:
        """Documents, whose kind the path tells."""
        params = {"filters": json.dumps(filters)} if filters else {}
        return self._json("GET", path, params=params) or []

    def _json(self, method: str, path: str, **arguments: Any) -> Any:
        response = self._request(method, path, **arguments)
        return response.json() if response.content else None

    def _request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        with self._translated():
            client = self._connected()
            options = {"timeout": self._timeout, **arguments}
            response: requests.Response = client.request(method, client._url(path), **options)
            client._raise_for_status(response)
            return response

    def _logs(self, path: str, params: Mapping[str, Any], limit: float) -> bytes:
        """Without `follow` the engine ends the stream itself, but only when every node has answered."""
        deadline = time.monotonic() + limit
        received = bytearray()
        params = {"stdout": 1, "stderr": 1, **params}
        # Nothing may come at all for a while, as from a node that is down.
        with self._request("GET", path, params=params, stream=True, timeout=min(limit, self._timeout)) as response:
            try:
                for chunk in response.iter_content(chunk_size=None):
                    received += chunk
                    if time.monotonic() >= deadline:
                        break
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
                logger.debug("the log of %s breaks off after %d bytes", path, len(received))
        return bytes(received)

    def _connected(self) -> docker.APIClient:
        with self._connecting:
            if self._client is None:
                self._client = _connect(self._docker_host, self._timeout)
            return self._client

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except docker.errors.APIError as exc:
            raise _refusal(exc) from exc
        except (docker.errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            where = self._docker_host or "the address in DOCKER_HOST, or the default socket"
            raise EngineUnavailable(
                f"no answer from the Docker Engine at {where}.", "Is it running? Functions that run go on."
            ) from exc


def _connect(docker_host: str | None, timeout: float) -> docker.APIClient:
    environment = {**os.environ, "DOCKER_HOST": docker_host} if docker_host else None
    return docker.APIClient(version="auto", timeout=timeout, **docker.utils.kwargs_from_env(environment))


def _refusal(exc: docker.errors.APIError) -> EngineRefused | EngineUnavailable:
    text = _RPC.sub("", str(exc.explanation or exc))
    status = exc.status_code or 500
    if "not a swarm manager" in text:
        return EngineUnavailable(
            "the Docker Engine is not a manager of a swarm.",
            'Make it one with "docker swarm init", or ask another node.',
        )
    # A swarm that has no leader for the moment, an engine that is just starting.
    if status >= 500 and "out of sequence" not in text:
        return EngineUnavailable(f"the Docker Engine cannot do it right now: {text}.", "Try again in a moment.")
    return EngineRefused(status, text)


def _login_header(login: str) -> dict[str, str]:
    return {"X-Registry-Auth": login} if login else {}
