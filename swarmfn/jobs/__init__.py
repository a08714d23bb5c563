"""An invocation as an RQ job, for the side that submits and the side that runs.

Here live the layout in Redis (a public contract), the atomic steps of a job's life (submit, claim, finish, retry
later, renew, hand back, promote) and what can be read about one call. Every step keeps RQ's own structures
truthful: queues, registries, results, `rq info`. Which replica runs a job and what an answer means is the worker's.
"""
