"""The replica table as the gateway publishes it and workers read it."""

from __future__ import annotations

import json

import pytest

from swarmfn.wire.policies import Policy, RetryPolicy
from swarmfn.wire.replicas import Route, decode_table, encode_table, lost_addresses
from swarmfn.wire.rollouts import Rollout

ECHO = Route("echo", ("127.0.0.1:1", "[::1]:2"), 2, 60.0, "echo")
BROKEN = Route("broken", (), 1, 1.5, "slow-lane", "exited with 3: no such file «x»", lost=("10.0.1.7:8080",))


LIMITED = Route("limited", ("h:1",), 1, 60.0, "limited", policy=Policy(RetryPolicy(3), 2, ("annotation x: odd",)))


FAILING = Route("failing", ("h:1",), 1, 60.0, "failing", "no luck", rollout=Rollout.FAILING)


@pytest.mark.parametrize(
    "table", [{}, {"failing": FAILING}, {"limited": LIMITED}, {"echo": ECHO}, {"echo": ECHO, "broken": BROKEN}]
)
def test_a_table_is_read_back_as_it_was_written(table: dict[str, Route]) -> None:
    assert decode_table(encode_table(table)) == table


def test_equal_tables_have_equal_documents() -> None:
    assert encode_table({"echo": ECHO, "broken": BROKEN}) == encode_table({"broken": BROKEN, "echo": ECHO})


def test_the_document_is_json_that_other_programs_can_read() -> None:
    document = json.loads(encode_table({"echo": ECHO}))
    assert document["echo"]["addresses"] == ["127.0.0.1:1", "[::1]:2"]
    assert document["echo"]["replicas"] == 2
    assert document["echo"]["exec_timeout"] == 60.0
    assert document["echo"]["queue"] == "echo"


def test_fields_of_a_newer_gateway_are_ignored_and_a_missing_problem_is_none_known() -> None:
    row = {"addresses": ["h:1"], "replicas": 1, "exec_timeout": 5, "queue": "q", "colour": "blue"}
    assert decode_table(json.dumps({"f": row}).encode()) == {"f": Route("f", ("h:1",), 1, 5, "q")}


def test_a_rollout_of_a_newer_gateway_that_is_not_known_is_taken_for_done() -> None:
    row = {"addresses": ["h:1"], "replicas": 1, "exec_timeout": 5, "queue": "q", "rollout": "sideways"}
    assert decode_table(json.dumps({"f": row}).encode()) == {"f": Route("f", ("h:1",), 1, 5, "q")}


def test_lost_addresses_are_those_of_every_function() -> None:
    other = Route("other", (), 1, 1.5, "q", lost=("10.0.1.8:8080", "10.0.1.9:8080"))
    table = {"echo": ECHO, "broken": BROKEN, "other": other}
    assert lost_addresses(table) == {"10.0.1.7:8080", "10.0.1.8:8080", "10.0.1.9:8080"}


def test_a_lost_address_that_another_replica_has_now_is_not_lost() -> None:
    again = Route("again", ("10.0.1.7:8080",), 1, 1.5, "q")
    assert lost_addresses({"broken": BROKEN, "again": again}) == frozenset()
