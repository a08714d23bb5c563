"""`gateway.invoke.cross_origin` in front of the fast lane, where the setting asks for it."""

from __future__ import annotations

from collections.abc import Awaitable

from gateway.fastlane.exchange import App, Exchange
from gateway.invoke.cross_origin import ORIGIN, CrossOrigin
from gateway.invoke.incoming import RawHeaders
from swarmfn.wire.headers import Headers


def on_fast_lane(app: App, rules: CrossOrigin) -> App:
    """`app`, whose answers to calls carry what `rules` grant."""

    class Granting(Exchange):
        """An exchange whose answer gets further headers. It becomes one of these, with all that it has."""

        __slots__ = ()

        def _begin(self, status: int, headers: RawHeaders) -> None:
            present = {name.lower().decode("latin-1") for name, _ in headers}
            grants = rules.grant(_origin(self.headers), present)
            super()._begin(status, [*headers, *_encoded(grants)])

    def answer(exchange: Exchange) -> Awaitable[None]:
        if not rules.concerns(exchange.path.decode("latin-1")):
            return app(exchange)
        asked = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in exchange.headers)
        answered = rules.preflight(exchange.method, asked)
        if answered is not None:
            return exchange.answer(204, _encoded(answered), b"")
        exchange.__class__ = Granting
        return app(exchange)

    return answer


def _origin(headers: RawHeaders) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == ORIGIN.encode()), "")


def _encoded(headers: Headers) -> RawHeaders:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
