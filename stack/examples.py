"""The example functions: deployed through the gateway as a user would, and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stack.errors import DeployFailed
from stack.gateway_client import GatewayClient
from swarmfn.wire.functions import FunctionSpec

READY_TIMEOUT = 240.0
"""Seconds for all of them; the first time, their dependencies are installed."""

_REPORT_INTERVAL = 5.0


def changed(functions: Sequence[FunctionSpec], deployed: Mapping[str, Mapping[str, Any]]) -> list[FunctionSpec]:
    """Those of `functions` whose description differs from what the gateway lists."""
    return [function for function in functions if not _is_same(function, deployed.get(function.name))]


def deploy_examples(
    gateway: GatewayClient,
    functions: Sequence[FunctionSpec],
    problem_of: Callable[[str], str],
    say: Callable[[str], None],
    timeout: float = READY_TIMEOUT,
) -> tuple[bool, dict[str, str]]:
    """Deploys those that differ and waits for all.

    Returns whether anything was deployed, and the problem of each function that did not become healthy.
    `problem_of` says why a function has no healthy replica, as far as is known.
    """
    deployed = gateway.functions()
    differing = changed(functions, deployed)
    for function in differing:
        say(f"{function.name}: {'updating' if function.name in deployed else 'deploying'}")
        gateway.deploy(function)
    return bool(differing), _wait_for_all(gateway, functions, {one.name for one in differing}, problem_of, say, timeout)


def refuse_unhealthy(problems: Mapping[str, str]) -> None:
    """Raises DeployFailed that lists the examples with a problem, if there are any."""
    if problems:
        listed = "".join(f"\n  {name}: {problem}" for name, problem in problems.items())
        raise DeployFailed(
            f"the stack runs, but these examples are not healthy:{listed}\n"
            "See `python3 deploy_extended.py logs NAME`; the next up tries again."
        )


def _wait_for_all(
    gateway: GatewayClient,
    functions: Sequence[FunctionSpec],
    announced: set[str],
    problem_of: Callable[[str], str],
    say: Callable[[str], None],
    timeout: float,
) -> dict[str, str]:
    waiting = [function.name for function in functions]
    began = reported = time.monotonic()
    while True:
        statuses = gateway.functions()
        for name in [name for name in waiting if _is_healthy(statuses.get(name))]:
            waiting.remove(name)
            if name in announced:
                say(f"{name}: ready")
        now = time.monotonic()
        if not waiting or now - began > timeout:
            return {name: problem_of(name) or f"not healthy after {timeout:.0f} s" for name in waiting}
        if now - reported > _REPORT_INTERVAL:
            reported = now
            problems = [f"{name} ({problem})" if (problem := problem_of(name)) else name for name in waiting]
            say(f"still waiting, {now - began:.0f} s: {', '.join(problems)}")
        time.sleep(0.1)


def _is_same(function: FunctionSpec, status: Mapping[str, Any] | None) -> bool:
    return status is not None and FunctionSpec.from_json({**status, "service": status["name"]}) == function


def _is_healthy(status: Mapping[str, Any] | None) -> bool:
    """Scaled to zero on purpose counts as healthy."""
    return status is not None and (status["availableReplicas"] > 0 or status["replicas"] == 0)
