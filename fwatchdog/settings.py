"""The watchdog's settings, from the environment of the function's container or process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from swarmfn.wire.durations import parse_duration
from swarmfn.wire.environment import Environment

FORK = "fork"
PYTHON = "python"
MODES = (FORK, PYTHON)

_FEWEST_WORKERS = 2


@dataclass(frozen=True)
class Settings:
    """`listen_fd` of -1: bind `port` instead. A timeout of 0 is none. `warnings` are for the log, once it is there."""

    mode: str
    command: tuple[str, ...]
    handler_path: str
    port: int
    listen_fd: int
    metrics_port: int
    read_timeout: float
    write_timeout: float
    exec_timeout: float
    healthcheck_interval: float
    max_inflight: int
    content_type: str
    combine_output: bool
    cgi_headers: bool
    marshal_request: bool
    write_debug: bool
    prefix_logs: bool
    log_buffer_size: int
    log_format: str
    suppress_lock: bool
    workers: int
    warnings: tuple[str, ...] = ()

    @classmethod
    def load(cls, variables: Mapping[str, str]) -> Settings:
        """Raises SettingsError that names every bad variable."""
        env = Environment(variables)
        durations = _LenientDurations(env)
        command = env.text("function_process") or env.text("fprocess")
        handler_path = env.text("handler_path")
        write_timeout = durations.read("write_timeout", 30.0)
        settings = cls(
            mode=_mode(env, command, handler_path),
            # The contract: split on single spaces, no shell; two spaces make an empty argument.
            command=tuple(command.split(" ")) if command else (),
            handler_path=handler_path,
            port=_port(env, "port", 8080),
            listen_fd=env.integer("listen_fd", -1),
            metrics_port=_port(env, "metrics_port", 8081),
            read_timeout=durations.read("read_timeout", 30.0),
            write_timeout=write_timeout,
            exec_timeout=durations.read("exec_timeout", 0.0),
            healthcheck_interval=durations.read("healthcheck_interval", write_timeout),
            max_inflight=env.integer("max_inflight", 0),
            content_type=_header_value(env, "content_type"),
            combine_output=env.flag("combine_output", True),
            cgi_headers=env.flag("cgi_headers", True),
            marshal_request=env.flag("marshal_request", False),
            write_debug=env.flag("write_debug", False),
            prefix_logs=env.flag("prefix_logs", True),
            log_buffer_size=env.integer("log_buffer_size", 65536, minimum=1),
            log_format=env.choice("log_format", "text", ("text", "json")),
            suppress_lock=env.flag("suppress_lock", False),
            workers=env.integer("workers", _default_workers(), minimum=1),
            warnings=tuple(durations.warnings),
        )
        env.finish()
        return settings


class _LenientDurations:
    """A duration that does not parse falls back to its default, as in OpenFaaS: images must start unchanged."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self.warnings: list[str] = []

    def read(self, name: str, default: float) -> float:
        text = self._env.text(name)
        if not text:
            return default
        try:
            return parse_duration(text)
        except ValueError as exc:
            self.warnings.append(f"{name}: {exc}; going on with {default:g} s")
            return default


def _mode(env: Environment, command: str, handler_path: str) -> str:
    mode = env.choice("mode", FORK if command else PYTHON, MODES)
    if env.text("mode") == "" and not command and not handler_path:
        env.problem("mode", "set fprocess to a command, or handler_path to a folder with handler.py")
    elif mode == FORK and not command:
        env.problem("fprocess", "mode=fork needs the command to run for each call")
    elif mode == PYTHON and not handler_path:
        env.problem("handler_path", "mode=python needs the folder of handler.py")
    return mode


def _port(env: Environment, name: str, default: int) -> int:
    port = env.integer(name, default)
    if port > 65535:
        env.problem(name, f"expected a port, got {port}")
    return port


def _header_value(env: Environment, name: str) -> str:
    value = env.text(name)
    if not (value.isascii() and (value == "" or value.isprintable())):
        env.problem(name, "expected a media type such as application/json")
    return value


def _default_workers() -> int:
    """One per core, but never a single one: one call that waits would hold up all others."""
    return max(_FEWEST_WORKERS, len(os.sched_getaffinity(0)))
