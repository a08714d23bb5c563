"""Services brought to their specifications on a real engine, and put back when that fails."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from stack.compose.loading import load_compose
from stack.errors import DeployFailed, StackError
from stack.swarm.deployment import Deployment, stages_of
from stack.swarm.failures import FailureReports
from stack.swarm.health import HealthWait
from stack.swarm.objects import StackObjects
from stack.swarm.plan import Plan
from stack.swarm.removal import Removal
from stack.swarm.services import StackServices
from stack.swarm.spec import SpecContext, service_spec
from stack.swarm.tasks import Task
from tests.support.docker_engine import DockerEngine
from tests.support.images import base_image
from tests.support.processes import ChildProcess
from tests.support.waiting import wait_until

STACK = "small"
COMPOSE = """
services:
  base:
    image: ${IMAGE}
    command: [python3, -c, "import signal, time; signal.signal(15, lambda *_: exit()); time.sleep(9999)"]
    environment: {word: "${base_word:-one}"}
    networks: [inside]
    stop_grace_period: 3s
    healthcheck: {test: [CMD, "true"], interval: 1s}
    deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 0s}}
  web:
    image: ${IMAGE}
    command:
      - python3
      - -uc
      - |
        import os, signal, time
        signal.signal(signal.SIGTERM, lambda *_: exit())
        print("word", os.environ["word"])
        ${code:-time.sleep(9999)}
    environment: {word: "${web_word:-one}"}
    networks: [inside]
    ports: [{target: 80, published: "${port:-7001}", mode: host}]
    configs: [{source: note, target: /note}]
    depends_on: [base]
    stop_grace_period: 3s
    healthcheck: {test: "${check:-test -s /note}", interval: 1s, retries: 2}
    deploy:
      endpoint_mode: dnsrr
      restart_policy: {delay: 0s}
      update_config: {order: stop-first, failure_action: rollback, monitor: 1s}
      placement: {constraints: ["${constraint:-node.platform.os == linux}"]}
networks:
  inside: {driver: overlay, labels: {use: test}}
configs:
  note: {file: note.txt}
"""


class Small:
    """A stack of two small services on the engine."""

    def __init__(self, engine: DockerEngine, client: docker.DockerClient, folder: Path) -> None:
        self.engine = engine
        self.client = client
        self.said: list[str] = []
        self.services = StackServices(client, STACK)
        self._folder = folder
        (folder / "compose.yml").write_text(COMPOSE)
        (folder / "note.txt").write_text("a note")

    def note(self, text: str) -> None:
        (self._folder / "note.txt").write_text(text)

    def up(self, **variables: str) -> Plan:
        """One run. Raises StackError once everything is as before."""
        compose = load_compose(self._folder / "compose.yml", {"IMAGE": base_image(self.engine), **variables})
        objects = StackObjects(self.client, STACK)
        health = HealthWait(self.services, FailureReports(self.client), self.said.append)
        deployment = Deployment(
            self.services, objects, health, Removal(self.services, self.said.append), self.said.append
        )
        try:
            context = SpecContext(
                stack=STACK,
                images={},
                networks=objects.ensure_networks(compose.networks.values()),
                configs=objects.ensure_configs(compose.configs.values()),
            )
            specs = {name: service_spec(service, context) for name, service in compose.services.items()}
            plan = deployment.apply(stages_of(compose.services, specs))
        except StackError:
            deployment.restore()
            raise
        objects.remove_configs(keep=context.configs.values())
        return plan

    def running(self) -> dict[str, str]:
        """The id of the replica that runs, by service."""
        tasks = {name: self.services.tasks(found.id) for name, found in self.services.present().items()}
        return {name: next((task.id for task in found if task.is_running), "") for name, found in tasks.items()}

    def word(self) -> str:
        environment = self.services.present()["small_web"].spec["TaskTemplate"]["ContainerSpec"]["Env"]
        return str(environment[0])

    def leftovers(self) -> list[str]:
        """Everything on the engine that belongs to the stack."""
        api = self.client.api
        mine = {"label": [f"com.docker.stack.namespace={STACK}"]}
        names = [service["Spec"]["Name"] for service in api.services(filters=mine)]
        names += [network["Name"] for network in api.networks(filters=mine)]
        return names + [config["Spec"]["Name"] for config in api.configs(filters=mine)]

    def remove(self) -> None:
        Removal(self.services, self.said.append).remove(self.services.present())
        objects = StackObjects(self.client, STACK)
        objects.remove_networks(timeout=30)
        objects.remove_configs()


@pytest.fixture(scope="module")
def own_client(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[docker.DockerClient]:
    """At the end the stack is removed: one test finds it as the one before has left it."""
    with contextlib.closing(docker_engine.client()) as client:
        yield client
        Small(docker_engine, client, tmp_path_factory.mktemp("last")).remove()


@pytest.fixture
def small(docker_engine: DockerEngine, own_client: docker.DockerClient, tmp_path: Path) -> Small:
    """The stack, not deployed."""
    small = Small(docker_engine, own_client, tmp_path)
    if small.leftovers():
        small.remove()
    return small


@pytest.fixture
def running(docker_engine: DockerEngine, own_client: docker.DockerClient, tmp_path: Path) -> Small:
    """The stack, deployed as it is described."""
    running = Small(docker_engine, own_client, tmp_path)
    running.up()
    running.said.clear()
    return running


FAILURES = [
    pytest.param({"code": "exit(1)"}, "non-zero exit (1)", "| word one", id="ends"),
    pytest.param({"code": "exit(2)"}, "It refuses its settings", "| word one", id="refuses its settings"),
    pytest.param({"check": "echo all wrong; exit 1"}, "unhealthy", "Its health check said: all wrong", id="unhealthy"),
    pytest.param({"IMAGE": "nowhere/nothing:1"}, "No such image", "The node has no image", id="no image"),
    pytest.param(
        {"constraint": "node.labels.disk == ssd"}, "scheduling constraints", "No node fulfils", id="no suitable node"
    ),
]


@pytest.mark.parametrize(("variables", "reason", "more"), FAILURES)
def test_a_first_deployment_that_fails_leaves_nothing_and_says_why(
    small: Small, variables: dict[str, str], reason: str, more: str
) -> None:
    with pytest.raises(DeployFailed) as caught:
        small.up(**variables)
    assert reason in str(caught.value)
    assert more in str(caught.value)
    assert small.leftovers() == []


def test_what_is_missing_is_created_in_stages_and_then_there_is_nothing_to_do(small: Small) -> None:
    plan = small.up()
    assert plan.create == ("small_base", "small_web")
    assert small.said.index("small_base: ready") < small.said.index("small_web: creating")
    before = {name: found.version for name, found in small.services.present().items()}
    assert small.up().is_empty
    assert {name: found.version for name, found in small.services.present().items()} == before


def test_docker_s_own_commands_see_the_stack(running: Small) -> None:
    def docker_command(*words: str) -> str:
        command = ["docker", "-H", running.engine.url, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "small" in docker_command("stack", "ls")
    assert {"small_base.1", "small_web.1"} <= set(docker_command("stack", "ps", "small").split())
    assert {"small_base", "small_web"} <= set(docker_command("stack", "services", "small").split())


def test_a_change_replaces_only_the_service_it_concerns(running: Small) -> None:
    before = running.running()
    plan = running.up(web_word="two")
    assert (plan.update, running.word()) == (("small_web",), "word=two")
    after = running.running()
    assert after["small_base"] == before["small_base"]
    assert after["small_web"] not in ("", before["small_web"])


def test_changed_content_of_a_config_reaches_the_service_and_the_old_one_is_removed(running: Small) -> None:
    before = [name for name in running.leftovers() if "note" in name]
    running.note("another note")
    assert running.up().update == ("small_web",)
    after = [name for name in running.leftovers() if "note" in name]
    assert len(after) == 1
    assert after != before


def test_what_someone_changed_by_hand_is_put_right(running: Small) -> None:
    service = running.client.services.get("small_base")
    service.scale(2)
    assert running.up().update == ("small_base",)
    assert running.services.present()["small_base"].spec["Mode"]["Replicated"]["Replicas"] == 1


@pytest.fixture
def history(own_client: docker.DockerClient, request: pytest.FixtureRequest) -> Iterator[None]:
    """How many tasks of a replica the swarm keeps after their end."""
    own_client.swarm.reload()
    own_client.swarm.update(task_history_retention_limit=request.param)
    yield
    own_client.swarm.reload()
    own_client.swarm.update(task_history_retention_limit=5)


# Without a history Swarm deletes a task, and its container, a quarter of a second after its end.
@pytest.mark.parametrize(
    ("history", "variables", "reason", "more"),
    [
        pytest.param(limit, *failure.values, id=f"{failure.id}, history of {limit}")
        for limit, failure in zip((0, 1, 5, 0, 1), FAILURES, strict=True)
    ],
    indirect=["history"],
)
@pytest.mark.usefixtures("history")
def test_a_change_that_fails_is_undone_and_says_why(
    running: Small, variables: dict[str, str], reason: str, more: str, request: pytest.FixtureRequest
) -> None:
    before = {name: found.spec for name, found in running.services.present().items()}
    with pytest.raises(DeployFailed) as caught:
        running.up(web_word="two", **variables)
    assert reason in str(caught.value)
    # A container that is deleted at once may take its log along.
    keeps_logs = request.node.callspec.params["history"] > 1
    assert more.replace("one", "two") in str(caught.value) or (more.startswith("|") and not keeps_logs)
    assert {name: found.spec for name, found in running.services.present().items()} == before
    assert "" not in running.running().values()
    assert running.up().is_empty


def test_how_a_forgotten_task_ended_is_known_to_its_engine(running: Small) -> None:
    labels = {"com.docker.swarm.task.id": "forgotten"}
    running.client.containers.run(base_image(running.engine), ["sh", "-c", "exit 7"], labels=labels, detach=True)
    forgotten, unknown = (Task(name, "s", "m", "gone", False, "", "", "n", "") for name in ("forgotten", "unknown"))

    def found() -> list[tuple[str, str]]:
        return [(task.state, task.error) for task in FailureReports(running.client).with_exits([forgotten, unknown])]

    wait_until(lambda: found() == [("failed", "non-zero exit (7)"), ("gone", "")], 30)


def test_a_port_that_another_service_has_is_named(running: Small) -> None:
    other = running.client.services.create(
        base_image(running.engine),
        command=["sleep", "9999"],
        name="other",
        endpoint_spec=docker.types.EndpointSpec(mode="dnsrr", ports={7002: (80, "tcp", "host")}),
    )
    try:
        wait_until(lambda: [task for task in other.tasks() if task["Status"]["State"] == "running"], timeout=30)
        with pytest.raises(DeployFailed, match=r"Port 7002 of the node is in use. Choose another, such as --port 7003"):
            running.up(port="7002")
    finally:
        other.remove()
    assert running.up().is_empty


def test_a_port_that_another_program_has_is_named(running: Small, tmp_path: Path) -> None:
    command = running.engine.enter("python3", "-m", "http.server", "7013")
    with ChildProcess(command, tmp_path / "http.log") as program:
        program.wait_for_log("Serving")
        with pytest.raises(DeployFailed, match="Port 7013 of the node is in use"):
            running.up(port="7013")
    assert running.up().is_empty


def test_a_network_that_differs_is_refused_with_what_helps(running: Small, tmp_path: Path) -> None:
    path = tmp_path / "compose.yml"
    path.write_text(path.read_text().replace("use: test", "use: other"))
    with pytest.raises(StackError, match="small_inside is not as the compose file describes it"):
        running.up()
    assert "" not in running.running().values()
