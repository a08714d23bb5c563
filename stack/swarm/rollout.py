"""Bringing the services of a stack to what was prepared: with its networks, configs and secrets, in stages, and undone
when it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import docker

from stack.compose.model import Service
from stack.errors import StackError
from stack.state import Settings
from stack.swarm import passwords
from stack.swarm.deployment import Deployment, stages_of
from stack.swarm.failures import FailureReports
from stack.swarm.health import HealthWait
from stack.swarm.objects import StackObjects
from stack.swarm.placement import Placement
from stack.swarm.preparation import REDIS, Prepared
from stack.swarm.removal import Removal
from stack.swarm.services import StackServices
from stack.swarm.spec import Reference, SpecContext, service_spec
from stack.swarm.stack_passwords import remove_superseded
from swarmfn.provider.swarm.hardening import offers_no_new_privileges
from swarmfn.wire.secret_files import REDIS_PASSWORD

Say = Callable[[str], None]


class ServiceRollout:
    """For the services of one stack, which is called `name`."""

    def __init__(self, client: docker.DockerClient, name: str, services: StackServices, say: Say) -> None:
        self._client = client
        self._name = name
        self._services = services
        self._say = say

    def run(self, prepared: Prepared, settings: Settings, placement: Placement) -> bool:
        """Whether anything was changed. Raises StackError; then everything is as it was before."""
        objects = StackObjects(self._client, self._name)
        health = HealthWait(self._services, FailureReports(self._client), self._say)
        deployment = Deployment(self._services, objects, health, Removal(self._services, self._say), self._say)
        compose = prepared.compose
        services, secrets, is_changing = self._with_password_before(prepared)
        try:
            context = SpecContext(
                stack=self._name,
                images=prepared.images,
                networks=objects.ensure_networks(compose.networks.values()),
                configs=objects.ensure_configs(compose.configs.values()),
                secrets=secrets,
                volumes=compose.volumes,
                data_node=settings.data_node,
                constraints=placement.constraints,
                has_no_new_privileges=offers_no_new_privileges(self._client.api.api_version),
            )
            stages = stages_of(services, {name: service_spec(service, context) for name, service in services.items()})
            plan = deployment.apply(stages[::-1] if is_changing else stages)
        except StackError:
            deployment.restore()
            raise
        objects.remove_configs(keep=context.configs.values())
        remove_superseded(self._client, self._name, compose.secrets, {secret.id for secret in secrets.values()})
        return not plan.is_empty

    def _with_password_before(self, prepared: Prepared) -> tuple[Mapping[str, Service], Mapping[str, Reference], bool]:
        """The services, their secrets, and whether Redis's password is changing: then its clients come first."""
        services, secrets = prepared.compose.services, dict(prepared.secrets)
        if REDIS_PASSWORD not in secrets:
            return services, secrets, False
        wanted = secrets[REDIS_PASSWORD]
        present = self._services.find(f"{self._name}_{REDIS}")
        client = self._services.find(f"{self._name}_gateway")
        if before := passwords.password_before(present, client, wanted):
            services = passwords.with_password_before(services, REDIS)
            secrets[passwords.BEFORE] = before
        return services, secrets, passwords.is_changing(present, wanted)
