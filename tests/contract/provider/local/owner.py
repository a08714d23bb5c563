"""A process that owns a local provider, to be killed: `python owner.py STATE_DIR calm|restless`.

Both deploy `who` from the folder in STATE_DIR/../who; a restless one then changes it all the time.
"""

from __future__ import annotations

import itertools
import signal
import sys
from dataclasses import replace
from pathlib import Path

from swarmfn.provider.local import LocalProvider
from swarmfn.wire.functions import FunctionSpec
from tests.contract.provider.calls import wait_for_replicas
from tests.contract.provider.local_engine import TIMING


def main(state_dir: Path, manner: str) -> None:
    provider = LocalProvider(state_dir, 60.0, "127.0.0.1:8080", TIMING)
    who = FunctionSpec("who", f"dir:{state_dir.parent / 'who'}", env_process="./run.sh")
    if not provider.functions():
        provider.deploy(who)
    wait_for_replicas(provider, "who")
    print("ready", flush=True)
    if manner == "calm":
        signal.pause()
    for turn in itertools.count():
        provider.scale("who", 1 + turn % 3)
        provider.update(replace(who, env_vars={"turn": str(turn % 2)}))
        if turn % 3 == 0:
            provider.remove("who")
            provider.deploy(who)
        wait_for_replicas(provider, "who")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
