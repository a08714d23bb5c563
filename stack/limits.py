"""What is limited in a stack, and how much there is now, as its gateway tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stack.credentials import Credentials
from stack.errors import StackError
from stack.gateway_client import GatewayClient

_GLANCE = 3.0


@dataclass(frozen=True)
class Limit:
    """setting: its name; unit: bytes or calls; limit: 0 for none; None: not known just now. queue: the one that `now`
    is about."""

    setting: str
    unit: str
    limit: int | None
    now: int | None
    queue: str = ""

    def cells(self) -> tuple[str, str, str]:
        """A row of `status`."""
        now = self._amount(self.now) + (f" ({self.queue})" if self.queue else "")
        return self.setting, now, "no limit" if self.limit == 0 else self._amount(self.limit)

    def _amount(self, amount: int | None) -> str:
        if amount is None:
            return "?"
        return f"{amount / 2**20:.0f} MiB" if self.unit == "bytes" else str(amount)


HEADINGS = ("LIMIT", "NOW", "AT MOST")


def read_limits(address: str, credentials: Credentials | None) -> Sequence[Limit]:
    """As the gateway at host:port says; nothing when it does not."""
    if credentials is None:
        return ()
    try:
        with GatewayClient(address, credentials, _GLANCE) as gateway:
            return [limit_of(row) for row in gateway.limits()]
    except StackError:
        return ()


def limit_of(row: Mapping[str, Any]) -> Limit:
    return Limit(row["setting"], row["unit"], row["limit"], row["now"], row.get("queue", ""))
