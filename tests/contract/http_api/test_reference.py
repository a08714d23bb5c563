"""docs/reference/http-api.md against the program: every management route and every metric is on the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask

from gateway.api.management import Management, add_management
from gateway.call_metrics import InvocationMetrics
from gateway.invoke.body_budget import BodyBudget
from gateway.invoke.credentials import Credentials
from gateway.load_metrics import LoadMetrics
from gateway.queue_metrics import QueueMetrics
from gateway.redis_watch import RedisWatch
from swarmfn.jobs.redis_clients import connect, connect_blocking
from swarmfn.provider.local import LocalProvider
from worker.meter import Meter

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "http-api.md"

ASSETS = re.compile(r"/ui/static/|/ui/rq/.")
"""What pages load, and the addresses inside the dashboard, are not an interface of ours."""

BALANCE = "swarmfn_ledger_imbalance"
"""Not there without a Redis; another test looks at it."""

CREDENTIALS = Credentials("admin", "x")

CALLS = ("/function", "/async-function", "/healthz")
"""Not management; other tests hold them to the page."""


@pytest.fixture
def management(tmp_path: Path) -> Iterator[Management]:
    with (
        closing(LocalProvider(tmp_path, 60.0, "127.0.0.1:8080")) as provider,
        closing(connect_blocking("127.0.0.1:1", None)) as connection,
    ):
        metrics = InvocationMetrics(provider.table)
        yield Management(provider, metrics, metrics.ended, connection, "127.0.0.1:1", CREDENTIALS, "", ())


def documented_routes() -> set[tuple[str, str]]:
    rows = re.findall(r"^\| `(/[^`]*)` \| ([A-Z, ]+) \|", PAGE.read_text(), re.MULTILINE)
    return {(route, method) for route, methods in rows for method in methods.split(", ")}


def test_every_management_route_is_on_the_page(management: Management) -> None:
    app = Flask("gateway", static_folder=None)
    add_management(app, management)
    served = {
        (rule.rule, method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not ASSETS.match(rule.rule)
    }
    assert served == {pair for pair in documented_routes() if not pair[0].startswith(CALLS)}


def test_every_metric_is_on_the_page(management: Management) -> None:
    add_management(Flask("gateway", static_folder=None), management)
    management.metrics.add(QueueMetrics(management.dashboard_redis))
    management.metrics.add(LoadMetrics(BodyBudget(1), BodyBudget(1), []))
    management.metrics.add(RedisWatch(connect("127.0.0.1:1", None).vital))
    exposed = exposed_by(management.metrics) | exposed_by(Meter(dict))
    page = set(re.findall(r"^\| `((?:gateway|http|swarmfn)_\w+)` \|", PAGE.read_text(), re.MULTILINE))
    assert {name for name in exposed if not name.endswith("_created")} - {BALANCE} == page - {BALANCE}


def exposed_by(metrics: InvocationMetrics | Meter) -> set[str]:
    return set(re.findall(r"^# TYPE (\S+) ", metrics.exposition().decode(), re.MULTILINE))
