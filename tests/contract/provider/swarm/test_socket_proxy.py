"""Behind the proxy that the documentation shows, functions are managed as without it, and nothing else is possible."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from collections.abc import Iterator

import pytest
import requests

from swarmfn.provider.swarm import SwarmProvider
from tests.contract.provider.calls import call_function, wait_for_replicas
from tests.contract.provider.swarm_engine import ROOT, TIMING, Swarm, SwarmEngine, add_file
from tests.support.waiting import wait_until

CONFIGURATION = ROOT / "docs/how-to/socket-proxy.cfg"


@pytest.fixture(scope="module")
def proxy(swarm: Swarm) -> Iterator[str]:
    """host:port of HAProxy before the engine's socket, with the documentation's configuration."""
    context = io.BytesIO()
    install = "apt-get update && apt-get install -y --no-install-recommends haproxy"
    with tarfile.open(fileobj=context, mode="w") as archive:
        add_file(archive, "haproxy.cfg", CONFIGURATION.read_text())
        add_file(archive, "Dockerfile", f"FROM {swarm.base}\nRUN {install}\nCOPY haproxy.cfg /etc/haproxy.cfg\n")
    context.seek(0)
    client = swarm.client
    client.images.build(fileobj=context, custom_context=True, tag="contract/haproxy:1", rm=True, timeout=300)
    container = client.containers.run(
        "contract/haproxy:1",
        ["haproxy", "-f", "/etc/haproxy.cfg"],
        detach=True,
        ports={"2375/tcp": None},
        volumes={swarm.engine.url.removeprefix("unix://"): {"bind": "/var/run/docker.sock"}},
    )
    try:
        container.reload()
        address = f"{swarm.engine.address}:{container.attrs['NetworkSettings']['Ports']['2375/tcp'][0]['HostPort']}"
        wait_until(lambda: requests.get(f"http://{address}/version", timeout=10).ok, message="the proxy answers")
        yield address
    except BaseException:
        print(container.logs().decode())
        raise
    finally:
        container.remove(force=True)


@pytest.fixture
def engine(swarm: Swarm, proxy: str) -> Iterator[SwarmEngine]:
    """Functions by way of the proxy."""
    engine = SwarmEngine(swarm)
    engine.provider.close()
    engine.provider = SwarmProvider(f"tcp://{proxy}", 60.0, "gateway:8080", TIMING, "", swarm.connect)
    yield engine
    engine.destroy()


def test_functions_are_deployed_called_changed_and_removed(engine: SwarmEngine) -> None:
    provider = engine.provider
    provider.deploy(engine.answering("greet", "hello"))
    assert call_function(engine, "greet").body == "hello"
    provider.update(engine.answering("greet", "welcome"))
    wait_until(lambda: call_function(engine, "greet").body == "welcome", 60)
    provider.scale("greet", 2)
    wait_for_replicas(provider, "greet", 2)
    provider.remove("greet")
    wait_until(lambda: "greet" not in provider.table())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/containers/create"),
        ("GET", "/containers/json"),
        ("POST", "/v1.41/build"),
        ("POST", "/swarm/leave"),
        ("POST", "/secrets/create"),
        ("DELETE", "/networks/functions"),
        ("GET", "/services/../containers/json"),
        ("GET", "/services/%2e%2e/containers/json"),
        ("GET", "//containers/json"),
        ("PUT", "/services/create"),
        ("GET", "/info"),
    ],
)
def test_nothing_else_passes(proxy: str, method: str, path: str) -> None:
    with contextlib.closing(requests.Session()) as session:
        request = requests.Request(method, f"http://{proxy}/", data=json.dumps({})).prepare()
        request.url = f"http://{proxy}{path}"
        assert session.send(request, timeout=30).status_code == 403
