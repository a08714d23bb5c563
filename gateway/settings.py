"""The gateway's settings, read once from the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from gateway.invoke.cross_origin import parse_origins
from swarmfn.wire.callback_guard import CallbackGuard, read_guard
from swarmfn.wire.environment import Environment, check_settings
from swarmfn.wire.headers import MAX_HOPS
from swarmfn.wire.redis_address import RedisAddress
from swarmfn.wire.secret_files import PASSWORD, REDIS_PASSWORD, USER

_TIME_TO_TELL = 5.0
"""Seconds: how much longer than upstream_timeout a client is waited for, unless settings say otherwise."""

_ORIGINS = "* or origins such as https://app.example:8443"
_LEAST_MEMORY = 6 * 2**20


@dataclass(frozen=True)
class Settings:
    """Durations are seconds, sizes bytes. docs/reference/settings.md explains each."""

    listen_address: str
    port: int
    data_plane: str
    read_timeout: float
    write_timeout: float
    upstream_timeout: float
    exec_timeout: float
    async_max_body: int
    upload_budget: int
    max_connections_per_client: int
    async_max_delay: float
    async_max_put_off: int
    idempotency_window: float
    queue_max_depth: int
    queue_max_age: float
    queue_max_memory: int | None
    callback_guard: CallbackGuard
    max_hops: int
    cors_origins: tuple[str, ...]
    basic_auth: bool
    secret_mount_path: str
    user: str | None
    password: str | None = field(repr=False)
    redis_address: RedisAddress
    redis_password: str | None = field(repr=False)
    functions_provider: str
    local_state_dir: Path
    docker_host: str
    functions_network: str
    functions_start_timeout: float
    functions_rlimit_nproc: int
    functions_rlimit_nofile: int
    functions_rlimit_as: int
    functions_drop_capabilities: str
    functions_pids_limit: int
    functions_memory_limit: int
    functions_cpu_limit: float
    gateway_address: str
    metrics_port: int
    management_port: int
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    log_format: str
    misspelt: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Settings:
        """Raises SettingsError that names every bad variable."""
        env = Environment(variables)
        secrets = env.text("secret_mount_path", "/run/secrets")
        upstream_timeout = env.duration("upstream_timeout", "60s")
        outer_timeout = f"{upstream_timeout + _TIME_TO_TELL:.3f}s"
        settings = cls(
            listen_address=env.host("listen_address", "0.0.0.0"),
            port=env.port("port", 8080, minimum=1),
            data_plane=env.choice("data_plane", "fastlane", ("fastlane", "flask")),
            read_timeout=env.duration("read_timeout", outer_timeout),
            write_timeout=env.duration("write_timeout", outer_timeout),
            upstream_timeout=upstream_timeout,
            exec_timeout=env.duration("exec_timeout", "60s"),
            async_max_body=env.size("async_max_body", "64Mi"),
            upload_budget=env.size("upload_budget", "0"),
            max_connections_per_client=env.integer("max_connections_per_client", 4096, minimum=1),
            async_max_delay=env.duration("async_max_delay", "720h"),
            async_max_put_off=env.integer("async_max_put_off", 100_000),
            idempotency_window=env.duration("idempotency_window", "24h"),
            queue_max_depth=env.integer("queue_max_depth", 100_000),
            queue_max_age=env.duration("queue_max_age", "0s"),
            queue_max_memory=env.size("queue_max_memory", "0") if env.text("queue_max_memory") else None,
            callback_guard=read_guard(env),
            max_hops=env.integer("max_hops", MAX_HOPS),
            cors_origins=env.parsed("cors_origins", (), parse_origins, _ORIGINS),
            basic_auth=env.flag("basic_auth", True),
            secret_mount_path=secrets,
            user=env.secret(secrets, USER),
            password=env.secret(secrets, PASSWORD),
            redis_address=env.redis_address("faas_redis_address", "redis:6379"),
            redis_password=env.secret(secrets, REDIS_PASSWORD),
            functions_provider=env.choice("functions_provider", "local", ("local", "swarm")),
            local_state_dir=Path(env.text("local_state_dir", "/var/lib/swarmfn")),
            docker_host=env.engine_address("DOCKER_HOST"),
            functions_network=env.text("functions_network"),
            functions_start_timeout=env.duration("functions_start_timeout", "5m"),
            functions_rlimit_nproc=env.integer("functions_rlimit_nproc", 0),
            functions_rlimit_nofile=env.integer("functions_rlimit_nofile", 16384),
            functions_rlimit_as=env.size("functions_rlimit_as", "0"),
            functions_drop_capabilities=env.choice("functions_drop_capabilities", "most", ("most", "all", "none")),
            functions_pids_limit=env.integer("functions_pids_limit", 2048),
            functions_memory_limit=env.size("functions_memory_limit", "1Gi"),
            functions_cpu_limit=env.processors("functions_cpu_limit"),
            gateway_address=env.address("faas_gateway_address", "gateway:8080"),
            metrics_port=env.port("metrics_port", 0),
            management_port=env.port("management_port", 0),
            trusted_proxies=env.networks("trusted_proxies"),
            log_format=env.choice("log_format", "text", ("text", "json")),
        )
        settings._check(env, secrets)
        env.finish()
        return replace(settings, misspelt=env.misspelt())

    def _check(self, env: Environment, secrets: str) -> None:
        if self.basic_auth and (not self.user or not self.password):
            env.problem(
                "basic_auth", f"needs the files basic-auth-user and basic-auth-password in {secrets}, not empty"
            )
        if self.basic_auth and ":" in (self.user or ""):
            env.problem(
                f"{secrets}/basic-auth-user",
                "has a colon in it, which would end the user name in HTTP Basic credentials",
            )
        if self.management_port and self.management_port in (self.port, self.metrics_port):
            env.problem("management_port", "must differ from port and metrics_port")
        if 0 < self.functions_memory_limit < _LEAST_MEMORY:
            env.problem("functions_memory_limit", "must be 6Mi or more, or 0: no engine starts a container with less")
        if 0 < self.upload_budget < self.async_max_body:
            env.problem("upload_budget", f"must not be less than async_max_body ({self.async_max_body} bytes)")
        for name, seconds in (("read_timeout", self.read_timeout), ("write_timeout", self.write_timeout)):
            if seconds <= self.upstream_timeout:
                # Otherwise the client would be cut off before it is told that the function was too slow.
                env.problem(name, f"must be longer than upstream_timeout ({self.upstream_timeout:g}s)")
        for name in ("upstream_timeout", "exec_timeout", "idempotency_window", "functions_start_timeout"):
            if getattr(self, name) <= 0:
                env.problem(name, "must be more than 0")


if __name__ == "__main__":  # to have settings checked before anything starts
    sys.exit(check_settings(Settings.from_environment, os.environ))
