"""Runs asynchronous invocations: claims them, calls the function, records the result, delivers callbacks.

Entry points: `python -m worker` (a supervisor and its worker processes) and `rq worker -w worker.rq_worker.
FunctionWorker`. How jobs look in Redis is swarmfn.jobs'; how bytes travel is swarmfn.upstream's. What an answer
means, and what follows from it, is decided here (`decisions`), on values.
"""
