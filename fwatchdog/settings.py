"""The watchdog's settings, from the environment of the function's container or process."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from fwatchdog.http.addresses import HttpAddress
from fwatchdog.http.site import IDLE_TIMEOUT, LINGER_TIMEOUT
from swarmfn.wire.commands import quoted_part
from swarmfn.wire.durations import parse_duration
from swarmfn.wire.environment import Environment
from swarmfn.wire.request_heads import MAX_HEAD

FORK = "fork"
SERIALIZING = "serializing"
STREAMING = "streaming"
CLASSIC = "classic"
"""Another word for fork."""
HTTP = "http"
STATIC = "static"
PYTHON = "python"
WSGI = "wsgi"
ASGI = "asgi"
MODES = (FORK, SERIALIZING, STREAMING, HTTP, STATIC, PYTHON, WSGI, ASGI)
FORKING = frozenset({FORK, SERIALIZING, STREAMING})
"""The modes that start the command for each call."""
IN_WORKERS = (PYTHON, WSGI, ASGI)
"""The modes whose function is imported and called in worker processes."""

_OF_WATCHDOG = frozenset({SERIALIZING, STREAMING, HTTP, STATIC})
_OF_EXEC_TIMEOUT = 30.0

_FORKED_CALLS = 128
"""Processes that callers can have started at once, unless `max_inflight` says otherwise: more than a worker's calls of
one queue (100), few enough that a machine with some such functions lives."""

_TRUE = frozenset({"1", "t", "true", "yes", "on"})
_FALSE = frozenset({"0", "f", "false", "no", "off"})
"""Go's words for it, and YAML's."""

_WHOLE = re.compile(r"[+-]?[0-9]{1,9}")
_USUAL_LINE = 64 * 1024
_ANY_LINE = 16 * 2**20
"""What log_buffer_size=-1 means here: a function that ends no line must not take all of the memory."""

_FEWEST_WORKERS = 2
_LEAST_HEAD, _MOST_HEAD = 1024, 2**20
_ASGI_CALLS = 32


_FOR_FUNCTIONS = ("gateway_url",)
"""What the platform tells a function, beside its settings."""


@dataclass(frozen=True)
class Settings:
    """`listen_fd` of -1: bind `port` instead. A timeout of 0 means no limit. `warnings` go to the log."""

    mode: str
    command: tuple[str, ...]
    handler_path: str
    upstream_url: str
    static_path: str
    port: int
    listen_fd: int
    metrics_port: int
    read_timeout: float
    write_timeout: float
    exec_timeout: float
    idle_timeout: float
    linger_timeout: float
    max_head: int
    healthcheck_interval: float
    max_inflight: int
    content_type: str
    combine_output: bool
    cgi_headers: bool
    marshal_request: bool
    http_buffer_req_body: bool
    ready_path: str
    write_debug: bool
    prefix_logs: bool
    log_buffer_size: int
    log_callid: bool
    log_format: str
    suppress_lock: bool
    handler: str
    workers: int
    threads: int
    warnings: tuple[str, ...] = ()

    @classmethod
    def load(cls, variables: Mapping[str, str]) -> Settings:
        """Raises SettingsError that names every bad variable."""
        env = Environment(variables)
        lenient = _Lenient(env)
        command = env.text("function_process") or env.text("fprocess")
        handler_path = env.text("handler_path")
        upstream_url = env.text("http_upstream_url") or env.text("upstream_url")
        write_timeout = lenient.duration("write_timeout", 30.0)
        mode = _mode(env, command, handler_path, upstream_url)
        settings = cls(
            mode=mode,
            # The contract: split on single spaces, no shell; two spaces make an empty argument.
            command=tuple(command.split(" ")) if command else (),
            handler_path=handler_path,
            upstream_url=upstream_url,
            static_path=env.text("static_path", "/home/app/public"),
            port=env.port("port", 8080),
            listen_fd=env.integer("listen_fd", -1),
            metrics_port=env.port("metrics_port", 8081),
            read_timeout=lenient.duration("read_timeout", 30.0),
            write_timeout=write_timeout,
            exec_timeout=lenient.duration("exec_timeout", _OF_EXEC_TIMEOUT if mode in _OF_WATCHDOG else 0.0),
            idle_timeout=lenient.duration("idle_timeout", IDLE_TIMEOUT),
            linger_timeout=lenient.duration("linger_timeout", LINGER_TIMEOUT),
            max_head=_max_head(env),
            healthcheck_interval=lenient.duration("healthcheck_interval", write_timeout),
            max_inflight=max(0, lenient.integer("max_inflight", _FORKED_CALLS if mode in FORKING else 0)),
            content_type=_header_value(env, "content_type"),
            combine_output=lenient.flag("combine_output", mode == FORK, otherwise=False),
            cgi_headers=lenient.flag("cgi_headers", True, otherwise=False),
            marshal_request=lenient.flag("marshal_request", False),
            http_buffer_req_body=lenient.flag("http_buffer_req_body", lenient.flag("buffer_http", False)),
            ready_path=_path(env, "ready_path"),
            write_debug=lenient.flag("write_debug", False),
            prefix_logs=lenient.flag("prefix_logs", True),
            log_buffer_size=_longest_line(lenient),
            log_callid=lenient.flag("log_callid", True),
            log_format=env.choice("log_format", "text", ("text", "json")),
            suppress_lock=lenient.flag("suppress_lock", False),
            handler=env.text("handler", "handler:handle" if mode == PYTHON else "handler:app"),
            workers=env.integer("workers", _default_workers(), minimum=1),
            threads=env.integer("threads", _ASGI_CALLS if mode == ASGI else 1, minimum=1),
            warnings=(
                *lenient.warnings,
                *_ignored(mode, upstream_url),
                *_quoted(command),
                *env.misspelt(others=_FOR_FUNCTIONS),
            ),
        )
        env.finish()
        return settings


class _Lenient:
    """A value that does not parse falls back to a default, as in OpenFaaS: images must start unchanged."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self.warnings: list[str] = []

    def duration(self, name: str, default: float) -> float:
        text = self._env.text(name)
        if not text:
            return default
        try:
            return parse_duration(text)
        except ValueError as exc:
            self.warnings.append(f"{name}: {exc}; using {default:g} s")
            return default

    def flag(self, name: str, default: bool, otherwise: bool | None = None) -> bool:
        """`otherwise` is for words that say neither yes nor no; None: as if nothing had been said."""
        text = self._env.text(name)
        if not text:
            return default
        if text.lower() in _TRUE:
            return True
        if text.lower() in _FALSE:
            return False
        found = default if otherwise is None else otherwise
        self.warnings.append(f"{name}: expected true or false, got {text!r:.100}; using {str(found).lower()}")
        return found

    def integer(self, name: str, default: int) -> int:
        text = self._env.text(name)
        if not text:
            return default
        if _WHOLE.fullmatch(text):
            return int(text)
        self.warnings.append(f"{name}: expected a whole number, got {text!r:.100}; using {default}")
        return default


def _longest_line(lenient: _Lenient) -> int:
    size = lenient.integer("log_buffer_size", _USUAL_LINE)
    if size < 0:
        return _ANY_LINE
    return size or _USUAL_LINE


def _max_head(env: Environment) -> int:
    size = env.size("max_head", f"{MAX_HEAD}")
    if not _LEAST_HEAD <= size <= _MOST_HEAD:
        env.problem("max_head", f"expected from {_LEAST_HEAD} to {_MOST_HEAD} bytes, got {size}")
    return size


def _mode(env: Environment, command: str, handler_path: str, upstream_url: str) -> str:
    """The mode asked for, or what follows from the rest: to fork with a command, else Python."""
    is_classic = env.text("mode") == CLASSIC
    mode = FORK if is_classic else env.choice("mode", FORK if command else PYTHON, MODES)
    if env.text("mode") == "" and not command and not handler_path:
        env.problem("mode", "set fprocess to a command, or handler_path to a folder with handler.py")
    elif mode in FORKING and not command:
        env.problem("fprocess", f"mode={mode} needs the command to run for each call")
    elif mode in IN_WORKERS and not handler_path:
        env.problem("handler_path", f"mode={mode} needs the folder of handler.py")
    elif mode == HTTP:
        _check_http(env, command, upstream_url)
    return mode


def _check_http(env: Environment, command: str, upstream_url: str) -> None:
    if not command:
        env.problem("fprocess", "mode=http needs the command that starts the function's server")
    try:
        HttpAddress.parse(upstream_url)
    except ValueError as exc:
        env.problem("upstream_url", f"mode=http needs where the function's server listens: {exc}")


def _ignored(mode: str, upstream_url: str) -> tuple[str, ...]:
    if upstream_url and mode != HTTP:
        return (f"upstream_url: ignored with mode={mode}; mode=http passes calls on to a server",)
    return ()


def _quoted(command: str) -> tuple[str, ...]:
    if not (part := quoted_part(command)):
        return ()
    return (f"fprocess: it is split at spaces, without a shell; the quotes of {part:.100} stay in it",)


def _path(env: Environment, name: str) -> str:
    path = env.text(name)
    if path and not (path.startswith("/") and path.isascii() and path.isprintable() and " " not in path):
        env.problem(name, f"expected a path such as /ready, got {path!r}")
    return path


def _header_value(env: Environment, name: str) -> str:
    value = env.text(name)
    if not (value.isascii() and (value == "" or value.isprintable())):
        env.problem(name, "expected a media type such as application/json")
    return value


def _default_workers() -> int:
    """One per core, but never a single one: one call that waits would hold up all others."""
    return max(_FEWEST_WORKERS, len(os.sched_getaffinity(0)))
