"""Types by first bytes, each as Go's http.DetectContentType gives it."""

from __future__ import annotations

import pytest

from fwatchdog.sniffing import SAMPLE, detected_type

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
BINARY = "application/octet-stream"


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"", TEXT),
        (b"hello", TEXT),
        ("grüße".encode(), TEXT),
        (b"\xff\xfe\xfd latin", TEXT.replace("utf-8", "utf-16le")),
        (b"\xe9t\xe9", TEXT),
        (b'{"a": 1}', TEXT),
        (b"\x1b[1mbold\x1b[0m", TEXT),
        (b"\x01\x02\x03", BINARY),
        (b"text\x00", BINARY),
        (b"del\x7f", TEXT),
        (b"<html><h1>hi</h1></html>", HTML),
        (b" \t\r\n\x0c<!doctype HTML>", HTML),
        (b"<!DOCTYPE html ...", HTML),
        (b"<h1>hi</h1>", HTML),
        (b"<h1", TEXT),
        (b"<h1/>", TEXT),
        (b"<h2>hi</h2>", TEXT),
        (b"<b>", HTML),
        (b"<bar>", TEXT),
        (b"<a href=x>", HTML),
        (b"<!-- x", HTML),
        (b"<!--x", TEXT),
        (b"\x0b<html>", BINARY),
        (b" <?xml version='1.0'?>", "text/xml; charset=utf-8"),
        (b"<?XML?>", TEXT),
        (b"%PDF-1.4", "application/pdf"),
        (b" %PDF-1.4", TEXT),
        (b"%!PS-Adobe-3.0", "application/postscript"),
        (b"\xfe\xff\x00h", "text/plain; charset=utf-16be"),
        (b"\xff\xfeh\x00", "text/plain; charset=utf-16le"),
        (b"\xff\xfeh", TEXT),
        (b"\xef\xbb\xbfhello", TEXT),
        (b"\xef\xbb\xbf\x00", TEXT),
        (b"\x00\x00\x01\x00", "image/x-icon"),
        (b"\x00\x00\x02\x00", "image/x-icon"),
        (b"BM", "image/bmp"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a...", "image/gif"),
        (b"GIF88a", TEXT),
        (b"RIFF\x00\n\x00\x00WEBPVP8 ", "image/webp"),
        (b"\x89PNG\r\n\x1a\n\x00", "image/png"),
        (b"\x89PNG\r\n", TEXT),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"FORM\x00\x00\x00\x00AIFF", "audio/aiff"),
        (b"ID3\x03", "audio/mpeg"),
        (b"\xff\xfb\x90d", TEXT),
        (b"OggS\x00\x02", "application/ogg"),
        (b"MThd\x00\x00\x00\x06\x00\x01", "audio/midi"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "video/avi"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wave"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isommp42", "video/mp4"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41", "video/mp4"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2", BINARY),
        (b"\x00\x00\x00\x10ftypisommp41", BINARY),
        (b"\x00\x00\x00\x18ftypmp42", BINARY),
        (b"\x00\x00\x00\x0cftypqt  ", BINARY),
        (b"\x1a\x45\xdf\xa3\x01", "video/webm"),
        (b"\x00" * 34 + b"LP", "application/vnd.ms-fontobject"),
        (b"\x00\x01\x00\x00\x00", "font/ttf"),
        (b"OTTO\x00", "font/otf"),
        (b"ttcf\x00", "font/collection"),
        (b"wOFF\x00", "font/woff"),
        (b"wOF2\x00", "font/woff2"),
        (b"\x1f\x8b\x08\x00", "application/x-gzip"),
        (b"PK\x03\x04", "application/zip"),
        (b"Rar!\x1a\x07\x00", "application/x-rar-compressed"),
        (b"Rar!\x1a\x07\x01\x00", "application/x-rar-compressed"),
        (b"Rar!\x1a\x07\x02", BINARY),
        (b"\x00asm\x01", "application/wasm"),
        (b"7z\xbc\xaf\x27\x1c", BINARY),
    ],
)
def test_type_is_that_of_the_first_bytes(data: bytes, media_type: str) -> None:
    assert detected_type(data) == media_type


def test_only_a_sample_counts() -> None:
    assert detected_type(b"x" * SAMPLE + b"\x00") == TEXT
    assert detected_type(b" " * SAMPLE + b"<html>") == TEXT
    assert detected_type(b" " * (SAMPLE - 6) + b"<html>") == HTML
