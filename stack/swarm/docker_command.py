"""How a prepared stack is deployed with Docker's own command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stack.chosen_files import COMPOSE_FILE, files_of
from stack.state import Settings
from stack.swarm.images import STACK_IMAGE
from stack.swarm.preparation import Prepared, variables_of

_DEFAULTS = {
    "gateway_port": "8080",
    "management_port": "",
    "SWARMFN_STACK": "swarmfn",
    "SWARMFN_IMAGE": STACK_IMAGE,
    "REDIS_IMAGE": "redis:7",
    "docker_socket": "/var/run/docker.sock",
}
"""Those of docker-compose.swarm.yml: variables with these values need not be named."""


def how_to_deploy(
    settings: Settings, prepared: Prepared, environ: Mapping[str, str], root: Path, gives_logins: bool
) -> str:
    """Words with the command to paste. `gives_logins`: it gives the nodes the user's logins at registries."""
    files = [file.name if file == root / COMPOSE_FILE else file for file in files_of(settings.compose_files, root)]
    named = " ".join(f"-c {file}" for file in files)
    is_pushed = bool(settings.registry) and prepared.stack_image == STACK_IMAGE
    own = prepared.images["gateway"] if is_pushed else prepared.stack_image
    redis = own if prepared.redis_image == prepared.stack_image else prepared.redis_image
    images = {"SWARMFN_IMAGE": own, "REDIS_IMAGE": redis}
    variables = {**variables_of(settings, environ), **images, **_versions(prepared)}
    put_in = "".join(f"{name}={value} " for name, value in variables.items() if value != _DEFAULTS.get(name))
    flags = "--with-registry-auth --resolve-image never" if gives_logins else "--resolve-image never"
    return f"ready for Docker's own command:\n  {put_in}docker stack deploy {flags} {named} {settings.stack}"


def _versions(prepared: Prepared) -> dict[str, str]:
    """What the compose file adds to the names of secrets whose value is not their first one."""
    return {
        f"{key.replace('-', '_')}_version": secret.name.removeprefix(prepared.compose.secrets[key].external_name)
        for key, secret in prepared.secrets.items()
        if secret.name != prepared.compose.secrets[key].external_name
    }
