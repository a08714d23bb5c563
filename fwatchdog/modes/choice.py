"""Which mode a function runs in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fwatchdog import settings as names
from fwatchdog.children import Nursery
from fwatchdog.modes import Failed, Mode
from fwatchdog.settings import Settings


def _fork(settings: Settings, nursery: Nursery, failed: Failed) -> Mode:
    from fwatchdog.modes.fork import ForkMode

    return ForkMode(settings, nursery, is_serializing=settings.mode == names.SERIALIZING)


def _streaming(settings: Settings, nursery: Nursery, failed: Failed) -> Mode:
    from fwatchdog.modes.streaming import StreamingMode

    return StreamingMode(settings, nursery)


def _http(settings: Settings, nursery: Nursery, failed: Failed) -> Mode:
    from fwatchdog.modes.http.mode import HttpMode

    return HttpMode(settings, nursery, failed)


def _static(settings: Settings, nursery: Nursery, failed: Failed) -> Mode:
    from fwatchdog.modes.static.mode import StaticMode

    return StaticMode(settings)


def _python(settings: Settings, nursery: Nursery, failed: Failed) -> Mode:
    from fwatchdog.modes.python.mode import PythonMode

    return PythonMode(settings, nursery)


# Imported when chosen: a replica carries only the mode it runs in.
_MODES: Mapping[str, Callable[[Settings, Nursery, Failed], Mode]] = {
    names.FORK: _fork,
    names.SERIALIZING: _fork,
    names.STREAMING: _streaming,
    names.HTTP: _http,
    names.STATIC: _static,
    **dict.fromkeys(names.IN_WORKERS, _python),
}


def create_mode(settings: Settings, nursery: Nursery, failed: Failed) -> Mode:
    """The mode that the settings name."""
    return _MODES[settings.mode](settings, nursery, failed)
