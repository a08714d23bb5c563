"""Call ids that clients may choose, and fresh ones."""

from __future__ import annotations

import uuid

import pytest

from swarmfn.wire.call_ids import CALLBACK_PREFIX, is_client_call_id, new_call_id, new_delivery_id


def test_a_fresh_call_id_is_a_uuid_that_a_client_could_have_sent() -> None:
    call_id = new_call_id()
    assert uuid.UUID(call_id).version == 4
    assert str(uuid.UUID(call_id)) == call_id
    assert is_client_call_id(call_id)


def test_fresh_ids_differ() -> None:
    assert len({new_call_id() for _ in range(1000)} | {new_delivery_id() for _ in range(1000)}) == 2000


def test_a_delivery_has_an_id_no_client_can_take() -> None:
    assert new_delivery_id().startswith(CALLBACK_PREFIX)
    assert not is_client_call_id(new_delivery_id())


@pytest.mark.parametrize("text", ["a", "order-17", "ORDER_17", "x" * 64, "cb", "xcb_1", "-", "_"])
def test_a_client_may_choose_letters_digits_dash_and_underscore(text: str) -> None:
    assert is_client_call_id(text)


@pytest.mark.parametrize("text", ["", "x" * 65, "a b", "a\n", "\na", "a:b", "a/b", "é", "٣", "cb_", "cb_1", "a\x00"])
def test_other_ids_are_not_a_clients_to_choose(text: str) -> None:
    assert not is_client_call_id(text)
