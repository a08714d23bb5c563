"""The login at the stack's registry: taken from the user of `up`, and given to the gateway and to what pulls there.

docker-py reads Docker's own configuration, credential helpers included, and sends the login with every service that is
made or changed through it. The gateway makes services too, and gets the login as a secret.
"""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import docker
from docker import auth

from stack.swarm.engine_client import engine_errors
from stack.swarm.function_services import function_services
from stack.swarm.services import StackServices
from swarmfn.provider.swarm.registry_logins import registry_of
from swarmfn.wire.swarm_labels import OWN_LOGIN_LABEL


def logins_for(client: docker.DockerClient, registry: str) -> str:
    """What the gateway's secret holds: the login at `registry` (as in --registry) in the form of Docker's config.json;
    without a login, or with "" for no registry, that nobody is logged in. Raises StackError."""
    host = registry_of(f"{registry}/image") if registry else ""
    login = _login(client, host) if host else {}
    return json.dumps({"auths": {host: login}} if login else {"auths": {}}, sort_keys=True)


def has_login(client: docker.DockerClient, images: Iterable[str]) -> bool:
    """Whether the user who runs this is logged in where any of the images comes from."""
    return any(_login(client, registry) for registry in sorted({registry_of(image) for image in images}))


def renew_logins(client: docker.DockerClient, stack: str, services: StackServices, registry: str) -> None:
    """Gives the login to every service of the stack and every function of the registry, except those that were
    deployed with one of their own. Nothing is started again, except what could not be pulled. Raises StackError."""
    host = registry_of(f"{registry}/image")
    if not _login(client, host):
        return
    specs = [present.spec for present in services.present().values()]
    specs += [service["Spec"] for service in function_services(client, stack)]
    for spec in specs:
        image = str(spec["TaskTemplate"]["ContainerSpec"]["Image"])
        if registry_of(image) == host and OWN_LOGIN_LABEL not in (spec.get("Labels") or {}):
            services.update(spec)


def _login(client: docker.DockerClient, host: str) -> Mapping[str, str]:
    """As an entry of `auths`."""
    with engine_errors(f"log in at {host}"), warnings.catch_warnings():
        # Of a credential helper that is not there, which the error says as well.
        warnings.simplefilter("ignore")
        header = auth.get_config_header(client.api, host)
    if not header:
        return {}
    document: dict[str, Any] = json.loads(base64.urlsafe_b64decode(header))
    # A credential helper spells it differently from the file.
    found = {name.lower(): value for name, value in document.items()}
    if found.get("identitytoken"):
        return {"identitytoken": str(found["identitytoken"])}
    if not found.get("username"):
        return {}
    return {"auth": base64.b64encode(f"{found['username']}:{found['password']}".encode()).decode()}
