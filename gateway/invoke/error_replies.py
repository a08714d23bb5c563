"""How a failure of the platform is put into an HTTP reply; both front ends use it."""

from __future__ import annotations

import json
import math

from gateway.invoke.origin_wide_headers import OUR_REALM
from swarmfn.wire.errors import FaasError, MethodNotPossible, Unauthorized
from swarmfn.wire.headers import INTERNAL, Headers
from swarmfn.wire.visible import visible

_NO_SNIFFING = ("X-Content-Type-Options", "nosniff")  # messages quote what clients sent
REALM = f'Basic realm="{OUR_REALM}"'


def render_error(error: FaasError, accept: str = "") -> tuple[int, Headers, bytes]:
    """Status, headers and body of the reply that tells a client about `error`.

    The body is the message and the hint as one line of text, which faas-cli and curl print as it is; a client whose
    Accept header prefers it gets `{"error": message, "hint": hint}`. Content-Length is left to the server.
    """
    message, hint = visible(error.message), visible(error.hint)
    if prefers_json(accept):
        document = {"error": message, "hint": hint}
        content_type, text = "application/json", json.dumps({key: value for key, value in document.items() if value})
    else:
        content_type, text = "text/plain; charset=utf-8", f"{message} {hint}".strip()
    headers = [("Content-Type", content_type), (INTERNAL, "gateway"), _NO_SNIFFING, *_advice(error)]
    return error.status, headers, f"{text}\n".encode(errors="backslashreplace")


def error_with_status(status: int, message: str, hint: str = "") -> FaasError:
    """An error for a status that has no class of its own, such as 405."""
    error = FaasError(message, hint)
    error.status = status
    return error


def nothing_here() -> FaasError:
    """For the public port, when management has one of its own."""
    return error_with_status(
        404, "there is no such page here.", "The management API and the pages are on the management port."
    )


def unexpected(reference: str) -> FaasError:
    """What a client is told when the gateway itself is at fault: no detail, but a word to look for in the log."""
    return error_with_status(
        500, "the gateway failed on this request.", f'Its log has the cause; look for "{reference}".'
    )


def prefers_json(accept: str) -> bool:
    """Whether an Accept header names JSON and likes no kind of text better."""
    weights = _weights(accept)
    json_weight = weights.get("application/json", 0.0)
    return json_weight > 0 and all(
        json_weight >= weight for kind, weight in weights.items() if kind.startswith("text/")
    )


def _advice(error: FaasError) -> Headers:
    advice: Headers = []
    retry_after: float | None = getattr(error, "retry_after", None)
    if retry_after is not None:
        # Whole seconds are all the header can say; rounding down would bring the client back too early.
        advice.append(("Retry-After", str(max(0, math.ceil(retry_after)))))
    if isinstance(error, Unauthorized):
        advice.append(("WWW-Authenticate", REALM))
    if isinstance(error, MethodNotPossible):
        advice.append(("Allow", error.allowed))
    return advice


def _weights(accept: str) -> dict[str, float]:
    """Media types in an Accept header with their `q`; a type whose `q` does not parse counts as not named."""
    weights = {}
    for item in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        q = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
        try:
            weights[kind] = float(q)
        except ValueError:
            continue
    return weights
