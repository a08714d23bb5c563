"""waitress, for the Flask app: with the limits it lacks, and a drain.

`server` is what others use. A request comes in through a `channel`, is read by a `parser`, waits its turn in `threads`,
and is answered by one of the `tasks`. Each is waitress's own class with what the platform needs on top; what a request
may be is decided by swarmfn.wire, who may be connected by gateway.connection_limiter.
"""
