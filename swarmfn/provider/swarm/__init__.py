"""Functions as services of a Docker Swarm.

Inside: what a function becomes on Swarm and back again (pure), and the threads that keep the replica table fresh from
the Engine's API. `docker` is imported here and in `stack` only. Not inside: the stack's own services, images, secrets.
"""

from swarmfn.provider.swarm.hardening import Hardening
from swarmfn.provider.swarm.provider import SwarmProvider
from swarmfn.provider.swarm.registry_logins import RegistryLogins
from swarmfn.provider.swarm.timing import Timing

__all__ = ["Hardening", "RegistryLogins", "SwarmProvider", "Timing"]
