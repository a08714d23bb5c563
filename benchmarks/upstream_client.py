"""CPU time per small POST of swarmfn.upstream, next to requests and http.client, all in one run.

Starts benchmarks/noop_server.py in a process of its own and posts to it with 32 in flight: coroutines for
swarmfn.upstream, threads with a session or connection each for the others. CPU time is this process's user and
system time, so the server's does not count. Rounds alternate between the clients, and the best round of each counts,
which keeps a busy machine from deciding.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import requests
import uvloop

from swarmfn.upstream import Upstream, request_head

HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "bench",
    "Accept": "*/*",
    "X-Call-Id": "0b9f0b7e-6c7c-4c0e-9a55-6d3a4d3b8a11",
    "X-Start-Time": "1700000000000000000",
}
BODY = b'{"hello": "world"}'

Client = Callable[[str, int, int], None]


def with_upstream(address: str, posts: int, in_flight: int) -> None:
    uvloop.run(_post_all(address, posts, in_flight))


def with_upstream_on_asyncio(address: str, posts: int, in_flight: int) -> None:
    asyncio.run(_post_all(address, posts, in_flight))


async def _post_all(address: str, posts: int, in_flight: int) -> None:
    upstream = Upstream()
    loop = asyncio.get_running_loop()
    pairs = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    pairs.append((b"Content-Length", str(len(BODY)).encode()))

    async def post_some() -> None:
        for _ in range(posts // in_flight):
            head = request_head("POST", b"/", address, pairs)
            response = await upstream.exchange(address, head, BODY, deadline=loop.time() + 60)
            body = response.complete_body()
            if body is None:
                body = await response.read()
            check(response.status, body)

    await asyncio.gather(*(post_some() for _ in range(in_flight)))
    await upstream.close()


def with_requests(address: str, posts: int, in_flight: int) -> None:
    def post_some() -> None:
        with requests.Session() as session:
            session.trust_env = False
            for _ in range(posts // in_flight):
                response = session.post(f"http://{address}/", data=BODY, headers=HEADERS, timeout=60)
                check(response.status_code, response.content)

    in_threads(post_some, in_flight)


def with_http_client(address: str, posts: int, in_flight: int) -> None:
    def post_some() -> None:
        connection = http.client.HTTPConnection(address, timeout=60)
        for _ in range(posts // in_flight):
            connection.request("POST", "/", BODY, HEADERS)
            response = connection.getresponse()
            check(response.status, response.read())
        connection.close()

    in_threads(post_some, in_flight)


def in_threads(work: Callable[[], None], count: int) -> None:
    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(work) for _ in range(count)]:
            future.result()


def check(status: int, body: bytes) -> None:
    if status != 200 or body != b"ok":
        raise SystemExit(f"the server answered {status} {body!r}")


CLIENTS: dict[str, tuple[Client, int]] = {
    # name: (client, posts per round as a part of --posts; slow ones need fewer for the same precision)
    "swarmfn.upstream on uvloop": (with_upstream, 1),
    "swarmfn.upstream on asyncio": (with_upstream_on_asyncio, 1),
    "http.client": (with_http_client, 4),
    "requests.Session": (with_requests, 8),
}


def measure(client: Client, address: str, posts: int, in_flight: int) -> tuple[float, float]:
    """Microseconds of CPU and of wall time per POST."""
    posts = max(in_flight, posts // in_flight * in_flight)
    cpu, wall = time.process_time(), time.perf_counter()
    client(address, posts, in_flight)
    return (time.process_time() - cpu) / posts * 1e6, (time.perf_counter() - wall) / posts * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=32_000, help="per round (default %(default)s)")
    parser.add_argument("--in-flight", type=int, default=32, help="default %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default %(default)s")
    options = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("noop_server.py")), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        report(run(address, options.posts, options.in_flight, options.rounds))
    finally:
        server.terminate()
        server.communicate()


def run(address: str, posts: int, in_flight: int, rounds: int) -> dict[str, tuple[float, float]]:
    best: dict[str, tuple[float, float]] = {}
    for _ in range(rounds):
        for name, (client, part) in CLIENTS.items():
            result = measure(client, address, posts // part, in_flight)
            best[name] = min(best.get(name, result), result)
    return best


def report(best: dict[str, tuple[float, float]]) -> None:
    unit = best["swarmfn.upstream on uvloop"][0]
    print(f"{'client':30}{'CPU µs/POST':>12}{'wall µs/POST':>14}{'CPU, times ours':>17}")
    for name, (cpu, wall) in best.items():
        print(f"{name:30}{cpu:12.1f}{wall:14.1f}{cpu / unit:17.1f}")


if __name__ == "__main__":
    main()
