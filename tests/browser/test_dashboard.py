"""The dashboard in a real browser: its scripts run under our policy, and its pages show what is so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from rq import Queue

from tests.browser.conftest import Visitor
from tests.support.browser import Page
from tests.support.gateway import GatewayProcess
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until
from tests.support.worker import WorkerProcess


@dataclass(frozen=True)
class Calls:
    """The ids of one call in each state."""

    finished: str
    failed: str
    started: str
    queued: str


@pytest.fixture(scope="module")
def calls(gateway: GatewayProcess, worker: WorkerProcess) -> Iterator[Calls]:
    gateway.deploy("echo")
    gateway.deploy("broken", envProcess="false")
    gateway.deploy("slow", envProcess="sleep 3600", envVars={"exec_timeout": "2h"})
    made = Calls(
        finished=send(gateway, "echo"),
        failed=send(gateway, "broken"),
        started=send(gateway, "slow", "running"),
        queued=send(gateway, "slow", "queued"),
    )
    wait_for(gateway, made.finished, "succeeded")
    wait_for(gateway, made.failed, "failed")
    yield made
    gateway.remove_all()


def send(gateway: GatewayProcess, function: str, wanted: str = "") -> str:
    """Sends one asynchronous call; returns its id once it is in the `wanted` state."""
    call_id = gateway.post(f"/async-function/{function}", data=b"<b>secret</b> input").headers["X-Call-Id"]
    if wanted:
        wait_for(gateway, call_id, wanted)
    return str(call_id)


def wait_for(gateway: GatewayProcess, call_id: str, state: str) -> None:
    def reached() -> bool:
        response = gateway.get(f"/async-function/{call_id}")
        assert response.status_code == 200, response.text
        return bool(response.json()["state"] == state)

    wait_until(reached, message=f"{call_id} is {state}")


def check(page: Page) -> None:
    """No script failed, and our policy stood in the way of none."""
    assert page.console == []
    assert "Loading..." not in page.text


def test_the_queues_page_counts_the_jobs_in_every_state(visitor: Visitor, calls: Calls) -> None:
    page = visitor.open("/ui/rq/")
    check(page)
    # queued, deferred, scheduled, started, finished, failed, cancelled
    assert "echo 0 0 0 0 1 0 0" in page.text
    assert "broken 0 0 0 0 0 1 0" in page.text
    assert "slow 1 0 0 1 0 0 0" in page.text


@pytest.mark.parametrize(
    ("queue", "registry", "call"),
    [
        ("echo", "finished", "finished"),
        ("broken", "failed", "failed"),
        ("slow", "started", "started"),
        ("slow", "queued", "queued"),
    ],
)
def test_the_jobs_page_lists_them(visitor: Visitor, calls: Calls, queue: str, registry: str, call: str) -> None:
    page = visitor.open(f"/ui/rq/0/view/jobs/{queue}/{registry}/8/asc/1")
    check(page)
    assert getattr(calls, call) in page.text
    assert not [other for other in vars(calls) if other != call and getattr(calls, other) in page.text]
    assert ("Requeue All" in page.text) is (registry == "failed")
    assert "Empty queue" not in page.text


@pytest.mark.parametrize("state", ["finished", "failed", "started", "queued"])
def test_the_page_of_a_job_shows_its_state_and_nothing_of_its_content(
    visitor: Visitor, calls: Calls, state: str
) -> None:
    call_id = getattr(calls, state)
    page = visitor.open(f"/ui/rq/0/view/job/{call_id}")
    check(page)
    assert f"Job ID : {call_id}" in page.text
    assert f"Status : {state}" in page.text
    assert "secret" not in page.document


def test_the_workers_page_shows_the_worker_and_what_it_runs(visitor: Visitor, calls: Calls) -> None:
    page = visitor.open("/ui/rq/0/view/workers")
    check(page)
    assert "No workers" not in page.text
    assert calls.started in page.document


def test_the_job_of_an_unknown_call_is_a_page_that_says_so(visitor: Visitor, calls: Calls) -> None:
    page = visitor.open("/ui/rq/0/view/job/unknown")
    assert "there is no record of this job" in page.text


def test_markup_in_a_foreign_job_runs_no_script(visitor: Visitor, redis_for_pages: RedisServer, calls: Calls) -> None:
    markup = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    with redis_for_pages.client() as client:
        queue = Queue("foreign", connection=client)
        queue.enqueue_in(timedelta(days=1), "os.getcwd", job_id="foreign", description=markup)
        for path in ("/ui/rq/0/view/job/foreign", "/ui/rq/0/view/jobs/foreign/scheduled/8/asc/1"):
            page = visitor.open(path)
            check(page)
            assert "<title>RQ dashboard</title>" in page.document
            assert "onerror" in page.text
