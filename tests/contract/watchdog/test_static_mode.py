"""mode=static: a file server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.watchdog import Answer, Watchdog

TEXT = b"0123456789" * 10


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static") / "public"
    folder.mkdir()
    (folder.parent / "secret.txt").write_text("secret")
    (folder.parent / "public-too").mkdir()
    (folder.parent / "public-too" / "secret.txt").write_text("secret")
    (folder / "index.html").write_text("<p>start</p>")
    (folder / "ten.txt").write_bytes(TEXT)
    (folder / "a b%.txt").write_text("odd name")
    (folder / "empty.css").write_bytes(b"")
    (folder / "large.bin").write_bytes(os.urandom(5 << 20))
    for name in ("x.js", "x.json", "x.svg", "x.png", "x.wasm", "x.tar.gz", "x.unknown", "x", "X.HTML"):
        (folder / name).write_text("x")
    (folder / "sub").mkdir()
    (folder / "sub" / "index.html").write_text("<p>sub</p>")
    (folder / "bare").mkdir()
    (folder / "inside.txt").symlink_to("ten.txt")
    (folder / "outside.txt").symlink_to(folder.parent / "secret.txt")
    (folder / "circle").symlink_to("circle")
    os.mkfifo(folder / "pipe")
    for hidden in (".git", "sub/.svn", ".well-known"):
        (folder / hidden).mkdir()
        (folder / hidden / "file").write_text("found")
    (folder / ".env").write_text("secret")
    (folder / ".well-known" / ".env").write_text("secret")
    (folder / "shown.txt").symlink_to(".git/file")
    return folder


@pytest.fixture(scope="module")
def static(public: Path) -> Iterator[Watchdog]:
    settings = {"mode": "static", "static_path": str(public)}
    with Watchdog(public.parent / "log", settings) as watchdog:
        yield watchdog


def get(static: Watchdog, path: str, method: str = "GET", **headers: str) -> Answer:
    return static.request(None, path, method, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", b"<p>start</p>"),
        ("/index.html", b"<p>start</p>"),
        ("/?x=1", b"<p>start</p>"),
        ("/ten.txt", TEXT),
        ("/a%20b%25.txt", b"odd name"),
        ("/empty.css", b""),
        ("/sub/", b"<p>sub</p>"),
        ("/sub/../ten.txt", TEXT),
        ("//ten.txt", TEXT),
        ("/inside.txt", TEXT),
        ("/.git/../ten.txt", TEXT),
        ("/.well-known/file", b"found"),
        ("/shown.txt", b"found"),
    ],
)
def test_files_and_index_pages_are_served(static: Watchdog, path: str, body: bytes) -> None:
    answer = get(static, path)
    assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize(
    "path",
    [
        "/missing",
        "/ten.txt/",
        "/ten.txt/more",
        "/bare/",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/sub/../../secret.txt",
        "/../public-too/secret.txt",
        "/outside.txt",
        "/circle",
        "/pipe",
        "/.env",
        "/%2eenv",
        "/sub/../.env",
        "/.git/file",
        "/.git",
        "/sub/.svn/file",
        "/sub/.well-known/file",
        "/.well-known/.env",
        "/" + "a" * 300,
        "/" + "a/" * 3000,
    ],
)
def test_what_is_not_in_the_folder_is_not_there(static: Watchdog, path: str) -> None:
    answer = get(static, path)
    assert answer.status == 404
    assert b"secret" not in answer.body


def test_folder_without_its_slash_is_redirected_relative(static: Watchdog) -> None:
    answer = get(static, "/sub?x=1")
    assert (answer.status, answer.header("Location")) == (301, "./sub/?x=1")


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("X.HTML", "text/html; charset=utf-8"),
        ("ten.txt", "text/plain; charset=utf-8"),
        ("empty.css", "text/css; charset=utf-8"),
        ("x.js", "text/javascript; charset=utf-8"),
        ("x.json", "application/json; charset=utf-8"),
        ("x.svg", "image/svg+xml; charset=utf-8"),
        ("x.png", "image/png"),
        ("x.wasm", "application/wasm"),
        ("x.tar.gz", "application/gzip"),
        ("x.unknown", "application/octet-stream"),
        ("x", "application/octet-stream"),
    ],
)
def test_media_type_follows_from_the_name(static: Watchdog, name: str, media_type: str) -> None:
    assert get(static, f"/{name}").header("Content-Type") == media_type


@pytest.mark.parametrize(("path", "length"), [("/ten.txt", "100"), ("/large.bin", str(5 << 20)), ("/empty.css", "0")])
def test_head_says_what_get_would(static: Watchdog, path: str, length: str) -> None:
    answer = get(static, path, "HEAD")
    assert (answer.status, answer.body, answer.header("Content-Length")) == (200, b"", length)
    assert answer.header("Content-Type") == get(static, path).header("Content-Type")


def test_large_file_arrives_whole(static: Watchdog, public: Path) -> None:
    answer = get(static, "/large.bin")
    assert answer.body == (public / "large.bin").read_bytes()
    assert answer.header("Content-Length") == str(5 << 20)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_files_are_only_read(static: Watchdog, method: str) -> None:
    answer = get(static, "/ten.txt", method)
    assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("wanted", "part", "content_range"),
    [
        ("bytes=0-9", TEXT[:10], "bytes 0-9/100"),
        ("bytes=90-", TEXT[90:], "bytes 90-99/100"),
        ("bytes=95-1000", TEXT[95:], "bytes 95-99/100"),
        ("bytes=-5", TEXT[-5:], "bytes 95-99/100"),
        ("bytes=-1000", TEXT, "bytes 0-99/100"),
        ("bytes=99-99", TEXT[99:], "bytes 99-99/100"),
    ],
)
def test_part_of_a_file(static: Watchdog, wanted: str, part: bytes, content_range: str) -> None:
    answer = get(static, "/ten.txt", Range=wanted)
    assert (answer.status, answer.body, answer.header("Content-Range")) == (206, part, content_range)


def test_part_of_a_large_file(static: Watchdog, public: Path) -> None:
    answer = get(static, "/large.bin", Range="bytes=1000000-4000000")
    assert (answer.status, answer.body) == (206, (public / "large.bin").read_bytes()[1000000:4000001])


@pytest.mark.parametrize(
    ("path", "wanted"), [("/ten.txt", "bytes=100-"), ("/ten.txt", "bytes=-0"), ("/empty.css", "bytes=0-")]
)
def test_part_beyond_the_end_is_refused(static: Watchdog, path: str, wanted: str) -> None:
    answer = get(static, path, Range=wanted)
    assert answer.status == 416
    assert (answer.header("Content-Range") or "").startswith("bytes */")


@pytest.mark.parametrize("wanted", ["bytes=9-0", "bytes=a-b", "lines=0-9", "bytes=0-1,5-6", "bytes=-", "0-9"])
def test_range_that_is_not_understood_gets_the_whole_file(static: Watchdog, wanted: str) -> None:
    answer = get(static, "/ten.txt", Range=wanted)
    assert (answer.status, answer.body) == (200, TEXT)


def test_copy_that_is_still_good_is_not_sent_again(static: Watchdog) -> None:
    first = get(static, "/ten.txt")
    etag, modified = first.header("ETag") or "", first.header("Last-Modified") or ""
    for headers in ({"If_Modified_Since": modified}, {"If_None_Match": etag}, {"If_None_Match": f'W/{etag}, "x"'}):
        answer = get(static, "/ten.txt", **headers)
        assert (answer.status, answer.body) == (304, b"")
    assert get(static, "/ten.txt", If_None_Match='"x"', If_Modified_Since=modified).status == 200
    assert get(static, "/ten.txt", If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT").status == 200
    assert get(static, "/ten.txt", If_Modified_Since="yesterday").status == 200


def test_part_of_another_version_is_the_whole_file(static: Watchdog) -> None:
    first = get(static, "/ten.txt")
    for same in (first.header("ETag") or "", first.header("Last-Modified") or ""):
        assert get(static, "/ten.txt", Range="bytes=0-9", If_Range=same).status == 206
    for other in ('"x"', "Thu, 01 Jan 1970 00:00:00 GMT"):
        assert get(static, "/ten.txt", Range="bytes=0-9", If_Range=other).status == 200


def test_changed_file_is_seen_at_once(static: Watchdog, public: Path) -> None:
    file = public / "changing.txt"
    file.write_text("one")
    etag = get(static, "/changing.txt").header("ETag") or ""
    file.write_text("two!")
    answer = get(static, "/changing.txt", If_None_Match=etag)
    assert (answer.status, answer.body) == (200, b"two!")
