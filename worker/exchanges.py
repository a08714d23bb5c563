"""What calls to functions and callbacks have in common on the wire."""

from __future__ import annotations

from swarmfn.upstream import Broken, Response, Upstream, request_head
from swarmfn.wire.headers import Headers


def head_of(method: str, target: str, host: str, headers: Headers, length: int) -> bytes:
    """The head of a request with a body of `length` bytes. Raises ValueError for what cannot be sent."""
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    pairs.append((b"Content-Length", b"%d" % length))
    return request_head(method, target.encode("latin-1"), host, pairs)


async def send(
    upstream: Upstream,
    address: str,
    head: bytes,
    body: bytes,
    deadline: float,
    is_head: bool = False,
    tls: bool = False,
) -> Response:
    """The answer, as soon as its head is there. Raises NotSent, Broken or DeadlinePassed."""
    try:
        return await upstream.exchange(address, head, body, method_is_head=is_head, deadline=deadline, tls=tls)
    except Broken as exc:
        if not exc.is_reused:
            raise
    # Most likely the replica closed an idle connection just as it was used. If it died in mid-run instead, the
    # call would be tried again anyway: invocations run at least once.
    return await upstream.exchange(address, head, body, method_is_head=is_head, deadline=deadline, tls=tls)
