"""What a callback is signed with."""

from __future__ import annotations

import asyncio

from worker.signatures import Signer, signature

LARGE = b"L" * (3 << 20)


def test_a_signature_is_the_hmac_of_timestamp_point_and_body() -> None:
    # printf '1700000000.hello' | openssl dgst -sha256 -hmac key
    expected = "4d583a269f4f276a3fa80ff31b5a01879a848096983222a17893d198418939aa"
    assert signature(b"key", 1700000000, b"hello") == f"sha256={expected}"


def test_each_moment_has_its_own() -> None:
    signer = Signer(lambda: "key")
    first, second = (asyncio.run(signer.headers(b"hello", now)) for now in (1700000000.9, 1700000001.0))
    assert first == [
        ("X-Callback-Timestamp", "1700000000"),
        ("X-Callback-Signature", signature(b"key", 1700000000, b"hello")),
    ]
    assert first != second


def test_a_large_body_is_signed_like_a_small_one() -> None:
    headers = dict(asyncio.run(Signer(lambda: "key").headers(LARGE, 1.0)))
    assert headers["X-Callback-Signature"] == signature(b"key", 1, LARGE)


def test_without_a_key_nothing_is_signed() -> None:
    assert asyncio.run(Signer(lambda: None).headers(b"hello", 1.0)) == []
