"""Images of all kinds: whose watchdog they carry does not matter."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from pathlib import Path

from swarmfn.provider.swarm import SwarmProvider
from swarmfn.provider.swarm.engine_api import EngineApi
from swarmfn.provider.swarm.image_identity import identity_of
from swarmfn.wire.functions import FunctionSpec
from swarmfn.wire.rollouts import Rollout
from swarmfn.wire.swarm_labels import IMAGE_LABEL
from tests.contract.provider.calls import InBackground, SteadyCalls, call, call_function, wait_for_replicas
from tests.contract.provider.swarm_engine import IMAGE, Swarm, SwarmEngine
from tests.support.registry import Registry
from tests.support.waiting import wait_until


def test_an_image_with_nothing_of_ours_serves_rolls_and_drains(
    engine: SwarmEngine, provider: SwarmProvider, foreign_image: str
) -> None:
    function = FunctionSpec("foreign", foreign_image)
    provider.deploy(function)
    (address,) = wait_for_replicas(provider, "foreign", 1)
    assert call(engine, address, path="/_/health").body == "OK"
    nap = InBackground(lambda: call(engine, address, "sleep 3"))
    wait_until(lambda: engine.container("foreign").exec_run(["test", "-e", "/tmp/busy"]).exit_code == 0)
    with SteadyCalls(engine, "foreign") as calls:
        provider.update(replace(function, env_vars={"a": "b"}))
        wait_until(lambda: provider.table()["foreign"].addresses not in ((), (address,)))
    assert calls.failures == []
    assert nap.result().body == "SLEEP 3"


def test_an_image_without_a_health_check_is_called_once_it_accepts_connections(
    engine: SwarmEngine, provider: SwarmProvider, unchecked_image: str
) -> None:
    provider.deploy(FunctionSpec("slow", unchecked_image, env_vars={"START_DELAY": "2"}))
    wait_until(lambda: "accepts no connection" in provider.table()["slow"].problem)
    assert provider.table()["slow"].addresses == ()
    assert provider.get("slow").available_replicas == 0
    assert call_function(engine, "slow", "ready").body == "READY"
    assert provider.table()["slow"].problem == ""


def test_an_unhealthy_image_says_so(engine: SwarmEngine, provider: SwarmProvider, foreign_image: str) -> None:
    provider.deploy(FunctionSpec("sick", foreign_image, env_vars={"NEVER_LISTEN": "1"}))
    wait_until(lambda: "its health check failed" in provider.table()["sick"].problem)
    assert provider.table()["sick"].addresses == ()


def build(swarm: Swarm, tag: str, dockerfile: str) -> None:
    file = io.BytesIO(f"FROM {IMAGE}\n{dockerfile}\n".encode())
    swarm.client.images.build(fileobj=file, tag=tag, rm=True, timeout=120)


def says(word: str) -> str:
    return f"RUN echo {word} > /word"


def test_an_image_built_anew_under_its_name_is_rolled_out(engine: SwarmEngine, provider: SwarmProvider) -> None:
    function = FunctionSpec("who", "contract/rebuilt:1", env_process="cat /word")
    build(engine.swarm, function.image, says("one"))
    provider.deploy(function)
    assert call_function(engine, "who").body == "one"
    (address,) = provider.table()["who"].addresses
    provider.update(function)
    assert provider.get("who").rollout is Rollout.DONE
    build(engine.swarm, function.image, says("two"))
    with SteadyCalls(engine, "who") as calls:
        provider.update(function)
        wait_until(lambda: calls.answers[-5:] == ["two"] * 5)
    assert calls.failures == []
    wait_until(lambda: provider.get("who").rollout is Rollout.DONE)
    assert provider.get("who").spec == function
    assert provider.table()["who"].addresses != (address,)


def test_one_that_does_not_start_any_more_is_taken_back_and_tried_again(
    engine: SwarmEngine, provider: SwarmProvider
) -> None:
    function = FunctionSpec("who", "contract/rebuilt:2", env_process="cat /word")
    build(engine.swarm, function.image, says("one"))
    provider.deploy(function)
    wait_for_replicas(provider, "who", 1)
    build(engine.swarm, function.image, 'CMD ["sh", "-c", "echo no luck today; exit 1"]')
    provider.update(function)
    wait_until(lambda: provider.get("who").rollout is Rollout.TAKEN_BACK, 60)
    wait_until(lambda: "no luck today" in provider.get("who").problem)
    assert call_function(engine, "who").body == "one"
    build(engine.swarm, function.image, says("two"))
    provider.update(function)
    wait_until(lambda: provider.get("who").rollout is Rollout.DONE, 60)
    assert call_function(engine, "who").body == "two"


def test_a_function_of_before_is_not_replaced_for_want_of_a_mark(engine: SwarmEngine, provider: SwarmProvider) -> None:
    provider.deploy(engine.identifying("who"))
    wait_until(lambda: provider.get("who").rollout is Rollout.DONE)
    service = engine.service("who")
    template = service.attrs["Spec"]["TaskTemplate"]
    labels = {name: value for name, value in service.attrs["Spec"]["Labels"].items() if name != IMAGE_LABEL}
    spec = {**service.attrs["Spec"], "Labels": labels}
    engine.swarm.client.api._post_json(
        f"{engine.swarm.client.api.base_url}/v1.41/services/{service.id}/update?version={service.version}", data=spec
    ).raise_for_status()
    assert IMAGE_LABEL not in engine.service("who").attrs["Spec"]["Labels"]
    before = call_function(engine, "who")
    provider.update(engine.identifying("who"))
    marked = engine.service("who").attrs["Spec"]["Labels"][IMAGE_LABEL]
    assert marked == engine.swarm.client.images.get(IMAGE).id
    assert engine.service("who").attrs["Spec"]["TaskTemplate"] == template
    assert call_function(engine, "who") == before


def test_what_a_registry_has_under_a_name_counts(engine: SwarmEngine, tmp_path: Path) -> None:
    client, api = engine.swarm.client, EngineApi(engine.swarm.engine.url, 10.0)
    with Registry(tmp_path, engine.swarm.engine.network) as registry, contextlib.closing(api):
        image = f"{registry.address}/contract/pushed:1"
        digests = []
        for word in ("one", "two"):
            build(engine.swarm, image, says(word))
            client.images.push(image)
            digests.append(identity_of(api, image, ""))
            assert f"{image.rpartition(':')[0]}@{digests[-1]}" in client.images.get(image).attrs["RepoDigests"]
        assert digests[0] != digests[1]
        client.images.remove(image, force=True)
        assert identity_of(api, image, "") == digests[1]
        assert identity_of(api, f"{image}@{digests[1]}", "") == ""
        client.images.pull(image)
        registry.close()
        assert identity_of(api, image, "") == digests[1], "of what was pulled from there"
    client.images.remove(image, force=True)
