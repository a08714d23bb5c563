"""docs/reference/jobs.md names every key and field that the scripts touch."""

from __future__ import annotations

import re

import pytest

from swarmfn.jobs import scripts
from swarmfn.jobs.layout import RUN_FIELDS
from swarmfn.jobs.records import FIELDS
from tests.support.processes import REPOSITORY

REFERENCE = (REPOSITORY / "docs" / "reference" / "jobs.md").read_text()
NAMED = set(re.findall(r"`([^`]+)`", REFERENCE))
KEYS = {re.sub(r"[A-Z].*", "", name) for name in NAMED}
RQS_OWN = {"rq:deferred:", "rq:canceled:"}  # RQ's, only looked at


@pytest.mark.parametrize("name", [name for name in scripts.__all__ if name != "Script"])
def test_every_key_and_field_of_a_script_is_in_the_reference(name: str) -> None:
    text = getattr(scripts, name).text
    keys = set(re.findall(r"'((?:rq|swarmfn):[a-z:-]+)'", text)) - RQS_OWN
    assert {key for key in keys if key not in KEYS and not any(known.startswith(key) for known in KEYS)} == set()
    fields = set(re.findall(r"'H(?:SET|INCRBY|DEL)', \w+, '(\w+)'", text)) | set(
        re.findall(r"'(\w+)', (?:item|moment|data|worker|status|delivery|queue)", text)
    )
    words = {"HSET", "HDEL", "EVAL", "RENAME", "EXPIRE", "worker_name", "type", "execution_id"}
    assert {field for field in fields - words if field not in NAMED and field.islower()} - _RESULT_FIELDS == set()


_RESULT_FIELDS = {"execution_started_at", "execution_ended_at", "return_value", "exc_string"}


def test_every_field_of_a_record_is_in_the_reference() -> None:
    assert set(FIELDS) - NAMED == set()


def test_the_reference_says_what_a_run_leaves_behind() -> None:
    said = re.search(r"what the last run left \(([^)]+)\)", REFERENCE)
    assert said
    names = re.findall(r"`([^`]+)`", said[1])
    assert {name for name in names if ":" not in name} == set(RUN_FIELDS)
