"""What `./test --audit` makes of pip-audit's report."""

from __future__ import annotations

from tests.support.audit import verdict_of

GOOD = {"name": "good", "version": "1.0", "vulns": []}
BAD = {
    "name": "bad",
    "version": "2.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}, {"id": "X", "fix_versions": []}],
}
ABSENT = {"name": "absent", "skip_reason": "Dependency not found on PyPI and could not be audited"}


def test_each_advisory_is_a_line_with_the_version_that_helps() -> None:
    verdict = verdict_of({"dependencies": [GOOD, BAD]})
    assert verdict.found == ("bad 2.0: PYSEC-1, fixed in 2.1", "bad 2.0: X, fixed in ?")
    assert verdict.text.endswith("2 packages audited, 2 advisories")


def test_a_package_that_the_database_does_not_have_is_not_called_sound() -> None:
    verdict = verdict_of({"dependencies": [GOOD, ABSENT]})
    assert (verdict.found, verdict.unknown, verdict.audited) == ((), ("absent",), 1)
    assert "nothing could be learnt of absent" in verdict.text


def test_without_a_database_nothing_was_audited() -> None:
    for document in ({}, {"dependencies": [ABSENT]}):
        assert "no advisory database can be reached" in verdict_of(document).text
