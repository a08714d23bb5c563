"""One service as the supervisor runs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class ServiceSpec:
    """A command and what it runs with.

    environment: added to the supervisor's own; log: file for its output; stop_timeout: seconds from SIGTERM to
    SIGKILL; version: changes with everything that is not in the command, such as the code it loads.
    """

    name: str
    command: tuple[str, ...]
    directory: str
    log: str
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_timeout: float = 10.0
    version: str = ""

    @property
    def fingerprint(self) -> str:
        """Equal for specs that would run the same."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"command": list(self.command), "environment": dict(self.environment)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ServiceSpec:
        """The spec that `to_json` wrote. Raises KeyError or TypeError for anything else."""
        return cls(**{**document, "command": tuple(document["command"])})
