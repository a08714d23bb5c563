"""Settings from the environment and from secret files, read once, with every problem reported together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Protocol, TypeVar

from swarmfn.wire.addresses import parse_engine_address, parse_host, split_address
from swarmfn.wire.durations import parse_duration
from swarmfn.wire.errors import SettingsError
from swarmfn.wire.nearest import nearest
from swarmfn.wire.quantities import parse_cpu, parse_memory
from swarmfn.wire.redis_address import RedisAddress, parse_redis_address
from swarmfn.wire.secret_files import read_secret

Value = TypeVar("Value")

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def misspelt_settings(variables: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """A sentence for each name in `variables` that is nearly one of `known`."""
    found = {name: nearest(name, known) for name in variables if name not in known and _could_be_ours(name, known)}
    return tuple(f"there is no setting {name}; did you mean {meant}?" for name, meant in sorted(found.items()) if meant)


class Checked(Protocol):
    """What a program's settings are."""

    @property
    def misspelt(self) -> tuple[str, ...]: ...


def check_settings(load: Callable[[Mapping[str, str]], Checked], variables: Mapping[str, str]) -> int:
    """Reads settings and writes what is wrong with them to standard error, and what is only odd to standard output;
    2 when they cannot be used, else 0."""
    try:
        print("\n".join(load(variables).misspelt))
    except SettingsError as exc:
        print("\n".join(exc.problems), file=sys.stderr)
        return 2
    return 0


def _could_be_ours(name: str, known: Collection[str]) -> bool:
    # Nearly all of an environment's other names are in capital letters, and none of ours.
    return (name.islower() and "_" in name) or name.lower() in known


class Environment:
    """Reads settings out of `variables`; call `finish()` when all are read.

    Every reader returns the default for a missing or empty variable. A variable that does not parse is noted,
    the default is returned, and `finish()` raises SettingsError naming each of them.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._problems: list[str] = []
        self._asked: set[str] = set()

    def text(self, name: str, default: str = "") -> str:
        self._asked.add(name)
        return self._variables.get(name, "").strip() or default

    def integer(self, name: str, default: int, minimum: int = 0, most: int | None = None) -> int:
        def parse(text: str) -> int:
            number = int(text)
            if number < minimum or (most is not None and number > most):
                raise ValueError
            return number

        limits = f"of at least {minimum}" if most is None else f"from {minimum} to {most}"
        return self.parsed(name, default, parse, f"a whole number {limits}")

    def flag(self, name: str, default: bool) -> bool:
        def parse(text: str) -> bool:
            if text.lower() in _TRUE:
                return True
            if text.lower() in _FALSE:
                return False
            raise ValueError

        return self.parsed(name, default, parse, "true or false")

    def duration(self, name: str, default: str) -> float:
        """Seconds, from whole seconds or a Go duration."""
        return self.parsed(name, parse_duration(default), parse_duration, 'seconds or a duration such as "1m30s"')

    def size(self, name: str, default: str) -> int:
        """Bytes, from a quantity such as `64Mi`."""
        return self.parsed(name, parse_memory(default), parse_memory, 'an amount of memory such as "64Mi"')

    def processors(self, name: str) -> float:
        """A number of processors, from a quantity such as `1500m`; 0 unless set."""
        return self.parsed(name, 0.0, parse_cpu, 'a number of processors such as "1.5" or "1500m"')

    def choice(self, name: str, default: str, options: tuple[str, ...]) -> str:
        def parse(text: str) -> str:
            if text not in options:
                raise ValueError
            return text

        return self.parsed(name, default, parse, "one of " + ", ".join(options))

    def networks(self, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
        """Addresses and networks, separated by commas or spaces; none is the default."""

        def parse(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
            return tuple(ip_network(part) for part in text.replace(",", " ").split())

        return self.parsed(name, (), parse, "addresses or networks such as 10.0.0.0/8,192.0.2.1")

    def host(self, name: str, default: str) -> str:
        """A host's name or address; an IPv6 address without brackets."""
        return self.parsed(name, default, parse_host, "the name or address of a host")

    def port(self, name: str, default: int, minimum: int = 0) -> int:
        """A port; 0, unless `minimum` is more, says that there is none."""
        return self.integer(name, default, minimum, most=65535)

    def address(self, name: str, default: str) -> str:
        """`host:port`, as text."""

        def parse(text: str) -> str:
            split_address(text)
            return text

        return self.parsed(name, default, parse, "host:port")

    def engine_address(self, name: str) -> str:
        """Where a Docker Engine listens, as Docker's clients take it; "" unless set."""

        def parse(text: str) -> str:
            parse_engine_address(text)
            return text

        return self.parsed(name, "", parse, "unix:///path or tcp://host:port")

    def redis_address(self, name: str, default: str) -> RedisAddress:
        """Where Redis is. A problem is told without the password that an address may have in it."""
        try:
            return parse_redis_address(self.text(name, default))
        except ValueError as exc:
            self.problem(name, str(exc))
            return parse_redis_address(default)

    def parsed(self, name: str, default: Value, parse: Callable[[str], Value], expected: str) -> Value:
        """What `parse` makes of a text; a ValueError of its is a problem, which says what was `expected`."""
        text = self.text(name)
        if not text:
            return default
        try:
            return parse(text)
        except ValueError:
            self.problem(name, f"expected {expected}, got {text!r}")
            return default

    def secret(self, directory: str, name: str) -> str | None:
        """The content of the secret file `name`, without the newline at its end; None where there is no such file."""
        path = Path(directory) / name
        try:
            return read_secret(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            self.problem(str(path), f"cannot be used: {exc}")
            return None

    def problem(self, name: str, what: str) -> None:
        """Notes a problem that only the caller can see, such as two settings that contradict each other."""
        self._problems.append(f"{name}: {what}")

    def misspelt(self, others: Collection[str] = ()) -> tuple[str, ...]:
        """A sentence for each variable whose name is nearly that of a setting and that is not read, here or by
        `others`. Call it when all are read."""
        return misspelt_settings(set(self._variables).difference(others), self._asked)

    def finish(self) -> None:
        if self._problems:
            raise SettingsError(self._problems)
