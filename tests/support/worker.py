"""The real worker as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

from tests.support.processes import ChildProcess


class WorkerProcess:
    """`python -m worker`, from its being ready until the `with` block ends (SIGKILL for it and its children)."""

    def __init__(self, directory: Path, redis_address: str, redis_password: str, **settings: str) -> None:
        secrets = directory / "worker-secrets"
        secrets.mkdir(exist_ok=True)
        (secrets / "redis-password").write_text(redis_password)
        environment = {"secret_mount_path": str(secrets), "faas_redis_address": redis_address, **settings}
        self.process = ChildProcess([sys.executable, "-m", "worker"], directory / "worker.log", environment)

    def log(self) -> str:
        return self.process.log()

    def __enter__(self) -> WorkerProcess:
        self.process.wait_for_log("worker ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.end()
