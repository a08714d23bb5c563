"""The atomic steps of a job's life, each one Lua script that handles a whole batch in one round trip.

A script's arguments are flat: first what all items share, then N values for each item. None of them unpacks a table
of unknown size, so a batch's length is bounded by memory only. Leases and due times come from Redis's own clock, so
that the clocks of several nodes need not agree.

Redis does not roll a script back, so one item's trouble (a key of another type, say) must not end the script in the
middle of the others: each item runs under `pcall`, and its reply is the error's text.
"""

from swarmfn.jobs.scripts.accepting import SUBMIT
from swarmfn.jobs.scripts.cancelling import CANCEL
from swarmfn.jobs.scripts.claiming import CLAIM
from swarmfn.jobs.scripts.counting import CENSUS
from swarmfn.jobs.scripts.ending import FINISH, RETRY_LATER
from swarmfn.jobs.scripts.returning import HAND_BACK, PROMOTE, REAP, RENEW
from swarmfn.jobs.scripts.script import Script
from swarmfn.jobs.scripts.steering import PURGE, REDRIVE
from swarmfn.jobs.scripts.tidying import STORE, TIDY

__all__ = [
    "CANCEL",
    "CENSUS",
    "CLAIM",
    "FINISH",
    "HAND_BACK",
    "PROMOTE",
    "PURGE",
    "REAP",
    "REDRIVE",
    "RENEW",
    "RETRY_LATER",
    "STORE",
    "SUBMIT",
    "TIDY",
    "Script",
]
