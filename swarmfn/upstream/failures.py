"""How an exchange can fail, by what the caller may do next."""

from __future__ import annotations

from typing import Self


class UpstreamFailure(Exception):
    """No whole answer came from `address`; the message is a sentence that names it."""

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(f"{address} {problem}")
        self.address = address

    def again(self) -> Self:
        """The same, to be raised by who keeps this one.

        What was raised holds the frames that it went through, with the bodies in them. Kept by something that these
        frames hold, it would keep all of that in memory until Python next looks for garbage in cycles.
        """
        copied = type(self).__new__(type(self), *self.args)
        copied.__dict__.update(self.__dict__)
        return copied


class NotSent(UpstreamFailure):
    """Not one byte of the request was written, so another replica may be tried."""


class NotPermitted(NotSent):
    """None of the host's addresses may be connected to."""


class Broken(UpstreamFailure):
    """The connection was lost after sending, or the answer is not HTTP. The replica may have run the request.

    is_reused: the connection had served another request before and not one byte of an answer came on it, so most
    likely it was closed for being idle.
    """

    def __init__(self, address: str, problem: str, *, is_reused: bool = False) -> None:
        super().__init__(address, problem)
        self.is_reused = is_reused


class DeadlinePassed(UpstreamFailure):
    """The answer was not complete in time; the connection is closed.

    is_sent: the request had been sent, or begun to be. Until then nobody has run it.
    """

    def __init__(self, address: str, problem: str, *, is_sent: bool = True) -> None:
        super().__init__(address, problem)
        self.is_sent = is_sent


class BodyTooLarge(UpstreamFailure):
    """The body is over the `limit` given to `Response.read`; `received` is what had come of it."""

    def __init__(self, address: str, limit: int, received: bytes) -> None:
        super().__init__(address, f"answered with a body of more than {limit} bytes.")
        self.limit = limit
        self.received = received
