"""`python -S -m swarmfn.healthcheck gateway|worker|redis [FILE]`: whether the program in this container works: 0 if so.

It runs again and again for as long as the container lives, so it is standard library on plain sockets: a Redis client
alone would cost more than all the rest. Like the programs it takes addresses and passwords from the environment and the
mounted secrets.

Most of what a check costs is its start, in the engine and here. With a FILE, in which it keeps whether the one before
has found all well, one check asks again and again: while all is well for half a minute, else for some seconds. It ends
as soon as that changes.
"""

from __future__ import annotations

import calendar
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from swarmfn.wire.redis_address import RedisAddress, parse_redis_address
from swarmfn.wire.secret_files import PREVIOUS, REDIS_PASSWORD, read_secret, redis_passwords

_PATIENCE = 4.0

_GETTING_WELL, _STAYING_WELL = (8, 0.5), (6, 5.0)
"""How often, and every how many seconds, a check with a file asks once more."""
_SILENT_AFTER = 60.0
"""A worker writes its heartbeat every second."""

Check = Callable[[Mapping[str, str]], str]


class RefusedByRedis(OSError):
    """It answered with an error."""


class RedisSays:
    """One connection to Redis, in its protocol. Raises OSError."""

    def __init__(self, address: RedisAddress, passwords: Sequence[str]) -> None:
        self._socket = _open(address)
        self._stream = self._socket.makefile("rb")
        try:
            if passwords := passwords or list(filter(None, [address.password])):
                self._log_in(address.username, passwords)
            if address.database:
                self.ask("SELECT", str(address.database))
        except OSError:
            self.close()
            raise

    def _log_in(self, username: str, passwords: Sequence[str]) -> None:
        """With the first of the passwords that is taken: the previous one may still be the right one."""
        *others, last = passwords
        for password in others:
            try:
                self.ask("AUTH", *filter(None, [username]), password)
            except RefusedByRedis:
                continue
            return
        self.ask("AUTH", *filter(None, [username]), last)

    def ask(self, *words: str) -> list[str]:
        """The answer, a single one as a list of one; "" stands for nothing."""
        parts = [f"*{len(words)}\r\n", *(f"${len(word.encode())}\r\n{word}\r\n" for word in words)]
        self._socket.sendall("".join(parts).encode())
        return self._answer()

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _answer(self) -> list[str]:
        line = self._stream.readline().decode().rstrip("\r\n")
        kind, rest = line[:1], line[1:]
        if kind == "*":
            return [self._answer()[0] for _ in range(int(rest))]
        if kind == "$":
            return ["" if rest == "-1" else self._stream.read(int(rest) + 2)[:-2].decode(errors="replace")]
        if kind not in ("+", ":"):
            raise RefusedByRedis(rest) if rest else OSError("Redis closed the connection")
        return [rest]


def _open(address: RedisAddress) -> socket.socket:
    if address.path:
        local = socket.socket(socket.AF_UNIX)
        local.settimeout(_PATIENCE)
        local.connect(address.path)
        return local
    opened = socket.create_connection((address.host, address.port), timeout=_PATIENCE)
    if not address.is_tls:
        return opened
    import ssl  # rarely needed, and large

    context = ssl.create_default_context(cafile=address.ca_certs or None)
    return context.wrap_socket(opened, server_hostname=address.host)


def gateway(variables: Mapping[str, str]) -> str:
    """What is wrong with the gateway in this container; "" for nothing."""
    port = int(variables.get("port") or 8080)
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status = connection.makefile("rb").readline().split()
    return "" if status[1:2] == [b"200"] else f"/healthz answers {b' '.join(status).decode(errors='replace')!r}"


def redis(variables: Mapping[str, str]) -> str:
    """What is wrong with the Redis in this container: whether it is up. One that still loads its data is not ready.

    A question, and no PING, which fails as well when it takes no writes (its disk is full, say). Such a Redis is up: to
    start it again would take from everybody what can still be read. That it is not well, the gateway says.
    """
    client = RedisSays(RedisAddress("127.0.0.1", int(variables.get("port") or 6379)), _passwords(variables))
    try:
        client.ask("EXISTS", "swarmfn:healthcheck")
    finally:
        client.close()
    return ""


def worker(variables: Mapping[str, str]) -> str:
    """What is wrong with the worker in this container: it has to be registered, and to go on saying so.

    With Redis away nothing is wrong with it, nor when Redis takes no writes (its disk is full, say): it waits, and to
    start it again would only lose what it runs.
    """
    address = parse_redis_address(variables.get("faas_redis_address") or "redis:6379")
    try:
        client = RedisSays(address, _passwords(variables))
    except OSError:
        return ""
    try:
        keys = client.ask("SMEMBERS", "rq:workers")
        entries = [client.ask("HMGET", key, "hostname", "last_heartbeat") for key in keys]
        problem = _silence([beat for hostname, beat in entries if hostname == socket.gethostname()])
        if problem:
            client.ask("DEL", "swarmfn:healthcheck")  # there is no such key: only to see whether it takes writes
    except OSError:
        return ""
    finally:
        client.close()
    return problem


def _silence(heartbeats: Sequence[str]) -> str:
    if not heartbeats:
        return "it is not registered in Redis"
    age = min(map(_age, heartbeats))
    return "" if age < _SILENT_AFTER else f"its last sign of life is {age:.0f} s old"


def _age(heartbeat: str) -> float:
    """Seconds since a time as RQ writes it, such as 2026-01-31T12:00:00.123456Z."""
    try:
        return time.time() - calendar.timegm(time.strptime(heartbeat[:19], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return float("inf")


def _passwords(variables: Mapping[str, str]) -> list[str]:
    folder = variables.get("secret_mount_path") or "/run/secrets"
    return redis_passwords(_secret(folder, REDIS_PASSWORD), _secret(folder, REDIS_PASSWORD + PREVIOUS))


def _secret(folder: str, name: str) -> str | None:
    try:
        return read_secret(os.path.join(folder, name))
    except OSError:
        return None


CHECKS: Mapping[str, Check] = {"gateway": gateway, "redis": redis, "worker": worker}


def main(arguments: list[str]) -> int:
    """Prints what is wrong, for `docker inspect`."""
    check = CHECKS.get(arguments[0]) if len(arguments) in (1, 2) else None
    if check is None:
        print(f"expected one of {', '.join(CHECKS)}, got {' '.join(arguments)!r}")
        return 2
    problem = _ask(check, os.environ) if len(arguments) == 1 else watch(lambda: _ask(check, os.environ), arguments[1])
    if problem:
        print(f"{arguments[0]}: {problem}")
    return 1 if problem else 0


def watch(ask: Callable[[], str], mark: str, pause: Callable[[float], None] = time.sleep) -> str:
    """What is wrong once that has changed, or has not for some time. The file `mark` says that nothing was wrong
    before."""
    was_well = os.path.exists(mark)
    times, seconds = _STAYING_WELL if was_well else _GETTING_WELL
    problem = ask()
    while times and was_well == (not problem):
        times -= 1
        pause(seconds)
        problem = ask()
    try:
        if problem and was_well:
            os.unlink(mark)
        elif not problem and not was_well:
            open(mark, "wb").close()
    except OSError:
        pass  # the next check then asks as often as it would without a file
    return problem


def _ask(check: Check, variables: Mapping[str, str]) -> str:
    try:
        return check(variables)
    except (OSError, ValueError) as exc:
        return str(exc)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
