"""Other passwords for a stack on a swarm, by `up`, while it is being called."""

from __future__ import annotations

import contextlib

import docker
import requests

from stack.swarm.services import StackServices
from tests.support.steady_load import SteadyLoad
from tests.support.swarm_platform import SwarmPlatform

CHANGED = ("basic-auth-password", "redis-password", "callback-signing-key")


def secret_names(client: docker.DockerClient, stack: str) -> dict[str, list[str]]:
    """By service, the names of the secrets that it has."""
    found: dict[str, list[str]] = {}
    for name, service in StackServices(client, stack).present().items():
        secrets = service.spec["TaskTemplate"]["ContainerSpec"].get("Secrets") or []
        found[name.removeprefix(f"{stack}_")] = sorted(secret["SecretName"] for secret in secrets)
    return found


def test_all_of_them_change_and_no_accepted_call_is_lost(swarm_platform: SwarmPlatform) -> None:
    platform, folder = swarm_platform, swarm_platform.state / "secrets"
    old = {name: (folder / name).read_text() for name in CHANGED}
    with contextlib.closing(platform.engine.client()) as client:
        before = secret_names(client, platform.stack)
        with SteadyLoad(platform, "wordcount") as load:
            load.wait_for_calls(20)
            for name in CHANGED:
                (folder / name).write_text(f'the new "{name}" \\ ')
            assert platform.system("GET", "/system/info").status_code == 200
            platform.up()
            load.wait_for_calls(20)
            load.assert_all_accepted_succeed()
        after = secret_names(client, platform.stack)
        there = {secret.name for secret in client.secrets.list()}
    assert platform.credentials == ("admin", 'the new "basic-auth-password" \\ ')
    assert platform.system("GET", "/system/info").status_code == 200
    with_old = ("admin", old["basic-auth-password"])
    assert requests.get(f"{platform.url}/system/info", auth=with_old, timeout=30).status_code == 401
    # Redis has the new one only; its clients know the previous one as well.
    (of_redis,) = after["redis"]
    assert of_redis not in before["redis"]
    assert set(after["worker"]) >= {of_redis, *before["redis"]}
    gone = {name for names in before.values() for name in names if name.endswith(("signing-key", "auth-password"))}
    assert not gone & there
    assert "nothing to do" in platform.up()
