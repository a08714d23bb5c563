"""Synchronous calls: the fast lane against the Flask front end and against nginx, all in front of the same no-op
server, in one run. Prints CPU µs per request, requests a second and latencies."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rig import REPOSITORY, Load, cpu_seconds, free_port, program, redis, rounds, table, wrk

_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream function {{ server 127.0.0.1:{upstream}; keepalive 256; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 10000000;
    location /function/noop {{
      proxy_pass http://function/; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Options:
    """seconds: of load for each contestant in each round; body: bytes of each request's body."""

    rounds: int
    seconds: int
    connections: int
    body: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of load for each contestant in each round")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--body", type=int, default=1024, help="bytes of each request's body")
    options = Options(**vars(parser.parse_args()))
    nginx = shutil.which("nginx")
    if nginx is None:
        raise SystemExit("this benchmark compares with nginx: apt-get install nginx-light")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = free_port()
        stack.enter_context(
            program([sys.executable, REPOSITORY / "benchmarks/noop_server.py", "--port", upstream], upstream)
        )
        redis_port = stack.enter_context(redis("bench"))
        (folder / "redis-password").write_text("bench")
        servers = {}
        for name in ("fastlane", "flask"):
            port = free_port()
            servers[name] = stack.enter_context(gateway(name, port, upstream, redis_port, folder)), port
        port = free_port()
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, upstream=upstream, port=port))
        servers["nginx"] = stack.enter_context(program([nginx, "-c", folder / "nginx.conf", "-p", folder], port)), port
        contestants = {name: contestant(process, port, options) for name, (process, port) in servers.items()}
        table(rounds(options.rounds, contestants), "flask", "CPU µs", smaller_is_better=True)


def gateway(
    data_plane: str, port: int, upstream: int, redis_port: int, folder: Path
) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    env = {
        "port": str(port),
        "listen_address": "127.0.0.1",
        "data_plane": data_plane,
        "basic_auth": "false",
        "secret_mount_path": str(folder),
        "faas_redis_address": f"127.0.0.1:{redis_port}",
    }
    command = [sys.executable, REPOSITORY / "benchmarks/gateway_for.py", f"noop=127.0.0.1:{upstream}"]
    return program(command, port, env)


def contestant(process: subprocess.Popen[bytes], port: int, options: Options) -> Callable[[], Mapping[str, float]]:
    def run() -> Mapping[str, float]:
        before = cpu_seconds(process)
        load: Load = wrk(f"http://127.0.0.1:{port}/function/noop", options.seconds, options.connections, options.body)
        if load.failed:
            raise SystemExit(f"{load.failed} of {load.requests} requests failed")
        cpu = (cpu_seconds(process) - before) / load.requests * 1e6
        return {"CPU µs": cpu, "requests/s": load.per_second, "p50 ms": load.p50, "p99 ms": load.p99}

    return run


if __name__ == "__main__":
    main()
