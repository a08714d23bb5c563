"""The main job on real input: a whole standard library, a photo, and a chain of callbacks."""

from __future__ import annotations

import concurrent.futures
import hashlib
import random
import struct
import subprocess
import sysconfig
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.platform import Platform
from tests.support.processes import REPOSITORY
from tests.support.waiting import wait_until

NOTIFY = "http://gateway:8080/function/notify"


def recorded(platform: Platform, **query: str) -> list[dict[str, Any]]:
    """What notify has recorded."""
    response = requests.get(f"{platform.url}/function/notify", params=query, timeout=60)
    assert response.status_code == 200, response.text
    return list(response.json()["callbacks"])


@pytest.fixture
def clean_notify(any_platform: Platform) -> Platform:
    assert requests.delete(f"{any_platform.url}/function/notify", timeout=30).status_code == 200
    return any_platform


def library_files() -> list[Path]:
    """Every .py file of the running Python's standard library; installed packages do not belong to it."""
    root = Path(sysconfig.get_path("stdlib"))
    files = [path for path in root.rglob("*.py") if not {"site-packages", "dist-packages"} & set(path.parts)]
    return sorted(path for path in files if path.is_file())


def counted_by_wc(path: Path) -> list[int]:
    with path.open("rb") as file:
        return [int(word) for word in subprocess.run(["wc"], stdin=file, capture_output=True).stdout.split()]


def test_the_standard_library_is_counted_and_every_callback_arrives_once(clean_notify: Platform) -> None:
    platform = clean_notify
    files = library_files()
    assert len(files) > 500
    with requests.Session() as session, concurrent.futures.ThreadPoolExecutor(8) as pool:

        def send(path: Path) -> str:
            response = session.post(
                f"{platform.url}/async-function/wordcount",
                data=path.read_bytes(),
                headers={"X-Callback-Url": NOTIFY},
                timeout=60,
            )
            assert response.status_code == 202, response.text
            return response.headers["X-Call-Id"]

        call_ids = dict(zip(pool.map(send, files), files, strict=True))
    assert len(call_ids) == len(files)

    def all_there() -> bool:
        response = requests.get(f"{platform.url}/function/notify", params={"count": "1"}, timeout=30)
        return int(response.json()["count"]) >= len(files)

    wait_until(all_there, timeout=240, message="every callback has arrived", every=0.5)
    wait_until(lambda: callbacks_left(platform) == 0, message="no delivery is left")
    callbacks = recorded(platform)
    arrivals = Counter(callback["call_id"] for callback in callbacks)
    assert set(arrivals) == set(call_ids)
    assert set(arrivals.values()) == {1}
    for callback in callbacks:
        path = call_ids[callback["call_id"]]
        assert callback["function_name"] == "wordcount"
        assert callback["function_status"] == 200
        assert [int(word) for word in callback["text"].split()] == counted_by_wc(path), path


def callbacks_left(platform: Platform) -> int:
    """Deliveries that are queued, scheduled or under way, as the dashboard reports them."""
    queues = platform.system("GET", "/ui/rq/0/data/queues.json").json()["queues"]
    counts = ("count", "started_job_registry_count", "scheduled_job_registry_count")
    return sum(int(queue[count]) for queue in queues if queue["name"].startswith("callbacks:") for count in counts)


def photo(width: int, height: int) -> bytes:
    """A picture of several megabytes as PNG: smooth light with the noise of a sensor, which does not compress."""
    noise = random.Random(7)
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        light = bytes((x * 200 // width + y * 40 // height) & 0xF0 for x in range(width) for _ in range(3))
        grain = noise.getrandbits(8 * len(light)).to_bytes(len(light), "big")
        rows += bytes(a | (b & 0x0F) for a, b in zip(light, grain, strict=True))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(rows), 1))
        + chunk(b"IEND", b"")
    )


def png_size(data: bytes) -> tuple[int, int]:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def test_a_photo_becomes_the_same_thumbnail_sync_async_and_in_the_callback(clean_notify: Platform) -> None:
    platform = clean_notify
    original = photo(1600, 1200)
    assert len(original) > 2_000_000
    answer = platform.call("thumbnail", original, params={"width": "400"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "image/png"
    assert png_size(answer.content) == (400, 300)

    call_id = platform.send("thumbnail", original, callback=NOTIFY, params={"width": "400"})
    status = wait_until(lambda: final(platform, call_id), message="the thumbnail is made")
    assert status["state"] == "succeeded"
    kept = platform.result(call_id)
    assert kept.status_code == 200
    assert kept.headers["Content-Type"] == "image/png"
    assert kept.content == answer.content
    (callback,) = wait_until(lambda: recorded(platform, call_id=call_id), message="the callback arrived")
    assert callback["sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert callback["size"] == len(answer.content)


def final(platform: Platform, call_id: str) -> dict[str, Any] | None:
    status = platform.status(call_id)
    return status if status["state"] in ("succeeded", "failed") else None


def test_the_readme_goes_through_a_chain_of_functions(clean_notify: Platform) -> None:
    platform = clean_notify
    text = (REPOSITORY / "README.md").read_bytes()
    rendered = platform.call("markdown", text)
    assert rendered.status_code == 200
    assert "<h1>" in rendered.text
    assert "<table>" in rendered.text
    assert "<pre><code" in rendered.text

    call_id = platform.send(
        "markdown", text, callback="http://gateway:8080/async-function/echo", params={"then": NOTIFY}
    )
    (callback,) = wait_until(lambda: recorded(platform, call_id=call_id), message="the chain has ended at notify")
    assert callback["function_name"] == "echo"
    assert callback["function_status"] == 200
    # The delivery carried the call's id, which is on record: echo's call got one of its own, and knows its parent.
    assert callback["call_id"] != call_id
    assert callback["parent_call_id"] == call_id
    assert callback["sha256"] == hashlib.sha256(rendered.content).hexdigest()
