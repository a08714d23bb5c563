"""The atomic steps of a job's life, each one Lua script that handles a whole batch in one round trip.

Each is a file NAME.lua that says in its first comment what it does, which parts of the prelude it needs (prelude/ holds
the functions that several share), which keys it touches itself (by their names in swarmfn/jobs/keys.py), its arguments
and what they mean, and its reply. `#!lua flags=allow-oom` is for scripts that must run in a Redis whose
memory is full: they end calls, which is what frees memory, and keep leases, without which calls would run twice.

The names of the arguments are given there, once for Lua and Python: `arguments` come once, then the values of each of
the `items`, or a `list`. `call(client, SCRIPT, items, NAME=VALUE, …)` sends them in that order. None of the scripts
unpacks a table of unknown size, so a batch's length is bounded by memory only. Leases and due times come from Redis's
own clock, so that the clocks of several nodes need not agree.

Redis does not roll a script back, so one item's trouble (a key of another type, say) must not end the script in the
middle of the others: each item runs under `pcall`, and its reply is the error's text.
"""

from swarmfn.jobs.scripts.script import Script, load

CANCEL = load("cancel")
CENSUS = load("census")
CLAIM = load("claim")
FINISH = load("finish")
HAND_BACK = load("hand_back")
INHERIT = load("inherit")
LET_GO = load("let_go")
PROMOTE = load("promote")
PURGE = load("purge")
REAP = load("reap")
REDRIVE = load("redrive")
REGISTER = load("register")
RENEW = load("renew")
RETRY_LATER = load("retry_later")
ROOM = load("room")
STORE = load("store")
SUBMIT = load("submit")
TIDY = load("tidy")

__all__ = [
    "CANCEL",
    "CENSUS",
    "CLAIM",
    "FINISH",
    "HAND_BACK",
    "INHERIT",
    "LET_GO",
    "PROMOTE",
    "PURGE",
    "REAP",
    "REDRIVE",
    "REGISTER",
    "RENEW",
    "RETRY_LATER",
    "ROOM",
    "STORE",
    "SUBMIT",
    "TIDY",
    "Script",
]
