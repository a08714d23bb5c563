"""`event.headers`: what Flask's `request.headers` is, with what handlers use of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from fwatchdog.python_worker.multidict import BadRequestKeyError, typed
from swarmfn.wire.headers import HOP_BY_HOP


class RequestHeaders:
    """A request's headers, matched without regard to case, `-` or `_`; iterated they are pairs, with names in
    Title-Case. A header that came several times is one, its values joined. They cannot be changed."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        values: dict[str, str] = {}
        for name, value in pairs:
            # Two different headers must not become one: a proxy may have checked only the one with the dash.
            if "_" in name or name.lower() in HOP_BY_HOP:
                continue
            key = name.upper().replace("-", "_")
            if key in values:
                value = f"{values[key]}{'; ' if key == 'COOKIE' else ', '}{value}"
            values[key] = value
        self._values = values

    def __getitem__(self, name: str) -> str:
        if not isinstance(name, str):
            raise BadRequestKeyError(name)
        return self._values[_key(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _key(name) in self._values

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((_title(key), value) for key, value in self._values.items())

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return self._values == other._values if isinstance(other, RequestHeaders) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def get(self, name: str, default: Any = None, type: Callable[[str], Any] | None = None) -> Any:  # noqa: A002
        """The value, made a `type`; the default too for one that this `type` refuses."""
        value = self._values.get(_key(name))
        if value is None:
            return default
        if type is None:
            return value
        try:
            return type(value)
        except ValueError:
            return default

    def getlist(self, name: str, type: Callable[[str], Any] | None = None) -> list[Any]:  # noqa: A002
        """One value at most, since repeated ones are joined."""
        return typed([value] if (value := self._values.get(_key(name))) is not None else (), type)

    def get_all(self, name: str) -> list[str]:
        return self.getlist(name)

    def keys(self, lower: bool = False) -> Iterator[str]:
        return (name for name, _ in self.items(lower))

    def values(self) -> Iterator[str]:
        return iter(self._values.values())

    def items(self, lower: bool = False) -> Iterator[tuple[str, str]]:
        return ((name.lower() if lower else name, value) for name, value in self)

    def to_wsgi_list(self) -> list[tuple[str, str]]:
        return list(self)

    def __str__(self) -> str:
        return "".join(f"{name}: {value}\r\n" for name, value in self) + "\r\n"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)!r})"

    def _refuse(self, *arguments: Any, **more: Any) -> NoReturn:
        raise TypeError(f"{type(self).__name__!r} objects are immutable")

    __setitem__ = __delitem__ = add = add_header = remove = extend = insert = pop = popitem = _refuse
    set = setlist = setdefault = setlistdefault = update = clear = copy = __or__ = __ior__ = _refuse


def _key(name: str) -> str:
    return name.upper().replace("-", "_")


def _title(key: str) -> str:
    return key.replace("_", "-").title()
