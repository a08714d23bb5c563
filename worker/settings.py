"""The worker's settings, read once from the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from swarmfn.wire.addresses import split_address
from swarmfn.wire.callback_guard import CallbackGuard, read_guard
from swarmfn.wire.environment import Environment, check_settings
from swarmfn.wire.headers import MAX_HOPS
from swarmfn.wire.redis_address import RedisAddress
from swarmfn.wire.secret_files import REDIS_PASSWORD, SIGNING_KEY


@dataclass(frozen=True)
class Settings:
    """Durations are seconds, sizes bytes. docs/reference/settings.md explains each."""

    secret_mount_path: str
    redis_address: RedisAddress
    redis_password: str | None = field(repr=False)
    callback_signing_key: str | None = field(repr=False)
    max_inflight: int
    worker_processes: int
    lease: float
    drain_timeout: float
    callback_timeout: float
    callback_max_inflight: int
    result_ttl: float
    failure_ttl: float
    max_result: int
    max_response: int
    body_budget: int
    answer_budget: int
    host_aliases: Mapping[str, str]
    callback_guard: CallbackGuard
    max_hops: int
    metrics_address: str
    metrics_port: int
    log_format: str
    misspelt: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Settings:
        """Raises SettingsError that names every bad variable."""
        env = Environment(variables)
        secrets = env.text("secret_mount_path", "/run/secrets")
        aliases = _aliases(env)
        settings = cls(
            secret_mount_path=secrets,
            redis_address=env.redis_address("faas_redis_address", "redis:6379"),
            redis_password=env.secret(secrets, REDIS_PASSWORD),
            callback_signing_key=env.secret(secrets, SIGNING_KEY),
            max_inflight=env.integer("max_inflight", 100, minimum=1),
            worker_processes=env.integer("worker_processes", 1, minimum=1),
            lease=env.duration("lease", "12s"),
            drain_timeout=env.duration("drain_timeout", "30s"),
            callback_timeout=env.duration("callback_timeout", "30s"),
            callback_max_inflight=env.integer("callback_max_inflight", 20, minimum=1),
            result_ttl=env.duration("result_ttl", "1h"),
            failure_ttl=env.duration("failure_ttl", "168h"),
            max_result=env.size("max_result", "16Mi"),
            max_response=env.size("max_response", "0"),
            body_budget=env.size("body_budget", "0"),
            answer_budget=env.size("answer_budget", "0"),
            host_aliases=aliases,
            callback_guard=read_guard(env, frozenset(aliases)),
            max_hops=env.integer("max_hops", MAX_HOPS),
            metrics_address=env.host("metrics_address", "0.0.0.0"),
            metrics_port=env.port("metrics_port", 0),
            log_format=env.choice("log_format", "text", ("text", "json")),
        )
        if settings.result_ttl < 1 or settings.failure_ttl < 1:
            env.problem("result_ttl, failure_ttl", "must be at least one second")
        if settings.callback_signing_key == "":
            env.problem(f"{secrets}/callback-signing-key", "is empty; remove it to send callbacks without a signature")
        if not 1 <= settings.lease <= 600:
            env.problem("lease", "must be between one second and ten minutes")
        if settings.metrics_port + settings.worker_processes > 65536:
            env.problem("metrics_port", f"there is no port {settings.metrics_port + settings.worker_processes - 1}")
        env.finish()
        return replace(settings, misspelt=env.misspelt())


def _aliases(env: Environment) -> dict[str, str]:
    """`gateway:8080=127.0.0.1:9090,…`: where a host and port in a callback URL really are."""
    aliases = {}
    for pair in filter(None, (part.strip() for part in env.text("host_aliases").split(","))):
        name, _, address = pair.partition("=")
        try:
            split_address(name)
            split_address(address)
        except ValueError:
            env.problem("host_aliases", f'expected "host:port=host:port", got {pair!r}')
            continue
        aliases[name.lower()] = address
    return aliases


if __name__ == "__main__":  # to have settings checked before anything starts
    sys.exit(check_settings(Settings.from_environment, os.environ))
