"""What a gateway answers, as its client gives it on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stack.credentials import Credentials
from stack.errors import Refused
from stack.gateway_client import GatewayClient
from tests.support.http import RecordingServer

ADMIN = Credentials("admin", "secret", "")


@pytest.mark.parametrize("ask", [GatewayClient.check_access, GatewayClient.limits, GatewayClient.functions])
def test_another_server_at_the_address_is_told_from_a_gateway(ask: Callable[[GatewayClient], object]) -> None:
    with (
        RecordingServer() as server,
        GatewayClient(server.address, ADMIN) as gateway,
        pytest.raises(Refused, match=f"what answers at {server.address} is not a gateway"),
    ):
        ask(gateway)
