"""Serves every handler of this folder: the path's first two parts name a module and a handler in it."""

import importlib
import os

# Other handlers are imported when they are called for: one that uses Flask must not bring it to those that do not.
importlib.import_module(os.environ.get("IMPORTS", "queries"))


def handle(event, context):
    module, name = event.path.strip("/").split("/")[:2]
    return getattr(importlib.import_module(module), name)(event, context)
