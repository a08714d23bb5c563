"""Which engine to use: what was asked for, else whichever there is; and a line that says it.

What belongs to one engine is imported when that one is looked at: all of it takes longer to load than most commands
take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stack.engine import Stack
from stack.errors import NoEngine, StackError
from stack.program import COMMAND
from stack.state import StateDirectory

if TYPE_CHECKING:
    from stack.embedded.stack import LocalStack
    from stack.swarm.stack import SwarmStack

_LOCAL = "local processes, supervised on this machine"


class Engines:
    """Makes the stack of one state directory on the right engine. `runs_locally` says whether one runs there as local
    processes already; `say` takes lines of progress."""

    def __init__(
        self,
        state: StateDirectory,
        root: Path,
        environ: Mapping[str, str],
        runs_locally: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        self._state = state
        self._root = root
        self._environ = environ
        self._runs_locally = runs_locally
        self._say = say

    def choose(
        self, asked: str, stack: str | None = None, must_init: bool = False, is_read_only: bool = False
    ) -> Stack:
        """The stack on the engine `asked` for (auto, swarm or local).

        `auto` is where the stack runs already, else a Swarm where an engine answers, else local processes. `must_init`
        makes an engine that is in no swarm one. Raises NoEngine; StackError where the stack runs on another engine.
        """
        if asked == "local":
            return self._local(_LOCAL, is_read_only)
        if self._runs_locally():
            if asked == "swarm" or must_init:
                raise StackError(
                    f"the stack of {self._state.root} runs as local processes. Stop it first: "
                    f"{COMMAND} down --engine local"
                )
            return self._local(f"{_LOCAL}, where this stack runs already", is_read_only)
        from stack.swarm import engine_client

        try:
            return self._swarm(stack, must_init, is_read_only)
        except engine_client.NotInSwarm:
            if asked == "swarm" or not is_read_only:
                raise
            return self._local(_LOCAL, is_read_only)
        except engine_client.NotAManager:
            raise
        except NoEngine as exc:
            if asked == "swarm":
                raise
            return self._local(f"{_LOCAL} ({exc})", is_read_only)

    def _local(self, words: str, is_quiet: bool) -> LocalStack:
        from stack.embedded.stack import LocalStack

        if not is_quiet:
            self._say(f"engine: {words}")
        return LocalStack(self._state, self._root, self._say)

    def _swarm(self, stack: str | None, must_init: bool, is_quiet: bool) -> SwarmStack:
        from stack.swarm import engine_client
        from stack.swarm.stack import SwarmStack

        client = engine_client.connect(self._environ)
        try:
            swarm = engine_client.init_swarm(client) if must_init else engine_client.require_manager(client)
        except BaseException:
            client.close()
            raise
        if not is_quiet:
            self._say(f"engine: Docker Swarm through {engine_client.engine_host(self._environ)}")
        return SwarmStack(client, swarm, self._state, self._root, self._environ, stack, self._say)
