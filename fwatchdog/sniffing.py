"""The media type of an answer that nobody named, by its first bytes: what Go's `http.DetectContentType` says, which
follows https://mimesniff.spec.whatwg.org less the formats that Go leaves out."""

from __future__ import annotations

import re

TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"

SAMPLE = 512
"""Bytes that count; what follows them does not."""

_TAGS = rb"!DOCTYPE HTML|HTML|HEAD|SCRIPT|IFRAME|H1|DIV|FONT|TABLE|A|STYLE|TITLE|B|BODY|BR|P|!--"
"""Each ends with a blank or `>`."""

# In this order; the first that fits counts.
_TABLE = (
    (rb"[\t\n\f\r ]*<(?i:" + _TAGS + rb")[ >]", "text/html; charset=utf-8"),
    (rb"[\t\n\f\r ]*<\?xml", "text/xml; charset=utf-8"),
    (rb"%PDF-", "application/pdf"),
    (rb"%!PS-Adobe-", "application/postscript"),
    # Byte order marks, with something behind them.
    (rb"\xFE\xFF..", "text/plain; charset=utf-16be"),
    (rb"\xFF\xFE..", "text/plain; charset=utf-16le"),
    (rb"\xEF\xBB\xBF.", TEXT),
    (rb"\x00\x00[\x01\x02]\x00", "image/x-icon"),
    (rb"BM", "image/bmp"),
    (rb"GIF8[79]a", "image/gif"),
    (rb"RIFF....WEBPVP", "image/webp"),
    (rb"\x89PNG\r\n\x1A\n", "image/png"),
    (rb"\xFF\xD8\xFF", "image/jpeg"),
    (rb"FORM....AIFF", "audio/aiff"),
    (rb"ID3", "audio/mpeg"),
    (rb"OggS\x00", "application/ogg"),
    (rb"MThd\x00\x00\x00\x06", "audio/midi"),
    (rb"RIFF....AVI ", "video/avi"),
    (rb"RIFF....WAVE", "audio/wave"),
    (rb"\x1A\x45\xDF\xA3", "video/webm"),
    (rb".{34}LP", "application/vnd.ms-fontobject"),
    (rb"\x00\x01\x00\x00", "font/ttf"),
    (rb"OTTO", "font/otf"),
    (rb"ttcf", "font/collection"),
    (rb"wOFF", "font/woff"),
    (rb"wOF2", "font/woff2"),
    (rb"\x1F\x8B\x08", "application/x-gzip"),
    (rb"PK\x03\x04", "application/zip"),
    (rb"Rar!\x1A\x07(?:\x00|\x01\x00)", "application/x-rar-compressed"),
    (rb"\x00asm", "application/wasm"),
)
_SIGNATURE = re.compile(b"|".join(b"(%b)" % pattern for pattern, _ in _TABLE), re.DOTALL)
_WEBM = next(number for number, (_, name) in enumerate(_TABLE, 1) if name == "video/webm")
_NOT_IN_TEXT = bytes(byte for byte in range(32) if byte not in b"\t\n\f\r\x1b")
_SHORTEST_BOX = 12


def detected_type(data: bytes) -> str:
    """The type of what begins with `data`, of which SAMPLE bytes are enough."""
    sample = data[:SAMPLE]
    match = _SIGNATURE.match(sample)
    found = match.lastindex if match is not None and match.lastindex else 0
    # MP4 has no pattern: it has its place in the order before WebM.
    if (not found or found >= _WEBM) and _is_mp4(sample):
        return "video/mp4"
    if found:
        return _TABLE[found - 1][1]
    return TEXT if sample == sample.translate(None, _NOT_IN_TEXT) else BINARY


def _is_mp4(sample: bytes) -> bool:
    """A first box of type `ftyp` that names a brand which begins with mp4."""
    if len(sample) < _SHORTEST_BOX or sample[4:8] != b"ftyp":
        return False
    size = int.from_bytes(sample[:4], "big")
    if len(sample) < size or size % 4:
        return False
    # Between the first brand and the others lies a version.
    return any(sample[start : start + 3] == b"mp4" for start in range(8, size, 4) if start != 12)
