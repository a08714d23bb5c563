"""Imports asyncio without the ssl module. Import this before anything that imports asyncio.

The watchdog never speaks TLS, every replica of every function pays for what it imports, and OpenSSL is 4.5 MB of
memory and the larger part of asyncio's import time. asyncio is written to work on a Python that has no ssl.
"""

from __future__ import annotations

import sys

if "ssl" not in sys.modules:
    # None makes the import fail as if there were no such module.
    sys.modules["ssl"] = None  # type: ignore[assignment]
    import asyncio  # noqa: F401

    del sys.modules["ssl"]
