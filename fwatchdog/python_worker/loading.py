"""Importing the user's code out of its folder."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

PACKAGE = "function"
"""The name under which handlers import each other, as in the well-known templates: `from function import handler`."""


class HandlerError(Exception):
    """There is nothing that can be called; the message says why."""


def load_handler(folder: str, name: str) -> Any:
    """What `name`, "module:attribute", means: the module is imported as one of the package `function`, which is the
    folder. Raises HandlerError, and whatever the import raises."""
    module_name, attribute = _split(name)
    if not os.path.isfile(os.path.join(folder, f"{module_name}.py")):
        raise HandlerError(f"there is no {module_name}.py in {folder}")
    _make_importable(folder)
    return _attribute(importlib.import_module(f"{PACKAGE}.{module_name}"), attribute)


def load_app(folder: str, name: str) -> Any:
    """The same for an application object, whose module has the name it has by itself: `handler`, `mysite.wsgi`."""
    module_name, attribute = _split(name)
    if not os.path.isdir(folder):
        raise HandlerError(f"there is no folder {folder}")
    _make_importable(folder)
    return _attribute(importlib.import_module(module_name), attribute)


def _split(name: str) -> tuple[str, str]:
    module, found, attribute = name.partition(":")
    if not (found and module and attribute):
        raise HandlerError(f'handler: expected "module:name" such as "handler:app", got "{name}"')
    return module, attribute


def _attribute(module: ModuleType, name: str) -> Any:
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part, None)
    if not callable(value):
        raise HandlerError(f"{module.__file__} defines no {name} that can be called")
    return value


def _make_importable(folder: str) -> None:
    """Makes the folder, whatever its name, the package `function`, and plain imports find its modules too."""
    # First, as with any script: the folder's own modules win over installed ones of the same name.
    sys.path.insert(0, folder)
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
