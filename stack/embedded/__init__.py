"""The embedded engine: the stack's services as supervised processes on this machine, without Docker.

`python -m stack.embedded` is the supervisor, a small process of its own that outlives the terminal; everything else
here runs inside the command: which services are wanted, how they are compared with what runs, how each one is known
to be ready. Functions are not supervised here but by the gateway's local provider.
"""
