"""rq-dashboard under /ui/rq/: truthful, behind the guards, and never a broken page."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
from redis.typing import EncodableT, FieldT
from rq import Queue
from rq.job import Job, JobStatus
from rq.results import Result
from rq.suspension import resume, suspend

from tests.support.gateway import GatewayProcess
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

PAGES = ["/ui/rq/", "/ui/rq/0/view/jobs", "/ui/rq/0/view/workers"]
Fields = dict[FieldT, EncodableT]

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def queues(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client of the Redis that the gateway uses, which is empty."""
    with redis_server.client() as client:
        yield client


def enqueue(queues: redis.Redis, job_id: str, queue: str = "echo", **options: Any) -> Job:
    return Queue(queue, connection=queues).enqueue("os.getcwd", job_id=job_id, **options)


def fail(job: Job, why: str = "it broke") -> None:
    """Makes a queued job a failed one, as a worker would."""
    Queue(job.origin, connection=job.connection).remove(job)
    job.set_status(JobStatus.FAILED)
    job.failed_job_registry.add(job, ttl=1000, exc_string=why)
    Result.create_failure(job, ttl=1000, exc_string=why)


def listed(gateway: GatewayProcess, registry: str, queue: str = "echo") -> list[str]:
    response = gateway.get(f"/ui/rq/0/data/jobs/{queue}/{registry}/50/asc/1.json")
    assert response.status_code == 200
    return [job["id"] for job in response.json()["jobs"]]


@pytest.mark.parametrize("path", PAGES)
def test_pages_work_on_an_empty_redis(gateway: GatewayProcess, queues: redis.Redis, path: str) -> None:
    response = gateway.get(path)
    assert response.status_code == 200
    assert "RQ dashboard" in response.text


@pytest.mark.parametrize("path", ["/ui/rq", "/ui/rq/0/view/queues"])
def test_other_addresses_of_the_first_page_lead_there(gateway: GatewayProcess, path: str) -> None:
    response = gateway.get(path)
    assert (response.status_code, response.headers["Location"]) == (308, "/ui/rq/")


@pytest.mark.parametrize("path", [*PAGES, "/ui/rq/0/view/job/one", "/ui/rq/0/data/job/one.json"])
def test_no_page_shows_the_password_of_redis(
    gateway: GatewayProcess, queues: redis.Redis, redis_server: RedisServer, path: str
) -> None:
    enqueue(queues, "one")
    response = gateway.get(path)
    assert response.status_code == 200
    assert redis_server.password not in response.text


@pytest.mark.parametrize("path", PAGES)
def test_pages_run_no_scripts_but_their_own(gateway: GatewayProcess, queues: redis.Redis, path: str) -> None:
    first, second = gateway.get(path), gateway.get(path)
    policy = first.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy.partition("style-src")[0]
    assert policy != second.headers["Content-Security-Policy"]
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert first.text.count(f'<script nonce="{nonce}"') == 1
    assert first.headers["X-Frame-Options"] == "DENY"
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    assert first.headers["Cache-Control"] == "no-store"


def test_jobs_are_listed_where_they_are(gateway: GatewayProcess, queues: redis.Redis) -> None:
    enqueue(queues, "waiting")
    fail(enqueue(queues, "broken"))
    assert listed(gateway, "queued") == ["waiting"]
    assert listed(gateway, "failed") == ["broken"]
    row = gateway.get("/ui/rq/0/data/queues.json").json()["queues"][0]
    assert (row["name"], row["count"], row["failed_job_registry_count"]) == ("echo", 1, 1)
    detail = gateway.get("/ui/rq/0/data/job/broken.json").json()
    assert (detail["status"], detail["origin"], detail["exc_info"]) == ("failed", "echo", "it broke")


@pytest.mark.parametrize("registry", ["queued", "failed"])
@pytest.mark.parametrize("order", ["asc", "dsc"])
def test_the_pages_of_a_list_hold_each_job_once_in_order(
    gateway: GatewayProcess, queues: redis.Redis, registry: str, order: str
) -> None:
    names = [f"job-{number:02}" for number in range(21)]
    for name in names:
        job = enqueue(queues, name)
        if registry == "failed":
            fail(job)
    seen: list[str] = []
    for page in range(1, 5):
        listing = gateway.get(f"/ui/rq/0/data/jobs/echo/{registry}/8/{order}/{page}.json").json()
        seen += [job["id"] for job in listing["jobs"]]
        assert listing["pagination"]["num_pages"] == 3
        assert len(seen) == min(8 * page, 21)
    assert sorted(seen) == names
    if registry == "queued":
        assert seen == (names if order == "asc" else names[::-1])


def test_requeueing_everything_by_a_link_is_refused(gateway: GatewayProcess, queues: redis.Redis) -> None:
    fail(enqueue(queues, "broken"))
    for method in ("GET", "HEAD"):
        response = gateway.request(method, "/ui/rq/requeue/echo")
        assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert listed(gateway, "failed") == ["broken"]


def test_failed_jobs_can_be_put_back_one_or_all(gateway: GatewayProcess, queues: redis.Redis) -> None:
    for name in ("one", "two", "three"):
        fail(enqueue(queues, name))
    own_page = {"Origin": gateway.url}
    assert gateway.post("/ui/rq/job/two/requeue", headers=own_page).status_code == 200
    assert listed(gateway, "queued") == ["two"]
    assert gateway.post("/ui/rq/requeue/echo", headers=own_page).json() == {"count": 2, "status": "OK"}
    assert sorted(listed(gateway, "queued")) == ["one", "three", "two"]


def test_putting_back_what_has_not_failed_is_told_so(gateway: GatewayProcess, queues: redis.Redis) -> None:
    enqueue(queues, "waiting")
    assert gateway.post("/ui/rq/job/waiting/requeue").status_code == 409
    assert gateway.post("/ui/rq/job/missing/requeue").status_code == 404


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_another_sites_page_cannot_put_jobs_back(gateway: GatewayProcess, queues: redis.Redis, origin: str) -> None:
    fail(enqueue(queues, "broken"))
    for path in ("/ui/rq/job/broken/requeue", "/ui/rq/requeue/echo"):
        assert gateway.post(path, headers={"Origin": origin}).status_code == 403
    assert listed(gateway, "failed") == ["broken"]


@pytest.mark.parametrize("path", ["job/one/delete", "queue/echo/queued/empty", "queue/echo/compact"])
def test_deleting_emptying_and_compacting_are_refused(gateway: GatewayProcess, queues: redis.Redis, path: str) -> None:
    enqueue(queues, "one")
    response = gateway.post(f"/ui/rq/{path}", headers={"Sec-Fetch-Site": "same-origin"})
    assert response.status_code == 403
    assert listed(gateway, "queued") == ["one"]


def test_pages_offer_no_button_that_is_refused(gateway: GatewayProcess, queues: redis.Redis) -> None:
    page = gateway.get("/ui/rq/0/view/jobs/echo/queued/8/asc/1").text
    assert 'id="empty-btn"' not in page
    assert 'data-role="delete-job-btn"' not in page
    assert "#compact-btn { display: none; }" in page


def test_an_unknown_job_is_a_404(gateway: GatewayProcess, queues: redis.Redis) -> None:
    page = gateway.get("/ui/rq/0/view/job/missing", headers=BROWSER)
    assert page.status_code == 404
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "no record of this job" in page.text
    assert gateway.get("/ui/rq/0/data/job/missing.json").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "1/",
        "1/view/workers",
        "7/data/queues.json",
        "0/view/jobs/echo/nonsense/8/asc/1",
        "0/view/jobs/echo/queued/8/up/1",
        "0/view/jobs/echo/queued/0/asc/1",
        "0/view/jobs/echo/queued/100000/asc/1",
        "0/view/jobs/%5C/queued/8/asc/1",
        "0/view/jobs/a%0Ab/queued/8/asc/1",
        "0/data/jobs/echo/nonsense/8/asc/1.json",
        "0/data/jobs/echo/queued/x/asc/1.json",
        "0/data/jobs/echo/queued/8/asc/x.json",
        "0/data/jobs/echo/queued/8/asc/0.json",
        "0/data/jobs/echo/queued/0/asc/1.json",
        "0/data/jobs/echo/queued/-1/asc/1.json",
        "0/data/jobs/echo/queued/8/asc/99999999999999999999.json",
        "0/data/nonsense.json",
    ],
)
def test_addresses_that_lead_nowhere_are_a_404(gateway: GatewayProcess, queues: redis.Redis, path: str) -> None:
    assert gateway.get(f"/ui/rq/{path}").status_code == 404


def test_an_unknown_or_empty_queue_is_an_empty_list(gateway: GatewayProcess, queues: redis.Redis) -> None:
    assert gateway.get("/ui/rq/0/view/jobs/nobody/queued/8/asc/1").status_code == 200
    assert listed(gateway, "queued", "nobody") == []


POISON: dict[str, Fields] = {
    "no data": {"origin": b"echo"},
    "data of another kind": {"data": b"\x00\xff", "meta": b"\x80garbage"},
    "text that is not text": {"description": b"\xff\xfe"},
    "unknown status": {"status": b"dancing"},
    "time that is not a time": {"created_at": b"yesterday"},
    "number that is not a number": {"timeout": b"soon", "ttl": b"x"},
    "a result that is not one": {"result": b"\x80\x04nonsense"},
}


@pytest.mark.parametrize("fields", POISON.values(), ids=POISON.keys())
def test_a_record_that_does_not_parse_hides_no_other(
    gateway: GatewayProcess, queues: redis.Redis, fields: Fields
) -> None:
    for name in ("before", "poisoned", "after"):
        enqueue(queues, name)
    if "data" not in fields and "origin" in fields:
        queues.delete("rq:job:poisoned")
    queues.hset("rq:job:poisoned", mapping=fields)
    assert {"before", "after"} <= set(listed(gateway, "queued"))
    assert gateway.get("/ui/rq/0/data/job/before.json").status_code == 200
    for path in ("view/job/poisoned", "data/job/poisoned.json"):
        response = gateway.get(f"/ui/rq/0/{path}")
        assert response.status_code == 200, response.text


def test_a_record_of_the_wrong_type_is_listed_as_unreadable(gateway: GatewayProcess, queues: redis.Redis) -> None:
    enqueue(queues, "fine")
    enqueue(queues, "odd")
    queues.delete("rq:job:odd")
    queues.set("rq:job:odd", "a string")
    jobs = gateway.get("/ui/rq/0/data/jobs/echo/queued/8/asc/1.json").json()["jobs"]
    assert {job["id"]: job["description"] for job in jobs}["odd"] == "(this record cannot be read)"
    assert gateway.get("/ui/rq/0/view/job/odd", headers=BROWSER).status_code == 200
    told = gateway.get("/ui/rq/0/data/job/odd.json").json()
    assert (told["description"], told["status"]) == ("(this record cannot be read)", "unknown")
    assert gateway.post("/ui/rq/job/odd/requeue").status_code == 409


def test_a_job_shows_what_it_waits_for(gateway: GatewayProcess, queues: redis.Redis) -> None:
    first, second = enqueue(queues, "first"), enqueue(queues, "second")
    enqueue(queues, "third", depends_on=[first, second])
    second.delete()
    told = gateway.get("/ui/rq/0/data/job/third.json").json()
    assert (told["status"], told["depends_on"]) == ("deferred", ["first", "second"])
    assert told["depends_on_status"] == ["active", "expired"]
    assert listed(gateway, "deferred") == ["third"]
    assert gateway.get("/ui/rq/0/view/job/third").status_code == 200


@pytest.mark.parametrize("job_id", ["a:b", "a/b", "a b", "ü", "a/b.json", "x" * 300])
def test_a_job_s_id_may_have_anything_in_it(gateway: GatewayProcess, queues: redis.Redis, job_id: str) -> None:
    enqueue(queues, "plain")
    queues.rename("rq:job:plain", f"rq:job:{job_id}")
    queues.lset("rq:queue:echo", 0, job_id)
    assert listed(gateway, "queued") == [job_id]
    queues.zadd("rq:failed:echo", {job_id: 2e9})
    assert listed(gateway, "failed") == [job_id]
    queues.zadd("rq:wip:echo", {f"{job_id}:1234": 2e9})
    assert listed(gateway, "started") == [job_id]
    path = quote(job_id, safe="")
    assert gateway.get(f"/ui/rq/0/view/job/{path}").status_code == 200
    assert gateway.get(f"/ui/rq/0/data/job/{path}.json").json()["id"] == job_id
    missing = quote(f"no {job_id}", safe="")
    for unknown in (f"view/job/{missing}", f"data/job/{missing}.json"):
        assert gateway.get(f"/ui/rq/0/{unknown}").status_code == 404


ODD_WORKERS: dict[str, Fields] = {
    "bytes": {"state": b"\xff", "last_heartbeat": b"\xff", "hostname": b"\xfe", "queues": b"a,\xff"},
    "no numbers": {"pid": b"abc", "successful_job_count": b"many", "total_working_time": b"long"},
    "no times": {"birth": b"x", "last_heartbeat": b"yesterday"},
    "next to nothing": {"x": b"y"},
}


@pytest.mark.parametrize("fields", ODD_WORKERS.values(), ids=ODD_WORKERS.keys())
def test_an_odd_worker_is_listed_beside_the_others(
    gateway: GatewayProcess, queues: redis.Redis, fields: Fields
) -> None:
    queues.sadd("rq:workers", "rq:worker:odd ü", "rq:worker:fine", "rq:worker:gone", "rq:worker:text")
    queues.hset("rq:worker:fine", mapping={"state": "idle", "pid": 7, "queues": "echo,other"})
    queues.hset("rq:worker:odd ü", mapping=fields)
    queues.set("rq:worker:text", "no hash")
    workers = {worker["name"]: worker for worker in gateway.get("/ui/rq/0/data/workers.json").json()["workers"]}
    assert set(workers) == {"fine", "odd ü", "text"}
    assert (workers["fine"]["pid"], workers["fine"]["queues"]) == (7, ["echo", "other"])
    assert gateway.get("/ui/rq/0/view/workers").status_code == 200


def test_suspended_workers_are_told_of_everywhere(gateway: GatewayProcess, queues: redis.Redis) -> None:
    def sentences() -> list[str]:
        return [text for text in gateway.get("/system/warnings").json() if "suspended" in text]

    assert sentences() == []
    assert "suspended" not in gateway.get("/ui/").text
    assert "swarmfn_workers_suspended 0.0" in gateway.get("/metrics").text
    suspend(queues, ttl=500)
    assert len(sentences()) == 1
    assert "wait until rq resume, or for another" in sentences()[0]
    assert sentences()[0][:60] in gateway.get("/ui/").text
    assert "swarmfn_workers_suspended 1.0" in gateway.get("/metrics").text
    resume(queues)
    assert sentences() == []


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.path, "w"))


@pytest.mark.parametrize("field", ["data", "meta", "result"])
def test_looking_at_a_job_runs_nothing_that_is_stored_in_it(
    gateway: GatewayProcess, queues: redis.Redis, tmp_path: Path, field: str
) -> None:
    job = enqueue(queues, "trap")
    trap = pickle.dumps(Trap(str(tmp_path / "sprung")))
    if field == "result":
        queues.hset("rq:job:trap", "status", "finished")
    queues.hset("rq:job:trap", field, trap)
    queues.xadd("rq:results:trap", {"type": "1", "return_value": base64.b64encode(trap)})
    fail(job)
    for path in (
        "data/jobs/echo/queued/8/asc/1.json",
        "data/jobs/echo/failed/8/asc/1.json",
        "view/job/trap",
        "data/job/trap.json",
        "data/workers.json",
    ):
        gateway.get(f"/ui/rq/0/{path}")
    gateway.post("/ui/rq/job/trap/requeue")
    gateway.post("/ui/rq/requeue/echo")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("value", [b"\xff bytes", {1, 2}, (1, b"x"), float("nan"), {"a": {b"b": 1}}, 2**70, None])
def test_any_plain_result_can_be_looked_at(gateway: GatewayProcess, queues: redis.Redis, value: Any) -> None:
    job = enqueue(queues, "done", meta={"kept": value})
    job.set_status(JobStatus.FINISHED)
    Result.create(job, Result.Type.SUCCESSFUL, ttl=100, return_value=value)
    detail = gateway.get("/ui/rq/0/data/job/done.json")
    assert detail.status_code == 200
    assert detail.json()["status"] == "finished"


MARKUP = "<img src=x onerror=alert(1)>"


def test_fields_that_the_page_puts_into_the_document_have_no_markup(
    gateway: GatewayProcess, queues: redis.Redis
) -> None:
    job = enqueue(queues, "marked", description=MARKUP, meta={MARKUP: MARKUP})
    job.set_status(JobStatus.FINISHED)
    Result.create(job, Result.Type.SUCCESSFUL, ttl=100, return_value={MARKUP: [MARKUP]})
    text = gateway.get("/ui/rq/0/data/job/marked.json").text
    assert "&lt;img" in text
    assert "<img" not in text
    fail(job, MARKUP)
    assert "<img" not in gateway.get("/ui/rq/0/data/job/marked.json").text


def test_lists_have_no_markup_and_show_what_was_written(gateway: GatewayProcess, queues: redis.Redis) -> None:
    """The page of a list makes text of these fields itself, so that they must not be escaped for it."""
    fail(enqueue(queues, "marked", description=MARKUP), MARKUP)
    answer = gateway.get("/ui/rq/0/data/jobs/echo/failed/8/asc/1.json")
    assert "<" not in answer.text
    (job,) = answer.json()["jobs"]
    assert (job["description"], job["exc_info"]) == (MARKUP, MARKUP)


def test_a_queue_with_an_odd_name_breaks_nothing(gateway: GatewayProcess, queues: redis.Redis) -> None:
    enqueue(queues, "one", queue="<b>odd</b> & 'quoted'")
    enqueue(queues, "two")
    queues.sadd("rq:queues", "nonsense", b"\xff\xfe")
    response = gateway.get("/ui/rq/0/data/queues.json")
    assert response.status_code == 200
    assert "<b>" not in response.text
    for path in PAGES:
        assert gateway.get(path).status_code == 200
        assert "<b>odd" not in gateway.get(path).text


def test_looking_changes_nothing_in_redis(gateway: GatewayProcess, queues: redis.Redis) -> None:
    enqueue(queues, "kept")
    enqueue(queues, "expired")
    queues.delete("rq:job:expired")
    for path in (*PAGES, "/ui/rq/0/data/queues.json", "/ui/rq/0/data/jobs/echo/queued/8/asc/1.json"):
        assert gateway.get(path).status_code == 200
    assert queues.lrange("rq:queue:echo", 0, -1) == [b"kept", b"expired"]


@pytest.mark.parametrize(
    "path", [*PAGES, "/ui/rq/0/data/queues.json", "/ui/rq/0/data/workers.json", "/ui/rq/0/view/job/x"]
)
def test_without_redis_every_page_is_a_503_that_says_so(stopped_redis_gateway: GatewayProcess, path: str) -> None:
    page = stopped_redis_gateway.get(path, headers=BROWSER)
    assert page.status_code == 503
    assert "Redis does not answer" in page.text
    assert "Traceback" not in page.text
    assert "Retry-After" in page.headers


@pytest.fixture(scope="module")
def stopped_redis_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose Redis was there and is gone."""
    directory = tmp_path_factory.mktemp("no-redis")
    with (
        RedisServer(directory) as server,
        GatewayProcess(directory, server.address, server.password, "fastlane") as gateway,
    ):
        assert gateway.get("/ui/rq/").status_code == 200
        server.stop()
        yield gateway


def test_everything_but_the_dashboard_works_without_redis(stopped_redis_gateway: GatewayProcess) -> None:
    for path in ("/ui/", "/system/functions", "/metrics", "/healthz", "/ui/rq/static/css/main.css"):
        assert stopped_redis_gateway.get(path).status_code == 200


def test_a_redis_that_hangs_is_a_503_too_and_all_is_well_when_it_is_back(
    tmp_path: Path,
) -> None:
    with (
        RedisServer(tmp_path) as server,
        GatewayProcess(tmp_path, server.address, server.password, "fastlane") as gateway,
    ):
        assert gateway.get("/ui/rq/0/data/queues.json").status_code == 200
        server.suspend()
        assert gateway.get("/ui/rq/0/data/queues.json").status_code == 503
        server.resume()
        wait_until(lambda: gateway.get("/ui/rq/0/data/queues.json").status_code == 200)
        server.kill()
        assert gateway.get("/ui/rq/").status_code == 503
        server.start()
        wait_until(lambda: gateway.get("/ui/rq/").status_code == 200)
