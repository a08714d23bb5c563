"""`gateway.invoke.cross_origin` on the fast lane, where the setting asks for it."""

from __future__ import annotations

from typing import ClassVar

from gateway.fastlane.exchange import App, Exchange
from gateway.invoke.cross_origin import ORIGIN, CrossOrigin
from gateway.invoke.incoming import RawHeaders
from swarmfn.wire.headers import Headers


def cross_origin_exchange(rules: CrossOrigin) -> type[Exchange]:
    """The class for a connection's exchanges, whose calls are answered with what `rules` grant."""
    return type("RuledExchange", (CrossOriginExchange,), {"__slots__": (), "rules": rules})


class CrossOriginExchange(Exchange):
    """Answers a browser's question itself, and grants with each answer to a call."""

    __slots__ = ()

    rules: ClassVar[CrossOrigin]

    async def run(self, app: App) -> None:
        granted = None
        if self._is_call():
            headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers)
            granted = self.rules.preflight(self.method, headers)
        if granted is None:
            await super().run(app)
        else:
            answer = _encoded(granted)
            await super().run(lambda exchange: exchange.answer(204, answer, b""))

    def _begin(self, status: int, headers: RawHeaders) -> None:
        if self._is_call():
            present = {name.lower().decode("latin-1") for name, _ in headers}
            headers = [*headers, *_encoded(self.rules.grant(_origin(self.headers), present))]
        super()._begin(status, headers)

    def _is_call(self) -> bool:
        return self.rules.concerns(self.path.decode("latin-1"))


def _origin(headers: RawHeaders) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == ORIGIN.encode()), "")


def _encoded(headers: Headers) -> RawHeaders:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
