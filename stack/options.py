"""What a command is asked to do, as values. `stack.arguments` reads them from the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """Which stack a command is about. engine: auto, swarm or local; stack: its name on a Swarm, None for that of the
    last `up`."""

    state_dir: Path
    engine: str = "auto"
    stack: str | None = None


@dataclass(frozen=True)
class DeployOptions:
    """What services are made of, and where their images go. None: as in the last `up`. is_pinned: everything on this
    node; must_init: an engine that is in no swarm becomes one."""

    files: tuple[Path, ...] = ()
    image: str | None = None
    registry: str | None = None
    is_pinned: bool | None = None
    must_init: bool = False


@dataclass(frozen=True)
class UpOptions:
    """None: as in the last `up`, or the default. management_port: 0 for the port of the gateway."""

    deploy: DeployOptions = field(default_factory=DeployOptions)
    port: int | None = None
    management_port: int | None = None
    listen_address: str | None = None
    has_examples: bool = True


@dataclass(frozen=True)
class PrepareOptions:
    """gives_logins: nodes are to have the user's logins at registries, whatever the images need."""

    deploy: DeployOptions = field(default_factory=DeployOptions)
    gives_logins: bool = False


@dataclass(frozen=True)
class DownOptions:
    """must_purge: what is kept otherwise is removed too."""

    must_purge: bool = False


@dataclass(frozen=True)
class StatusOptions:
    """is_json: for machines."""

    is_json: bool = False


@dataclass(frozen=True)
class LogsOptions:
    """name: of a service or function, None for all services."""

    name: str | None = None
    lines: int = 50
    is_following: bool = False


Options = UpOptions | PrepareOptions | DownOptions | StatusOptions | LogsOptions


@dataclass(frozen=True)
class CommandLine:
    """One command, by its name and what it is asked to do."""

    command: str
    target: Target
    options: Options
