"""The core of invocation, called by both front ends: which replica, which headers, which error, what is stored.

Everything here takes and returns values or talks through swarmfn.upstream and swarmfn.jobs; nothing knows Flask or
ASGI. A front end translates HTTP into an Incoming, and an Outcome back into HTTP.
"""
