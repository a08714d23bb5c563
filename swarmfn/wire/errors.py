"""The errors clients see, each with its HTTP status, and those that stop a program."""

from __future__ import annotations

from collections.abc import Iterable


class FaasError(Exception):
    """Something the platform cannot do for a caller.

    `message` says what failed and why, `hint` (may be empty) what helps; together they are the reply's body.
    """

    status = 500

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class InvalidRequest(FaasError):
    """The request itself is wrong; sending it again cannot help."""

    status = 400


class InvalidFunction(InvalidRequest):
    """A function's description is wrong in one field."""

    def __init__(self, field: str, problem: str, hint: str = "") -> None:
        super().__init__(f"{field}: {problem}", hint)
        self.field = field


class Unauthorized(FaasError):
    """The credentials are missing or wrong."""

    status = 401


class LoopDetected(FaasError):
    """The call comes of a chain of callbacks that is too long (RFC 5842, section 7.2)."""

    status = 508


class FunctionNotFound(FaasError):
    """No function of that name is deployed."""

    status = 404

    def __init__(self, name: str) -> None:
        what = f'no function "{name}" is deployed here.' if name else "the address names no function."
        super().__init__(what, "List them with GET /system/functions.")
        self.name = name


class MethodNotPossible(FaasError):
    """`allowed`: the methods that are, as `Allow` names them."""

    status = 405

    def __init__(self, message: str, hint: str, allowed: str) -> None:
        super().__init__(message, hint)
        self.allowed = allowed


class InvocationNotFound(FaasError):
    """No record of that call id, or its record has expired."""

    status = 404


class FunctionExists(FaasError):
    """A function of that name is deployed already."""

    status = 409


class AlreadyEnded(FaasError):
    """The call has ended and cannot be cancelled."""

    status = 409


class KeyReused(FaasError):
    """An idempotency key came with another request than the first time (draft-ietf-httpapi-idempotency-key-header)."""

    status = 422

    def __init__(self) -> None:
        super().__init__(
            "Idempotency-Key: this key was used before, for a call with another path, query or body.",
            "Send exactly the same request to get that call, or another key for a new one.",
        )


class TooLarge(FaasError):
    """A body is over the configured limit; the message names it."""

    status = 413


class Overloaded(FaasError):
    """Come back later: `retry_after` is in seconds."""

    status = 429

    def __init__(self, message: str, hint: str = "", retry_after: float = 1.0) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class UpstreamError(FaasError):
    """A replica was reached, or not, and no answer came."""

    status = 502


class Unavailable(FaasError):
    """A part of the platform is missing right now; `retry_after` is in seconds."""

    status = 503

    def __init__(self, message: str, hint: str = "", retry_after: float = 1.0) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class NoReplicas(Unavailable):
    """The function has no healthy replica."""


class QueueUnavailable(Unavailable):
    """Redis does not answer; nothing was stored."""


class EngineUnavailable(Unavailable):
    """The place where functions run does not answer."""


class NewerLayout(Unavailable):
    """What is stored was written by a newer version; this one cannot read it and must not touch it."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"this was stored by a newer version of swarmfn (layout {found}; this one reads up to {known}).",
            "Run that version, or a later one.",
            retry_after=30.0,
        )
        self.found = found


class UpstreamTimeout(FaasError):
    """The function did not answer in time."""

    status = 504


class SettingsError(Exception):
    """The environment cannot be used; `problems` and the message name every bad variable. Programs exit with 2."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("cannot start: " + "; ".join(self.problems))
