"""Functions as processes on this machine, each replica a watchdog of its own, for machines without a Docker Engine.

Inside: what is wanted (definitions, programs, venvs), what is there (records, processes, probes), the pure decision
between the two, and the thread that acts on it. Not inside: proxying calls, the queue, and the supervision of the
platform's own processes.
"""

from swarmfn.provider.local.decisions import Timing
from swarmfn.provider.local.provider import LocalProvider
from swarmfn.provider.local.resource_limits import ResourceLimits
from swarmfn.provider.local.stopping import stop_all

__all__ = ["LocalProvider", "ResourceLimits", "Timing", "stop_all"]
