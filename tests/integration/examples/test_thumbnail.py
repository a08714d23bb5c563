"""The thumbnail example: real images in, small ones out, and a clear answer to everything else."""

from __future__ import annotations

import json
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

MAKE_IMAGES = """
import os, random, sys
from PIL import Image
folder = sys.argv[1]
photo = Image.frombytes("RGB", (2400, 1600), random.Random(7).randbytes(2400 * 1600 * 3))
exif = Image.Exif()
exif[0x0112] = 6  # the camera was turned: the picture is 1600 wide and 2400 high
exif.get_ifd(0x8825)[1] = "N"
photo.save(f"{folder}/photo.jpg", quality=92)
photo.resize((600, 400)).save(f"{folder}/turned.jpg", exif=exif)
photo.resize((600, 400)).convert("RGBA").save(f"{folder}/rgba.png")
photo.resize((600, 400)).convert("P").save(f"{folder}/palette.gif")
photo.resize((600, 400)).convert("CMYK").save(f"{folder}/print.jpg")
photo.resize((600, 400)).convert("L").save(f"{folder}/grey.webp")
photo.resize((1600, 1)).save(f"{folder}/line.png")
"""
DESCRIBE = """
import io, json, sys
from PIL import Image
image = Image.open(io.BytesIO(sys.stdin.buffer.read()))
image.load()
print(json.dumps([image.format, image.size, image.mode, dict(image.getexif())]))
"""


@pytest.fixture(scope="session")
def pillow(provider: Any, state_dir: Path) -> list[str]:
    """The Python that the function itself runs on: it has Pillow."""
    venvs = [path for path in (state_dir / "cache" / "venvs").iterdir() if list(path.glob("lib/*/site-packages/PIL"))]
    assert len(venvs) == 1
    return [str(venvs[0] / "bin" / "python"), "-c"]


@pytest.fixture(scope="session")
def images(pillow: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    subprocess.run([*pillow, MAKE_IMAGES, str(folder)], check=True)
    return folder


@pytest.fixture
def described(pillow: list[str]) -> Callable[[bytes], list[Any]]:
    """Format, size, mode and EXIF of an image, as Pillow reads it."""

    def describe(image: bytes) -> list[Any]:
        output = subprocess.run([*pillow, DESCRIBE], input=image, capture_output=True, check=True).stdout
        found = json.loads(output)
        assert isinstance(found, list)
        return found

    return describe


def png(width: int, height: int, rows: bytes) -> bytes:
    """A grey PNG with these compressed rows, true to its header or not."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "query", "expected"),
    [
        ("photo.jpg", "", ["JPEG", [320, 213], "RGB", {}]),
        ("photo.jpg", "?width=1200", ["JPEG", [1200, 800], "RGB", {}]),
        ("photo.jpg", "?width=1", ["JPEG", [1, 1], "RGB", {}]),
        ("photo.jpg", "?width=", ["JPEG", [320, 213], "RGB", {}]),
        ("turned.jpg", "?width=200", ["JPEG", [200, 300], "RGB", {}]),
        ("turned.jpg", "?width=2048", ["JPEG", [400, 600], "RGB", {}]),
        ("rgba.png", "?width=60", ["PNG", [60, 40], "RGBA", {}]),
        ("palette.gif", "?width=60", ["PNG", [60, 40], "RGB", {}]),
        ("print.jpg", "?width=60", ["JPEG", [60, 40], "RGB", {}]),
        ("grey.webp", "?width=60", ["PNG", [60, 40], "RGB", {}]),
        ("line.png", "?width=20", ["PNG", [20, 1], "RGB", {}]),
    ],
)
def test_an_image_becomes_a_small_upright_one_without_metadata(
    call: Call, images: Path, described: Callable[[bytes], list[Any]], name: str, query: str, expected: list[Any]
) -> None:
    reply = call("thumbnail", (images / name).read_bytes(), target=f"/{query}")
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == f"image/{expected[0].lower()}"
    assert described(reply.body) == expected


def test_a_photo_is_of_a_photos_size_and_its_thumbnail_is_not(call: Call, images: Path) -> None:
    photo = (images / "photo.jpg").read_bytes()
    assert len(photo) > 3_000_000
    assert len(call("thumbnail", photo).body) < len(photo) / 50


def test_equal_photos_have_equal_thumbnails(call: Call, images: Path) -> None:
    photo = (images / "photo.jpg").read_bytes()
    assert call("thumbnail", photo).body == call("thumbnail", photo).body


@pytest.mark.parametrize("width", ["0", "-5", "2049", "99999999", "wide", "1.5", "%C2%B2"])
def test_a_width_out_of_bounds_is_refused(call: Call, images: Path, width: str) -> None:
    reply = call("thumbnail", (images / "line.png").read_bytes(), target=f"/?width={width}")
    assert reply.status == 400
    assert reply.text.startswith("thumbnail: width: expected a whole number from 1 to 2048")


def test_an_empty_body_is_refused_with_the_way_to_send_one(call: Call) -> None:
    reply = call("thumbnail")
    assert reply.status == 400
    assert "--data-binary" in reply.text


@pytest.mark.parametrize("body", [b"just text", b"%PDF-1.7", bytes(5000), b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_image_is_an_unsupported_media_type(call: Call, body: bytes) -> None:
    reply = call("thumbnail", body)
    assert reply.status == 415
    assert "JPEG" in reply.text


def test_a_broken_image_is_refused(call: Call, images: Path) -> None:
    photo = (images / "photo.jpg").read_bytes()
    for body in (photo[: len(photo) // 2], photo[:40], png(10, 10, b"no zlib data")):
        reply = call("thumbnail", body)
        assert reply.status == 400, reply
        assert "broken" in reply.text


def test_a_small_file_that_claims_a_huge_picture_is_refused_unpacked(call: Call) -> None:
    bomb = png(30_000, 30_000, zlib.compress(bytes(30_001) * 1000, 9))
    assert len(bomb) < 100_000
    reply = call("thumbnail", bomb)
    assert reply.status == 413
    assert "30000 x 30000 pixels" in reply.text
