"""`services.NAME.deploy` of the compose file."""

from __future__ import annotations

from stack.compose.model import Deploy, Resources, RestartPolicy, Rollout
from stack.compose.reader import Section, Unusable


def read_deploy(section: Section) -> Deploy:
    """Raises Unusable that names the place."""
    placement = section.section("placement")
    resources = section.section("resources")
    mode = section.choice("mode", "replicated", ("replicated", "global"))
    if mode == "global" and section.has("replicas"):
        raise Unusable(f"{section.at('replicas')}: not allowed with mode global, which runs one on each node")
    deploy = Deploy(
        replicas=section.integer("replicas", 1),
        endpoint_mode=section.choice("endpoint_mode", "vip", ("vip", "dnsrr")),
        constraints=placement.texts("constraints"),
        update=_rollout(section.section("update_config"), ("pause", "continue", "rollback")),
        rollback=_rollout(section.section("rollback_config"), ("pause", "continue")),
        restart=_restart(section.section("restart_policy")),
        limits=_amounts(resources.section("limits")),
        reservations=_amounts(resources.section("reservations")),
        mode=mode,
        labels=section.text_map("labels"),
        spread=_spread(placement),
        max_replicas_per_node=placement.integer("max_replicas_per_node", 0),
    )
    for one in (placement, resources, section):
        one.close()
    return deploy


def _spread(placement: Section) -> tuple[str, ...]:
    path = placement.at("preferences")
    entries = [Section(item, f"{path}[{number}]") for number, item in enumerate(placement.items("preferences"))]
    found = tuple(entry.required_text("spread") for entry in entries)
    for entry in entries:
        entry.close()
    return found


def _rollout(section: Section, actions: tuple[str, ...]) -> Rollout:
    rollout = Rollout(
        parallelism=section.integer("parallelism", 1),
        delay=section.duration("delay", 0.0),
        failure_action=section.choice("failure_action", "pause", actions),
        monitor=section.duration("monitor", 5.0),
        order=section.choice("order", "stop-first", ("stop-first", "start-first")),
        max_failure_ratio=section.number("max_failure_ratio"),
    )
    section.close()
    return rollout


def _restart(section: Section) -> RestartPolicy:
    policy = RestartPolicy(
        condition=section.choice("condition", "any", ("none", "on-failure", "any")),
        delay=section.duration("delay", 5.0),
        max_attempts=section.integer("max_attempts", 0),
        window=section.duration("window", 0.0),
    )
    section.close()
    return policy


def _amounts(section: Section) -> Resources:
    amounts = Resources(section.size("memory"), section.number("cpus"), section.integer("pids", 0))
    section.close()
    return amounts
