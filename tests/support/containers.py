"""Containers on an engine of the tests' own, as strict as a function gets them: a read-only root, no rights, a /tmp in
memory."""

from __future__ import annotations

from typing import Any, Protocol

from docker.models.containers import Container

from tests.support.waiting import wait_until

STRICT = {
    "read_only": True,
    "tmpfs": {"/tmp": ""},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
}


class Start(Protocol):
    def __call__(self, image: str, command: list[str] | None = None, **options: Any) -> Running: ...


class Running:
    """A container, with its port 8080 published."""

    def __init__(self, container: Container, address: str) -> None:
        self.container = container
        self._address = address

    @property
    def health(self) -> str:
        self.container.reload()
        assert self.container.status == "running", self.log()
        return str(self.container.attrs["State"]["Health"]["Status"])

    def url(self) -> str:
        """Of its port 8080, once the container is healthy."""
        wait_until(lambda: self.health == "healthy", 60, f"{self.container.name} is healthy", every=0.2)
        port = self.container.attrs["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"]
        return f"http://{self._address}:{port}"

    def log(self) -> str:
        return str(self.container.logs().decode(errors="replace"))

    def run(self, *command: str) -> str:
        """The output of a command inside; fails the test when it fails."""
        # Of a command that ends at once, the engine may lose the output.
        lasting = ["sh", "-c", '"$@"; code=$?; sleep 0.3; exit $code', "sh", *command]
        code, output = self.container.exec_run(lasting)
        assert code == 0, output.decode(errors="replace")
        return str(output.decode(errors="replace"))

    def stop(self) -> int:
        """Its exit code after SIGTERM."""
        self.container.stop(timeout=30)
        self.container.reload()
        return int(self.container.attrs["State"]["ExitCode"])
