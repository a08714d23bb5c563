"""HTTP/1.1 as a small server speaks it, on one event loop.

Parsing, connections and listening sockets; what a request means is decided elsewhere. A request becomes one task,
and the task is cancelled when its caller goes away: what handles a request cleans up in `finally`.
"""
