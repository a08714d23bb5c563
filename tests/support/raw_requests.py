"""Raw requests, good and spoiled, made from a seed, and a check of what a server makes of them.

What is right is decided here, by the rules that every server of the platform shares: the parser of `swarmfn.wire` reads
the same bytes. So the three servers, each with a parser of its own, are compared with one another.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from swarmfn.wire.chunks import ChunkedDecoder
from swarmfn.wire.request_heads import BadRequest, RequestHead, parse_head
from tests.support.raw_http import Answer, RawClient, Truncated, chunked

METHODS = frozenset({"GET", "POST", "PUT", "HEAD", "DELETE"})
REFUSALS = frozenset({400, 413, 431, 501, 505})

_TARGETS = [b"", b"/a/b", b"/a%20b", b"?c=d", b"/a?next=http://b/c&n=%00", b"//x", b"/~a;v=1/'()*+,="]
_BAD_TARGETS = [b"/%00", b"/a%00b?c", b"/\x01", b"/a\x7f", b"/\x80", b"?\xff", b"/\t", b"/a\rb", b"/a\nb", b"/a b"]
_VERSIONS = [b"HTTP/1.1"] * 12 + [b"HTTP/1.0", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/1.9"]
_BAD_VERSIONS = [
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"HTTP/3.0",
    b"HTTP/1.10",
    b"HTTP/11",
    b"http/1.1",
    b"HTTP/1.1 ",
    b"HTTQ/1.1",
    b"RTSP/1.0",
    b"RTSP/1.1",
    b"ICE/1.0",
    b"",
]
_BAD_LINES = [b"%b  %b %b", b"%b %b  %b", b"%b\t%b %b", b"%b %b\t%b"]
_HOSTS = [b"gateway.test", b"x:80", b"", b"[::1]:8080", b"127.0.0.1", b"a_b-c.d:", b"%C3%BC"]
_BAD_HOSTS = [b"a b", b"a/b", b"u@x", b"x:y", b"\xfc", b"[::1", b"a,b c", b"%zz", b"a\x00b", b"a\tb"]
_HEADERS = [
    b"Accept: */*",
    b"X-Empty:",
    b"X-Spaced: \t a  b \t",
    b"x-lower:y",
    b"X_Y: z",
    b"X-Odd: \xfc\x80\xff",
    b"X-Long: " + b"y" * 3000,
    b"Expect: 100-continue",
    b"Expect: else",
    b"TE: trailers",
    b"Connection: keep-alive",
    b"Connection: close",
    b"Connection: x, CLOSE",
    b"Connection: Upgrade\r\nUpgrade: h2c",
]
_BAD_HEADERS = [
    b"X: a\r\n b",
    b" X: a",
    b"X : a",
    b"X\t: a",
    b"X: a\x00",
    b"X: \x7f",
    b"X: \x0b",
    b"X: a\nY: b",
    b"X: a\rY: b",
    b": a",
    b"X",
    b"X Y: a",
    b"\xfc: a",
]
_LENGTHS = [b"%d", b"  %d", b"%d \t", b"00%d"]
_BAD_LENGTHS = [b"+%d", b"-%d", b"%d,%d", b"%d %d", b"0x%d", b"", b"five", b"%d\r\nContent-Length: %d", b"9" * 30]
_CODINGS = [b"chunked", b"Chunked", b" chunked  ", b"chunked\t", b"\tchunked \t"]
_BAD_CODINGS = [
    b"",
    b"gzip",
    b"gzip, chunked",
    b"chunked, chunked",
    b"chunked,",
    b"identity",
    b"chunked;a=b",
    b"xchunked",
]
_TRAILERS = [b"", b"", b"X-T: 1\r\n", b"X-T:\t\xfc \r\nX-U:\r\n"]
_BAD_TRAILERS = [b"no colon\r\n", b"X : a\r\n", b"X: \x01\r\n", b"X: a\r\n b\r\n", b"X: a\n", b"\n"]
_EXTENSIONS = [b"", b"", b";a", b";a=b", b';a="b c";d']
_BAD_SIZES = [b"g", b"-1", b"+1", b"0x1", b" 1", b"1 ", b"", b"1\n", b"f" * 17]
_NOISE = b'\x00\x01\t\n\r !"#,/0159:=AFacehkxyz\x7f\x80\xff'


@dataclass(frozen=True)
class Case:
    """What is sent over one connection: a request and behind it a good one, in these pieces."""

    number: int
    pieces: list[bytes]

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)


def cases(seed: int, count: int, path: bytes) -> Iterator[Case]:
    """`count` cases for the function at `path`; the same seed makes the same ones."""
    chance = random.Random(seed)
    for number in range(count):
        kind = chance.choice([_good, _spoiled, _mutated])
        data = kind(chance, path)
        follower = b"next %d" % number
        data += b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (path, len(follower), follower)
        cuts = sorted(chance.randrange(len(data)) for _ in range(chance.choice([0, 0, 1, 3])))
        yield Case(number, [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)])


def _good(chance: random.Random, path: bytes, fault: str = "") -> bytes:
    """A request that is in order except for its fault."""

    def pick(name: str, good: list[bytes], bad: list[bytes]) -> bytes:
        return chance.choice(bad if fault == name else good)

    version = pick("version", _VERSIONS, _BAD_VERSIONS)
    method = chance.choice(sorted(METHODS)).encode()
    target = (b"http://y:1" if chance.random() < 0.1 else b"") + path + pick("target", _TARGETS, _BAD_TARGETS)
    line = pick("spaces", [b"%b %b %b"], _BAD_LINES)
    lines = [line % (method, b"relative" if fault == "form" else target, version)]
    headers = chance.sample(_HEADERS, chance.randint(0, 3))
    headers += {"header": [chance.choice(_BAD_HEADERS)], "no host": []}.get(fault, [])
    if fault != "no host":
        headers.append(chance.choice([b"Host: ", b"host:", b"HOST: "]) + pick("host", _HOSTS, _BAD_HOSTS))
    if fault == "two hosts":
        headers.append(b"Host: x")
    body = chance.choice([b"", b"body", bytes(chance.randrange(256) for _ in range(chance.randrange(300)))])
    if fault in ("coding", "chunks", "trailers", "both") or (fault != "length" and chance.random() < 0.4):
        headers.append(b"Transfer-Encoding: " + pick("coding", _CODINGS, _BAD_CODINGS))
        if fault == "both":
            headers.append(b"Content-Length: %d" % len(body))
        body = _chunks(chance, body, fault)
    elif body or fault == "length":
        length = pick("length", _LENGTHS, _BAD_LENGTHS)
        headers.append(b"Content-Length: " + length.replace(b"%d", b"%d" % len(body)))
    chance.shuffle(headers)
    return b"\r\n".join([*lines, *headers]) + b"\r\n\r\n" + body


def _chunks(chance: random.Random, body: bytes, fault: str) -> bytes:
    middle = chance.randint(0, len(body))
    parts = []
    for piece in filter(None, (body[:middle], body[middle:])):
        parts.append(b"%x%b\r\n%b\r\n" % (len(piece), chance.choice(_EXTENSIONS), piece))
    if fault == "chunks":
        parts.insert(chance.randint(0, len(parts)), chance.choice(_BAD_SIZES) + b"\r\na\r\n")
    trailers = chance.choice(_BAD_TRAILERS if fault == "trailers" else _TRAILERS)
    return b"".join(parts) + b"0\r\n" + trailers + b"\r\n"


_FAULTS = ["version", "spaces", "target", "form", "header", "no host", "host", "two hosts"]
_FAULTS += ["length", "coding", "both", "chunks", "trailers"]


def _spoiled(chance: random.Random, path: bytes) -> bytes:
    return _good(chance, path, chance.choice(_FAULTS))


def _mutated(chance: random.Random, path: bytes) -> bytes:
    """A good request with a few bytes changed behind its first line."""
    body = b"some bytes"
    headers = [b"Host: x", chance.choice(_HEADERS)]
    if chance.random() < 0.5:
        headers.append(b"Content-Length: %d" % len(body))
    else:
        headers.append(b"Transfer-Encoding: chunked")
        body = chunked(body[:4], body[4:])
    chance.shuffle(headers)
    line = b"POST %b HTTP/1.1\r\n" % path
    rest = bytearray(b"\r\n".join(headers) + b"\r\n\r\n" + body)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(rest))
        chance.choice([_replace, _insert, _remove])(rest, at, chance.choice(_NOISE))
    return line + bytes(rest)


def _replace(data: bytearray, at: int, byte: int) -> None:
    data[at] = byte


def _insert(data: bytearray, at: int, byte: int) -> None:
    data.insert(at, byte)


def _remove(data: bytearray, at: int, byte: int) -> None:
    del data[at]


@dataclass(frozen=True)
class Asked:
    """A request that is in order, as the rules read it."""

    head: RequestHead
    body: bytes


def read(data: bytes) -> tuple[list[Asked], str]:
    """The requests in `data` up to the end of the connection, and what ends it: a request that is "refused" or
    "incomplete", one of a method that is "unknown", one after which it is to be "closed", or nothing: "open"."""
    requests: list[Asked] = []
    while data := data.lstrip(b"\r\n"):
        block, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            return requests, "incomplete"
        try:
            head = parse_head(block)
            if head.method not in METHODS:
                return requests, "unknown"
            body, data = _body(head, rest)
        except BadRequest:
            return requests, "refused"
        except EOFError:
            return requests, "incomplete"
        requests.append(Asked(head, body))
        if not head.keep_alive:
            return requests, "closed"
    return requests, "open"


def _body(head: RequestHead, data: bytes) -> tuple[bytes, bytes]:
    if head.length is None:
        decoder = ChunkedDecoder()
        pieces, rest = decoder.feed(data)
        if not decoder.done:
            raise EOFError
        return b"".join(pieces), rest
    if len(data) < head.length:
        raise EOFError
    return data[: head.length], data[head.length :]


def check(case: Case, connect: Callable[[], RawClient]) -> None:
    """Raises AssertionError when a server that echoes bodies answers differently from the rules."""
    requests, end = read(case.data)
    with connect() as client:
        for piece in case.pieces:
            try:
                client.send(piece)
            except ConnectionError:
                break  # it has refused what came before
        for request in requests:
            answer = _answer(client, request.head.method)
            assert answer is not None, f"no answer to {request}"
            assert answer.status == 200, (answer, request)
            assert answer.body == (b"" if request.head.method == "HEAD" else request.body), (answer, request)
            if answer.header("Connection") == "close":
                assert request is requests[-1] or not request.head.is_http_1_1 or request.head.expects_continue, request
                break
        else:
            if end == "refused":
                _check_refusal(client, may_be_silent=bool(requests))
            if end not in ("refused", "closed"):
                return
        assert client.rest() == b"", "something came behind the last answer"


def _check_refusal(client: RawClient, may_be_silent: bool) -> None:
    """Behind an answer that is still under way a refusal may be no more than the connection's end."""
    answer = _answer(client, "GET")
    if answer is None:
        assert may_be_silent, "closed without a word"
        return
    assert answer.status in REFUSALS, answer
    assert answer.header("Connection") == "close"
    assert "Traceback" not in answer.text


def _answer(client: RawClient, method: str) -> Answer | None:
    """The next one that is final; None when the connection has ended instead."""
    try:
        while (answer := client.answer(method)).status == 100:
            pass
    except (Truncated, ConnectionError):
        return None
    return answer


def check_all(seed: int | None, count: int, path: bytes, connect: Callable[[], RawClient]) -> None:
    """Checks `count` cases; the seed, a new one unless given, is printed and is in what a failure says."""
    seed = random.randrange(1 << 32) if seed is None else seed
    print(f"--seed {seed}")
    for case in cases(seed, count, path):
        try:
            check(case, connect)
        except (AssertionError, OSError) as exc:
            raise AssertionError(f"--seed {seed}, case {case.number}: {case.pieces}: {exc!r}") from exc
