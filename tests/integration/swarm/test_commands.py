"""deploy_extended.py on a real swarm, as a user runs it: what is there is left alone, changed, or refused."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import requests

from tests.support.processes import REPOSITORY
from tests.support.swarm_command import PORT, Command

OURS = REPOSITORY / "docker-compose.swarm.yml"
OVERLAY = """
services:
  gateway:
    deploy: {labels: {org.example.team: blue}}
  beside:
    image: ${SWARMFN_IMAGE}
    user: "12"
    command: [sh, -c, "trap exit TERM; stat -c '%a %u' /etc/note; cat /etc/note; sleep infinity & wait"]
    env_file: FOLDER/beside.env
    environment: {GREETING: from the file itself}
    configs: [{source: note, target: /etc/note, mode: 0440, uid: "12"}]
    networks: [data]
    depends_on: [gateway]
    healthcheck: {test: [CMD, test, -s, /etc/note], interval: 1s}
    stop_grace_period: 2s
    deploy: {endpoint_mode: dnsrr, labels: {org.example.use: trial}}
configs:
  note: {file: FOLDER/note.txt}
"""


def test_a_first_up_that_fails_leaves_nothing(clean: Command) -> None:
    before = clean.leftovers()
    done = clean.up(upstream_timeout="soon")
    assert done.returncode == 1
    assert "It refuses its settings" in done.stderr
    assert clean.leftovers() == before
    assert not clean.state.exists()


def test_down_of_what_was_never_there_leaves_nothing(clean: Command) -> None:
    done = clean.run("down")
    assert (done.returncode, done.stdout) == (0, 'nothing to do: there is no stack "trial" on this swarm\n')
    assert not clean.state.exists()


def test_up_starts_a_healthy_stack_and_a_second_one_has_nothing_to_do(clean: Command) -> None:
    done = clean.up()
    assert done.returncode == 0, done.stderr
    assert f"gateway       {clean.url}" in done.stdout
    assert set(clean.replicas()) == {"trial_gateway", "trial_worker", "trial_redis"}
    assert requests.get(f"{clean.url}/healthz", timeout=10).status_code == 200
    assert clean.system("GET", "/system/info").json()["provider"]["orchestration"] == "swarm"
    limits = {row["setting"]: row["limit"] for row in clean.system("GET", "/system/limits").json()}
    assert 0 < limits["redis_maxmemory"] <= 2**30, "half of the container's two gigabytes"
    assert "redis_maxmemory" in clean.run("status").stdout
    gateway = addresses(clean, "trial_worker", "gateway", "gateway.openfaas")
    assert len(gateway) == 1, gateway
    before = clean.replicas()
    again = clean.up()
    assert (again.returncode, clean.replicas()) == (0, before)
    assert again.stdout.startswith("nothing to do")


def addresses(command: Command, service: str, *names: str) -> set[str]:
    """What these names mean to a replica of the service."""
    program = f"import socket; print(*map(socket.gethostbyname, {names}))"
    # Of a command that ends at once, the engine may lose the output.
    lasting = ["sh", "-c", '"$@"; sleep 0.3', "sh", "python", "-c", program]
    with contextlib.closing(command.engine.client()) as client:
        found = client.containers.list(filters={"label": f"com.docker.swarm.service.name={service}"})
        return set(found[0].exec_run(lasting).output.decode().split())


def test_a_changed_setting_replaces_only_the_service_it_concerns(running: Command) -> None:
    before = running.replicas()
    done = running.up(callback_timeout="31s")
    assert done.returncode == 0, done.stderr
    assert "trial_worker: updating" in done.stderr
    after = running.replicas()
    assert {name for name in after if after[name] != before[name]} == {"trial_worker"}
    assert running.up().returncode == 0


def test_what_a_file_of_ones_own_adds_is_on_the_swarm_and_stays(running: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(OVERLAY.replace("FOLDER", str(tmp_path)))
    (tmp_path / "beside.env").write_text("GREETING=from env_file\nPLACE=at $home\n")
    (tmp_path / "note.txt").write_text("a note\n")
    before = running.replicas()
    done = running.up("-f", str(OURS), "-f", str(tmp_path / "mine.yml"))
    assert done.returncode == 0, done.stderr
    gateway, beside = inspected(running, "trial_gateway"), inspected(running, "trial_beside")
    assert gateway["Labels"]["org.example.team"] == "blue"
    assert beside["Labels"]["org.example.use"] == "trial"
    assert beside["EndpointSpec"]["Mode"] == "dnsrr"
    container = beside["TaskTemplate"]["ContainerSpec"]
    assert set(container["Env"]) == {"GREETING=from the file itself", "PLACE=at $home"}
    (config,) = container["Configs"]
    assert config["File"] == {"Name": "/etc/note", "UID": "12", "GID": "0", "Mode": 0o440}
    assert "beside: ready" in done.stderr
    lines = running.run("logs", "beside").stdout
    assert "440 12" in lines, lines
    assert "a note" in lines
    after = running.replicas()
    assert {name: after[name] for name in before} == before, "labels alone replace nobody"

    again = running.up()
    assert again.stdout.startswith("nothing to do"), again.stderr
    assert f"compose files: {OURS}, {tmp_path / 'mine.yml'}, as in the last up" in again.stderr
    assert json.loads(running.run("status", "--json").stdout)["compose_files"] == [str(OURS), f"{tmp_path}/mine.yml"]

    back = running.up("-f", str(OURS))
    assert back.returncode == 0, back.stderr
    assert f"what {tmp_path / 'mine.yml'} said is undone" in back.stderr
    assert running.replicas() == before
    assert "org.example.team" not in inspected(running, "trial_gateway")["Labels"]
    assert not any("note" in name for name in running.leftovers())


def inspected(command: Command, service: str) -> dict[str, Any]:
    """What `docker service inspect` shows of it."""
    words = ["docker", "-H", command.engine.url, "service", "inspect", service]
    (found,) = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return dict(found["Spec"])


def test_management_moves_to_a_port_of_its_own_and_back(running: Command) -> None:
    port = PORT + 1
    before = running.replicas()
    done = running.up("--management-port", str(port))
    assert done.returncode == 0, done.stderr
    managed_at = f"http://{running.engine.address}:{port}"
    assert f"{managed_at}/ui/" in done.stdout
    after = running.replicas()
    assert {name for name in after if after[name] != before[name]} == {"trial_gateway"}
    assert running.system("GET", "/system/info").status_code == 404
    assert requests.get(f"{running.url}/healthz", timeout=10).status_code == 200
    assert requests.get(f"{managed_at}/system/info", timeout=10).status_code == 401
    assert f"management {managed_at}" in running.run("status").stdout
    assert running.up("--management-port", "0").returncode == 0
    assert running.system("GET", "/system/info").status_code == 200


def test_a_setting_that_the_gateway_refuses_is_undone_and_named(running: Command) -> None:
    before = set(running.replicas())
    done = running.up(upstream_timeout="soon")
    assert done.returncode == 1
    assert "It refuses its settings" in done.stderr
    assert "'soon'" in done.stderr
    assert set(running.replicas()) == before
    assert requests.get(f"{running.url}/healthz", timeout=10).status_code == 200
    assert running.up().stdout.startswith("nothing to do")


def test_an_image_that_cannot_be_had_changes_nothing(running: Command) -> None:
    before = running.replicas()
    done = running.run("up", "--no-examples", "--image", "localhost:1/nothing:1")
    assert done.returncode == 1
    assert "cannot pull the image localhost:1/nothing:1" in done.stderr
    assert running.replicas() == before


def test_a_server_that_cannot_read_the_data_is_refused_before_anything_stops(running: Command) -> None:
    before = running.replicas()
    file = running.state / "settings.json"
    kept = file.read_text()
    file.write_text(json.dumps({**json.loads(kept), "redis_reference": "newer", "redis_server": "Valkey 99.0.0"}))
    done = running.up()
    file.write_text(kept)
    assert done.returncode == 1
    assert re.search(r"was written by Valkey 99\.0\.0, and the image \S+ holds Valkey \d", done.stderr), done.stderr
    assert running.replicas() == before


def test_passwords_that_were_made_elsewhere_are_not_guessed(running: Command, tmp_path: Path) -> None:
    done = Command(running.engine, tmp_path).up()
    assert done.returncode == 1
    assert "Docker does not give secrets back" in done.stderr
    assert "--state-dir" in done.stderr
    assert not (tmp_path / "state").exists()
    assert requests.get(f"{running.url}/healthz", timeout=10).status_code == 200
