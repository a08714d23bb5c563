"""The stack on a Docker Swarm: from the compose file to services that run, and back.

Everything here that talks to an engine takes a docker client and says what goes wrong as a StackError. What is decided
from values alone (specs, plans, rows of a table) stands in functions of its own, so that it is tested without an
engine. Where functions run is the gateway's business (swarmfn.provider), not this package's.
"""
