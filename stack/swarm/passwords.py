"""Changing the password of a Redis that services of a Swarm use, without one of them being locked out.

A service gets another secret only with other replicas. So Redis's clients come first: they have the new password, and
the one that Redis still has. Then Redis gets the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stack.compose.model import Service
from stack.swarm.services import Present
from stack.swarm.spec import Reference
from swarmfn.wire.secret_files import PREVIOUS, REDIS_PASSWORD

BEFORE = REDIS_PASSWORD + PREVIOUS


def password_before(redis: Present | None, client: Present | None, wanted: Reference) -> Reference | None:
    """The previous password that Redis's clients get as well: that of the Redis that runs, where it is another
    than the wanted one. Otherwise the one that they have already, which does no harm: taking it away would replace them
    once more."""
    now = granted(redis, REDIS_PASSWORD)
    if now is not None and now.id != wanted.id:
        return now
    return granted(client, BEFORE)


def is_changing(redis: Present | None, wanted: Reference) -> bool:
    """Whether the Redis that runs has another password than the wanted one."""
    now = granted(redis, REDIS_PASSWORD)
    return now is not None and now.id != wanted.id


def with_password_before(services: Mapping[str, Service], redis: str) -> dict[str, Service]:
    """The services with one more secret for those that have Redis's password, other than `redis` itself."""
    return {name: service if name == redis else _with_before(service) for name, service in services.items()}


def granted(service: Present | None, file: str) -> Reference | None:
    """The secret that a service has as the file of that name."""
    if service is None:
        return None
    secrets = service.spec["TaskTemplate"]["ContainerSpec"].get("Secrets") or ()
    for secret in secrets:
        if secret["File"]["Name"].rpartition("/")[2] == file:
            return Reference(secret["SecretID"], secret["SecretName"])
    return None


def _with_before(service: Service) -> Service:
    more = [
        replace(grant, source=BEFORE, target=grant.target + PREVIOUS)
        for grant in service.secrets
        if grant.source == REDIS_PASSWORD
    ]
    return replace(service, secrets=(*service.secrets, *more))
