"""Bridges of this machine that Docker engines in namespaces of their own are plugged into."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

_NAME = "swfn"
_LOCK = Path("/run/lock/swarmfn-test-networks")
_MOST = 200


class EngineNetwork:
    """One bridge, 10.77.N.0/24, with a way out; this machine is 10.77.N.254 in it. Use it as a context manager.

    Several test runs may each have some: N is taken while the bridge exists, and bridges whose run was killed are
    taken over. Engines on one network reach each other and this machine; those on different ones should not try.
    """

    def __init__(self) -> None:
        with _locked():
            self.number = next(number for number in range(1, _MOST) if _is_free(number))
            self.bridge = f"{_NAME}{self.number}"
            run("ip", "link", "add", "name", self.bridge, "type", "bridge")
            run("ip", "link", "set", "dev", self.bridge, "alias", _identity(os.getpid()))
        self._taken = 0
        run("ip", "address", "add", f"{self.gateway}/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")
        # Stays on afterwards: another run may have come to need it.
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        self._rules("-I")

    @property
    def subnet(self) -> str:
        return f"10.77.{self.number}.0/24"

    @property
    def gateway(self) -> str:
        """This machine's own address."""
        return f"10.77.{self.number}.254"

    def plug_in(self, process: int, address: str | None = None) -> Plug:
        """A link into the network namespace of `process`, with the next free address or the one that it had before."""
        if address is None:
            self._taken += 1
            address = f"10.77.{self.number}.{self._taken}"
        return Plug(self, process, address)

    def close(self) -> None:
        self._rules("-D")
        with _locked():
            run("ip", "link", "delete", self.bridge)

    def _rules(self, action: str) -> None:
        for table, chain, *match, target in (
            ("filter", "FORWARD", "-i", self.bridge, "ACCEPT"),
            ("filter", "FORWARD", "-o", self.bridge, "ACCEPT"),
            ("nat", "POSTROUTING", "-s", self.subnet, "!", "-o", self.bridge, "MASQUERADE"),
        ):
            # A bridge whose run was killed has left its rules.
            known = subprocess.run(
                ["iptables", "-w", "-t", table, "-C", chain, *match, "-j", target], capture_output=True, check=False
            )
            if (known.returncode == 0) == (action == "-D"):
                run("iptables", "-w", "-t", table, action, chain, *match, "-j", target)

    def __enter__(self) -> EngineNetwork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Plug:
    """A namespace's link to a network, its `eth0`. It vanishes with the namespace."""

    def __init__(self, network: EngineNetwork, process: int, address: str) -> None:
        self.address = address
        self._device = f"{network.bridge}h{address.rpartition('.')[2]}"
        inside = ("nsenter", "--target", str(process), "--net", "ip")
        # After a namespace has ended the kernel takes a moment to remove its link.
        subprocess.run(["ip", "link", "delete", self._device], capture_output=True, check=False)
        run("ip", "link", "add", self._device, "type", "veth", "peer", "name", "eth0", "netns", str(process))
        run("ip", "link", "set", self._device, "master", network.bridge, "up")
        run(*inside, "address", "add", f"{address}/24", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "route", "add", "default", "via", network.gateway)

    def cut(self) -> None:
        """Nothing comes through any more, as with a cable pulled out of the switch."""
        run("ip", "link", "set", self._device, "down")

    def restore(self) -> None:
        run("ip", "link", "set", self._device, "up")


def run(*command: str) -> str:
    """The command's output; fails the test with what it said when it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"`{' '.join(command)}` ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def outer_mtu() -> int:
    """The largest packet that gets out of this machine: what goes out from inside a container must not be larger."""
    words = subprocess.run(["ip", "-o", "route", "show", "default"], capture_output=True, text=True, check=False)
    fields = words.stdout.split()
    if "dev" not in fields:
        return 1500
    return int(Path("/sys/class/net", fields[fields.index("dev") + 1], "mtu").read_text())


def _is_free(number: int) -> bool:
    """Whether there is no such bridge; removes one whose run has ended without doing so."""
    name = f"{_NAME}{number}"
    device = Path("/sys/class/net", name)
    if not device.exists():
        return True
    owner = (device / "ifalias").read_text().strip()
    pid = owner.partition(" ")[0]
    if pid.isdecimal() and _identity(int(pid)) == owner:
        return False
    run("ip", "link", "delete", name)
    return True


def _identity(pid: int) -> str:
    """The process and when it started, so that a number used again is not taken for it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return f"{pid} {fields[19]}"


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    _LOCK.parent.mkdir(parents=True, exist_ok=True)
    with _LOCK.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
