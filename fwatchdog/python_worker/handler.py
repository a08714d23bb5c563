"""The user's handler: finding it, importing it, and calling it in the shape it has."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

PACKAGE = "function"
"""The name under which handlers import each other, as in the well-known templates: `from function import handler`."""


class HandlerError(Exception):
    """The folder holds no handler that can be called; the message says why."""


class FirstValues(Mapping[str, str]):
    """Pairs as a mapping to each name's first value; `getlist(name)` has them all. Names are kept as they came."""

    def __init__(self, pairs: list[tuple[str, str]], ignore_case: bool = False) -> None:
        self._fold: Callable[[str], str] = str.lower if ignore_case else str
        self._names: dict[str, str] = {}
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._names.setdefault(self._fold(name), name)
            self._values.setdefault(self._fold(name), []).append(value)

    def __getitem__(self, name: str) -> str:
        return self._values[self._fold(name)][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names.values())

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))

    def getlist(self, name: str) -> list[str]:
        return list(self._values.get(self._fold(name), ()))


@dataclass
class Event:
    """The request, for `handle(event, context)`. Header names match without regard to case."""

    body: bytes
    headers: FirstValues
    method: str
    query: FirstValues
    path: str


@dataclass
class Context:
    hostname: str


class Handler:
    """A loaded handler. `call` may raise whatever the user's code raises."""

    def __init__(self, handle: Callable[..., Any]) -> None:
        self._handle = handle
        self.takes_event = _takes_event(handle)
        self._context = Context(os.environ.get("HOSTNAME") or os.uname().nodename)
        self._runner: Any = None

    def call(self, head: Mapping[str, Any], body: bytes) -> Any:
        if self.takes_event:
            result = self._handle(_event(head, body), self._context)
        else:
            result = self._handle(_text_or_bytes(body))
        return self._run(result) if inspect.iscoroutine(result) else result

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """One event loop for all calls, so that clients which a handler keeps open stay usable."""
        if self._runner is None:
            import asyncio

            self._runner = asyncio.Runner()
        return self._runner.run(coroutine)

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()


def load_handler(folder: str) -> Handler:
    """Imports `handler.py` of `folder` as `function.handler`; plain imports find the folder's modules too.

    Raises HandlerError, and whatever the import raises.
    """
    if not os.path.isfile(os.path.join(folder, "handler.py")):
        raise HandlerError(f"there is no handler.py in {folder}")
    # First, as with any script: the folder's own modules win over installed ones of the same name.
    sys.path.insert(0, folder)
    _import_package(folder)
    module = importlib.import_module(f"{PACKAGE}.handler")
    handle = getattr(module, "handle", None)
    if not callable(handle):
        raise HandlerError(f"{module.__file__} defines no function handle(event, context) or handle(req)")
    return Handler(handle)


def _import_package(folder: str) -> None:
    """Makes the folder, whatever its name, the package `function`."""
    initializer = os.path.join(folder, "__init__.py")
    if not os.path.isfile(initializer):
        package = ModuleType(PACKAGE)
        package.__path__ = [folder]
        sys.modules[PACKAGE] = package
        return
    spec = importlib.util.spec_from_file_location(PACKAGE, initializer, submodule_search_locations=[folder])
    if spec is None or spec.loader is None:
        raise HandlerError(f"{initializer} cannot be imported")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


def _takes_event(handle: Callable[..., Any]) -> bool:
    """Whether it is `handle(event, context)` rather than `handle(req)`."""
    parameters = inspect.signature(handle).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return True
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if not positional or len(needed) > 2 or any(p.kind is p.KEYWORD_ONLY for p in needed):
        raise HandlerError(f"handle{inspect.signature(handle)} is neither handle(event, context) nor handle(req)")
    return len(positional) >= 2


def _event(head: Mapping[str, Any], body: bytes) -> Event:
    headers = FirstValues([(name, value) for name, value in head["headers"]], ignore_case=True)
    query = FirstValues(parse_qsl(head["query"], keep_blank_values=True))
    return Event(body=body, headers=headers, method=head["method"], query=query, path=head["path"])


def _text_or_bytes(body: bytes) -> str | bytes:
    """Text where it is text: an image sent to `handle(req)` arrives as it is."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body
