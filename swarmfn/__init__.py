"""What the programs of swarmfn share, in named rooms.

`wire` holds values that cross a process border, `jobs` an invocation as an RQ job, `upstream` one HTTP
exchange with a replica, `provider` the places where functions run, `exposition` what Prometheus is shown. A thing
that only one program uses lives in that program. Single files beside the rooms are small things that several rooms or
programs need, such as `backoff`.
This module itself stays free of imports: the watchdog loads it inside function containers.
"""

__version__ = "0.1.0"
