"""The example functions: deployed through the gateway as a user would, and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from stack.errors import Refused
from stack.gateway_client import FunctionDocument, GatewayClient
from stack.program import COMMAND
from swarmfn.wire.functions import FunctionSpec
from swarmfn.wire.rollouts import Rollout

READY_TIMEOUT = 240.0
"""Seconds for all of them; the first time, their dependencies are installed."""

_PATIENCE = {Rollout.FAILING: 15.0, Rollout.TAKEN_BACK: 3.0}
"""Seconds after which nothing better is expected of a function: what fails is tried again for ever, and why an update
was taken back is found out a moment later."""

_REPORT_INTERVAL = 5.0


def changed(functions: Sequence[FunctionSpec], deployed: Mapping[str, FunctionDocument]) -> list[FunctionSpec]:
    """Those of `functions` whose description differs from what the gateway lists."""
    return [function for function in functions if not _is_same(function, deployed.get(function.name))]


def deploy_examples(
    gateway: GatewayClient,
    functions: Sequence[FunctionSpec],
    say: Callable[[str], None],
    timeout: float = READY_TIMEOUT,
) -> tuple[bool, dict[str, str]]:
    """Deploys those that differ, has those tried again that keep failing, and waits for all.

    Returns whether any was changed, and the problem of each function that does not serve as described. One that cannot
    be deployed does not stop the others.
    """
    deployed = gateway.functions()
    differing = {function.name for function in changed(functions, deployed)}
    announced, refused = set(), {}
    for function in functions:
        status = deployed.get(function.name)
        if function.name not in differing and _rollout(status) not in _PATIENCE:
            continue
        announced.add(function.name)
        say(f"{function.name}: {_what_is_done(status, function.name in differing)}")
        try:
            gateway.deploy(function)
        except Refused as exc:
            refused[function.name] = str(exc)
    waiting = [function for function in functions if function.name not in refused]
    problems = refused | _Waiting(waiting, announced, say).until_settled(gateway, timeout)
    return bool(differing - set(refused)), problems


def failure_lines(problems: Mapping[str, str]) -> str:
    """What `up` says of functions that do not serve as described; those that have a reason in common are named
    together."""
    by_problem: dict[str, list[str]] = {}
    for name, problem in problems.items():
        by_problem.setdefault(problem, []).append(name)
    listed = "".join(
        f"\n  {', '.join(names)}: {problem.replace(chr(10), chr(10) + '  ')}" for problem, names in by_problem.items()
    )
    return (
        f"the stack runs, but these examples are not as described:{listed}\n"
        f"See `{COMMAND} logs NAME`; the next up tries again."
    )


class _Waiting:
    """For `functions`; those in `announced` are reported when they are ready."""

    def __init__(self, functions: Sequence[FunctionSpec], announced: set[str], say: Callable[[str], None]) -> None:
        self._waiting = {function.name: function for function in functions}
        self._announced = announced
        self._say = say
        self._since: dict[str, tuple[Rollout, float]] = {}
        self._problems: dict[str, str] = {}

    def until_settled(self, gateway: GatewayClient, timeout: float) -> dict[str, str]:
        """The problem of each that is not ready, in the end or after `timeout` seconds."""
        began = reported = time.monotonic()
        while True:
            statuses, now = gateway.functions(), time.monotonic()
            for name in list(self._waiting):
                self._look_at(name, statuses.get(name), now)
            if not self._waiting or now - began > timeout:
                late = {
                    name: _problem(statuses.get(name)) or f"not ready after {timeout:.0f} s" for name in self._waiting
                }
                return {**self._problems, **late}
            if now - reported > _REPORT_INTERVAL:
                reported = now
                self._say(f"still waiting, {now - began:.0f} s: {', '.join(self._described(statuses))}")
            time.sleep(0.1)

    def _look_at(self, name: str, status: FunctionDocument | None, now: float) -> None:
        rollout = _rollout(status)
        before, since = self._since.get(name, (None, now))
        if rollout != before:
            since = now
            self._since[name] = rollout, now
        if status is not None and rollout is Rollout.DONE:
            if _is_same(self._waiting.pop(name), status):
                if name in self._announced:
                    self._say(f"{name}: ready")
            else:
                self._problems[name] = "it was changed by somebody else in the meantime"
        elif now - since >= _PATIENCE.get(rollout, float("inf")):
            del self._waiting[name]
            self._problems[name] = _failure(rollout, status)

    def _described(self, statuses: Mapping[str, FunctionDocument]) -> list[str]:
        return [f"{name} ({problem})" if (problem := _problem(statuses.get(name))) else name for name in self._waiting]


def _what_is_done(status: FunctionDocument | None, is_different: bool) -> str:
    if status is None:
        return "deploying"
    return "updating" if is_different else "trying again"


def _failure(rollout: Rollout, status: FunctionDocument | None) -> str:
    problem = _problem(status) or "it fails"
    if rollout is Rollout.FAILING and status is not None and status["availableReplicas"]:
        return f"its update fails, and the previous version keeps running: {problem}"
    return problem


def _problem(status: FunctionDocument | None) -> str:
    return status.get("problem", "") if status is not None else ""


def _rollout(status: FunctionDocument | None) -> Rollout:
    """A function that is not listed yet is on its way."""
    return Rollout.RUNNING if status is None else Rollout(status.get("rollout", Rollout.DONE))


def _is_same(function: FunctionSpec, status: FunctionDocument | None) -> bool:
    return status is not None and FunctionSpec.from_json({**status, "service": status["name"]}) == function
