"""`event.query`: what Werkzeug calls a MultiDict, with what handlers use of it."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

_KEEP_ESCAPED = "swarmfn.keep_escaped"
_MISSING: Any = object()


class BadRequestKeyError(KeyError):
    """A name that the caller did not send. A handler that lets it pass answers 400, as with Flask."""


class MultiDict(dict[str, Any]):
    """A dict whose usual methods see the first value of each name; `getlist`, `lists` and such see them all."""

    def __init__(self, pairs: Iterable[tuple[str, Any]] | Mapping[str, Any] = ()) -> None:
        lists: dict[str, list[Any]] = {}
        for name, value in _pairs(pairs):
            lists.setdefault(name, []).append(value)
        super().__init__(lists)

    # -- reading ---------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        values = super().get(name)
        if not values:
            raise BadRequestKeyError(name)
        return values[0]

    def __iter__(self) -> Iterator[str]:
        # dict(query) copies the lists behind this class's back unless there is an __iter__ of its own.
        return super().__iter__()

    def get(self, name: str, default: Any = None, type: Callable[[str], Any] | None = None) -> Any:  # noqa: A002
        """The first value, made a `type`; the default too for one that this `type` refuses."""
        values = super().get(name)
        if not values:
            return default
        if type is None:
            return values[0]
        try:
            return type(values[0])
        except (ValueError, TypeError):
            return default

    def getlist(self, name: str, type: Callable[[str], Any] | None = None) -> list[Any]:  # noqa: A002
        return typed(super().get(name, ()), type)

    def items(self, multi: bool = False) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        for name, values in super().items():
            yield from ((name, value) for value in (values if multi else values[:1]))

    def values(self) -> Iterator[Any]:  # type: ignore[override]
        return (values[0] for values in super().values() if values)

    def lists(self) -> Iterator[tuple[str, list[Any]]]:
        return ((name, list(values)) for name, values in super().items())

    def listvalues(self) -> Iterator[list[Any]]:
        return iter(super().values())

    def to_dict(self, flat: bool = True) -> dict[str, Any]:
        return dict(self.items()) if flat else dict(self.lists())

    def copy(self) -> MultiDict:
        """One that can be changed."""
        return MultiDict(self.items(multi=True))

    def __or__(self, other: Any) -> MultiDict:  # type: ignore[override]
        joined = self.copy()
        joined.update(other)
        return joined

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.items(multi=True))!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (list(self.items(multi=True)),)

    # -- changing --------------------------------------------------------------------------------------------------

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, [value])

    def add(self, name: str, value: Any) -> None:
        super().setdefault(name, []).append(value)

    def setlist(self, name: str, values: Iterable[Any]) -> None:
        super().__setitem__(name, list(values))

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *others: Any, **more: Any) -> None:
        """Adds to the values that are there."""
        for other in (*others, more):
            for name, value in _pairs(other):
                self.add(name, value)

    def __ior__(self, other: Any) -> MultiDict:  # type: ignore[override]
        self.update(other)
        return self

    def pop(self, name: str, default: Any = _MISSING) -> Any:
        """The first value; all of them go."""
        values = super().pop(name, None)
        if values:
            return values[0]
        if default is _MISSING:
            raise BadRequestKeyError(name)
        return default

    def poplist(self, name: str) -> list[Any]:
        values: list[Any] = super().pop(name, [])
        return values

    def popitem(self) -> tuple[str, Any]:
        name, values = super().popitem()
        return name, values[0]


def _refuse(self: Any, *arguments: Any, **more: Any) -> Any:
    raise TypeError(f"{type(self).__name__!r} objects are immutable")


class ImmutableMultiDict(MultiDict):
    """What a request brings cannot be changed; `copy()` can."""

    __setitem__ = __delitem__ = __ior__ = add = setlist = setdefault = update = clear = _refuse
    pop = poplist = popitem = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items(multi=True)))


def typed(values: Iterable[str], make: Callable[[str], Any] | None) -> list[Any]:
    """What `make` makes of the values, without those that it refuses."""
    if make is None:
        return list(values)
    kept = []
    for value in values:
        try:
            kept.append(make(value))
        except (ValueError, TypeError):
            continue
    return kept


def parse_query(query: str) -> ImmutableMultiDict:
    """The query of a target as it came; bytes that are not UTF-8 stay escaped."""
    if not query:
        return ImmutableMultiDict()
    text = query if query.isascii() else query.encode("latin-1").decode("utf-8", _KEEP_ESCAPED)
    return ImmutableMultiDict(parse_qsl(text, keep_blank_values=True, errors=_KEEP_ESCAPED))


def _pairs(source: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(source, MultiDict):
        return source.items(multi=True)
    if not isinstance(source, Mapping):
        return source  # type: ignore[no-any-return]
    return (
        (name, one)
        for name, value in source.items()
        for one in (value if isinstance(value, list | tuple | set) else (value,))
    )


def _keep_escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return quote(error.object[error.start : error.end], safe=""), error.end


codecs.register_error(_KEEP_ESCAPED, _keep_escaped)
