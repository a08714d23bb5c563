"""mode=python: the handler is imported once per worker process and called there.

`worker`, `handler` and `results` run in the worker process, beside the user's code; `mode`, `pool` and `process` in
the watchdog. The two sides talk in `frames` over a socket pair.
"""
