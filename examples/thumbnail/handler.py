"""An image in, a small JPEG or PNG out: `?width=` pixels wide, the height follows.

A JPEG stays a JPEG, everything else becomes a PNG. A picture is turned upright as its camera noted (EXIF), and never
made larger than it was.
"""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, ImageOps

DEFAULT_WIDTH = 320
MAX_WIDTH = 2048
MAX_PIXELS = 64_000_000
"""A file of a few kilobytes can claim a picture of gigabytes; above this it is refused before it is unpacked."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

# The header of the file is checked below, against our own limit and with our own answer.
Image.MAX_IMAGE_PIXELS = None


class Refused(Exception):
    """This request gets `status` and the message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def handle(event: Any, context: Any) -> dict[str, Any]:
    """The thumbnail; 400 for a bad width or a broken file, 413 for too many pixels, 415 for what is not an image."""
    try:
        width = _width(event.query.get("width"))
        image = _opened(event.body)
        return _encoded(_shrunk(image, width), "JPEG" if image.format in ("JPEG", "MPO") else "PNG")
    except Refused as refused:
        return {
            "statusCode": refused.status,
            "headers": {"Content-Type": "text/plain; charset=utf-8"},
            "body": f"thumbnail: {refused}\n",
        }


def _width(text: str | None) -> int:
    if not text:
        return DEFAULT_WIDTH
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_WIDTH):
        raise Refused(400, f"width: expected a whole number from 1 to {MAX_WIDTH}, got {text!r:.40}")
    return int(text)


def _opened(body: bytes) -> Image.Image:
    """The image in `body`, its header read but not its pixels."""
    if not body:
        raise Refused(400, "the body is empty; send an image: curl --data-binary @photo.jpg …")
    try:
        image = Image.open(io.BytesIO(body), formats=FORMATS)
    except Image.UnidentifiedImageError:
        raise Refused(415, f"this is not an image; send one of {', '.join(FORMATS)}") from None
    except (OSError, SyntaxError, ValueError) as exc:
        raise Refused(400, f"the image is broken: {exc}") from exc
    if image.width * image.height > MAX_PIXELS:
        raise Refused(413, f"{image.width} x {image.height} pixels are more than {MAX_PIXELS // 1_000_000} million")
    return image


def _shrunk(image: Image.Image, width: int) -> Image.Image:
    """`image`, upright and at most `width` wide."""
    try:
        # JPEG can be decoded at a fraction of its size, which saves most of the work.
        image.draft(None, (2 * width, 2 * width))
        ImageOps.exif_transpose(image, in_place=True)
        width = min(width, image.width)
        height = max(1, round(image.height * width / image.width))
        return _plain(image).resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    except (OSError, SyntaxError, ValueError, EOFError) as exc:
        raise Refused(400, f"the image is broken: {exc}") from exc


def _plain(image: Image.Image) -> Image.Image:
    """`image` in a mode that JPEG or PNG can keep: RGBA if anything is transparent, grey if it has no colour."""
    if image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _encoded(image: Image.Image, image_format: str) -> dict[str, Any]:
    out = io.BytesIO()
    # Nothing of the original's metadata goes out: it may say where the photo was taken.
    if image_format == "JPEG":
        image.save(out, "JPEG", quality=85, optimize=True, exif=b"")
    else:
        image.save(out, "PNG", optimize=True, exif=b"")
    return {"statusCode": 200, "headers": {"Content-Type": f"image/{image_format.lower()}"}, "body": out.getvalue()}
