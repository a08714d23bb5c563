"""Moments in time as RFC 3339 has them."""

from __future__ import annotations

import pytest

from swarmfn.wire.moments import parse_moment

NOON = 1_893_499_200.0
"""2030-01-01T12:00:00Z"""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2030-01-01T12:00:00Z", NOON),
        ("2030-01-01t12:00:00z", NOON),
        ("2030-01-01 12:00:00Z", NOON),
        ("2030-01-01T12:00:00-00:00", NOON),
        ("2030-01-01T17:30:00+05:30", NOON),
        ("2030-01-01 03:30:00-08:30", NOON),
        ("2030-01-01T12:00:00.25Z", NOON + 0.25),
        ("2030-01-01T12:00:00.250000999Z", pytest.approx(NOON + 0.25, abs=2e-6)),
        ("2030-01-01T23:59:60Z", NOON + 12 * 3600),
        ("2030-01-01T23:59:60.75Z", NOON + 12 * 3600),
        ("2030-01-02T00:59:60+01:00", NOON + 12 * 3600),
        ("1969-12-31T23:59:59Z", -1.0),
    ],
)
def test_a_moment_is_read_in_each_form(text: str, seconds: float) -> None:
    assert parse_moment(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "1893499200",
        "2030-01-01",
        "2030-01-01T12:00Z",
        "2030-01-01T12:00:00",
        "2030-01-01T12:00:00 Z",
        "2030-01-01T12:00:00.Z",
        "2030-01-01T12:00:00,5Z",
        "2030-01-01T12:00:00.1234567890Z",
        "2030-01-01T12:00:00+0530",
        "2030-01-01T12:00:00+05:30:15",
        "2030-01-01T12:00:00+24:00",
        "2030-01-01T12:00:00Z[Europe/Berlin]",
        "2030-01-01T12:00:00 Europe/Berlin",
        "20300101T120000Z",
        "2030-W01-2T12:00:00Z",
        "2030-02-30T12:00:00Z",
        "2030-01-01T24:00:00Z",
        "2030-01-01T12:00:60Z",
        "2030-01-01T23:59:60+01:00",
        "2030-01-01T23:59:61Z",
        "٢٠٣٠-01-01T12:00:00Z",
        " 2030-01-01T12:00:00Z",
        "2030-01-01T12:00:00Z\n",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_moment(text)
