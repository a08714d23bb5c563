"""Durations: whole seconds or Go's notation, in and out."""

from __future__ import annotations

import pytest

from swarmfn.wire.durations import MAX_SECONDS, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("90", 90.0),
        (" 90\n", 90.0),
        ("0s", 0.0),
        ("1m30s", 90.0),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("5.s", 5.0),
        ("250ms", 0.25),
        ("1h", 3600.0),
        ("1h1m1s1ms", 3661.001),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("10μs", 1e-5),
        ("7ns", 7e-9),
        ("30s1m", 90.0),
        ("168h", 604_800.0),
    ],
)
def test_seconds_and_go_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


def test_tenths_add_up_without_the_noise_of_binary_fractions() -> None:
    assert parse_duration("0.1s0.2s") == 0.3


@pytest.mark.parametrize(
    "text",
    ["", " ", "soon", "1.5", "-1", "-1s", "+1s", "1 s", "1s 2s", "s", ".s", "1d", "1M", "1e3", "0x10", "1m30", "∞"],
)
def test_anything_else_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="1m30s") as raised:
        parse_duration(text)
    assert repr(text) in str(raised.value)


@pytest.mark.parametrize("text", ["9223372037", "9223372037s", "9" * 400, "1" * 5000 + "s"])
def test_a_duration_beyond_what_go_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="292 years"):
        parse_duration(text)


def test_the_longest_duration_of_go_is_read() -> None:
    assert parse_duration("2562047h47m16.854775807s") == pytest.approx(MAX_SECONDS)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.25, "250ms"),
        (0.9999, "1s"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.9999, "1m"),
        (60, "1m"),
        (90, "1m30s"),
        (3600, "1h"),
        (3661.001, "1h1m1.001s"),
        (604_800, "168h"),
        (3605, "1h5s"),
    ],
)
def test_the_shortest_form_is_written(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("seconds", [0.001, 0.999, 1.0, 59.999, 61.01, 3599.5, 86_399.123, 1e6])
def test_what_is_written_is_read_back(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=5e-4)
