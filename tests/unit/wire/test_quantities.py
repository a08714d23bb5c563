"""Memory and CPU amounts as Kubernetes and Docker write them."""

from __future__ import annotations

import pytest

from swarmfn.wire.quantities import parse_cpu, parse_memory


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1024", 1024),
        ("40Mi", 40 * 2**20),
        ("128Mi", 128 * 2**20),
        ("1Gi", 2**30),
        ("1.5Gi", 3 * 2**29),
        ("2Ti", 2**41),
        ("16Ki", 2**14),
        ("128M", 128_000_000),
        ("1G", 10**9),
        ("128m", 128 * 2**20),
        ("128mb", 128 * 2**20),
        ("1g", 2**30),
        ("512k", 2**19),
        ("100b", 100),
        ("64 Mi", 64 * 2**20),
        (" 64Mi ", 64 * 2**20),
    ],
)
def test_memory_is_read_in_both_notations(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    "text", ["", "Mi", "lots", "-1", "1e3", "1.Mi", ".5Gi", "1Xi", "1mi", "1 Mi b", "1,5Gi", "0x10"]
)
def test_what_is_no_amount_of_memory_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="128Mi") as raised:
        parse_memory(text)
    assert repr(text) in str(raised.value)


def test_a_large_whole_number_of_bytes_is_read_exactly() -> None:
    assert parse_memory(str(2**53 + 1)) == 2**53 + 1


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("0.5", 0.5),
        ("1", 1.0),
        ("100m", 0.1),
        ("1500m", 1.5),
        ("2.5", 2.5),
        ("500000000", 0.5),
        ("1000000", 0.001),
        ("64", 64.0),
        ("999999", 999_999.0),
    ],
)
def test_cpu_is_read_as_cores_thousandths_or_nano_cpus(text: str, cores: float) -> None:
    assert parse_cpu(text) == pytest.approx(cores)


@pytest.mark.parametrize("text", ["", "m", "half", "-1", "100M", "1Gi", "1e9", "50%"])
def test_what_is_no_amount_of_cpu_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="100m") as raised:
        parse_cpu(text)
    assert repr(text) in str(raised.value)


@pytest.mark.parametrize("parse", [parse_memory, parse_cpu])
def test_an_amount_too_large_for_any_machine_is_refused(parse: object) -> None:
    assert callable(parse)
    with pytest.raises(ValueError):
        parse("9" * 400)
