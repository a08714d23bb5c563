"""One HTTP/1.1 exchange with a replica: pool, stream, deadline, abort.

The hot path of the gateway's fast lane and of the worker, so it knows nothing of functions or retries:
which headers and what to do about a failure are its callers' decisions, and which address too, for which `balance` has
the rule. Callbacks take this way as well. It follows no redirects and
decodes no content.

    upstream = Upstream()                                  # one per event loop
    head = request_head("POST", b"/", "echo:8080", [(b"Content-Length", b"2")])
    response = await upstream.exchange("10.0.1.7:8080", head, b"hi", deadline=loop.time() + 60)
    try:
        body = response.complete_body()                    # no await when the body came with the head
        if body is None:
            async for chunk in response.chunks(): ...      # or: await response.read(limit=1 << 20)
    finally:
        response.abort()                                   # nothing after the end; before it, stops the run

`exchange` returns when the head of the answer is there; informational (1xx) answers are skipped. It raises `NotSent`
(another replica may be tried), `Broken` (the replica may have begun), or `DeadlinePassed`. Reading the body may raise
the last two; chunks that arrived before the failure are handed out first. Cancelling the task that waits in
`exchange`, `read` or `chunks` closes the connection at once: that is how the run behind it is stopped. A response
that is left unread keeps its connection until it is aborted or its deadline passes.

A body given as an async iterator is sent as it comes, no faster than the replica takes it. It needs either
`chunked=True` (and `Transfer-Encoding: chunked` in the head) or a `Content-Length`, to which it is held: a body of
another length breaks the connection instead of becoming the next request. It goes on being sent while the answer
streams back, and ends when the answer ends, or at once when the answer says that it closes the connection with an
error. What the iterator raises comes out of `exchange`, or of reading the body.

A connection is used again only after a complete exchange whose both sides allow it. One that was idle may have been
closed by the replica just as the request was written: then `Broken.is_reused` is true and nothing came back, and the
caller decides whether the request may be repeated.
"""

from swarmfn.upstream.client import Upstream
from swarmfn.upstream.failures import BodyTooLarge, Broken, DeadlinePassed, NotPermitted, NotSent, UpstreamFailure
from swarmfn.upstream.heads import request_head
from swarmfn.upstream.names import Names
from swarmfn.upstream.response import Response

__all__ = [
    "BodyTooLarge",
    "Broken",
    "DeadlinePassed",
    "Names",
    "NotPermitted",
    "NotSent",
    "Response",
    "Upstream",
    "UpstreamFailure",
    "request_head",
]
