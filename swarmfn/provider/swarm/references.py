"""Names of images as engines understand them."""

from __future__ import annotations

import re

from swarmfn.wire.errors import InvalidFunction

# The grammar of distribution's reference package: [host[:port]/]path[:tag][@digest], or an image's id.
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[\w][\w.-]{0,127}"
_DIGEST = r"[a-zA-Z][a-zA-Z0-9]*(?:[-_+.][a-zA-Z][a-zA-Z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::{_TAG})?(?:@{_DIGEST})?", re.ASCII)
_ID = re.compile(r"sha256:[0-9a-f]{64}")
_TAG_AND_DIGEST = re.compile(rf"(.+:{_TAG})@{_DIGEST}", re.ASCII)


def check_image(image: str) -> None:
    """Raises InvalidFunction unless `image` can be the name of one."""
    if image.startswith("dir:"):
        raise InvalidFunction(
            "image", f"{image!r:.200} is a folder, and functions on Swarm are images.", "Build one from a template."
        )
    if len(image) > 1000 or not (_REFERENCE.fullmatch(image) or _ID.fullmatch(image)):
        raise InvalidFunction("image", f"{image!r:.200} is not the name of an image.", 'Name it like "user/echo:1.0".')


def without_digest(image: str) -> str:
    """`name:tag` of `name:tag@digest`, which is what the docker command makes of the first; all else as it is."""
    match = _TAG_AND_DIGEST.fullmatch(image)
    return match.group(1) if match else image
