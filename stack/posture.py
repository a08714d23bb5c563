"""What is limited in a stack and what is open, as its gateway tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stack.credentials import Credentials
from stack.errors import StackError
from stack.gateway_client import GatewayClient, LimitDocument
from stack.tables import table

_GLANCE = 3.0


@dataclass(frozen=True)
class Limit:
    """setting: its name; unit: bytes or calls; limit: 0 for none; None: not known right now. queue: the one that `now`
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


@dataclass(frozen=True)
class Posture:
    """What a gateway says of itself: its limits, and a sentence for each door that is open."""

    limits: Sequence[Limit] = ()
    warnings: Sequence[str] = ()

    def parts(self) -> list[str]:
        """Of what `status` prints."""
        found = [table([HEADINGS, *(limit.cells() for limit in self.limits)])] if self.limits else []
        return [*found, "\n".join(warning_lines(self.warnings))] if self.warnings else found


NOTHING_KNOWN = Posture()


def warning_lines(warnings: Sequence[str]) -> list[str]:
    return [f"warning: {warning}" for warning in warnings]


def read_posture(address: str, credentials: Credentials | None) -> Posture:
    """As the gateway at host:port says; nothing when it does not."""
    if credentials is None:
        return NOTHING_KNOWN
    try:
        with GatewayClient(address, credentials, _GLANCE) as gateway:
            return Posture([limit_of(row) for row in gateway.limits()], gateway.warnings())
    except StackError:
        return NOTHING_KNOWN


def limit_of(row: LimitDocument) -> Limit:
    return Limit(row["setting"], row["unit"], row["limit"], row["now"], row.get("queue", ""))
