"""What the name of an image stands for now: names stay when images are built again."""

from __future__ import annotations

from swarmfn.provider.swarm.documents import ImageDocument
from swarmfn.provider.swarm.engine_api import EngineApi


def identity_of(api: EngineApi, image: str, login: str) -> str:
    """The digest that the image's registry has for it; of an image that came from none, its id on this engine. "" where
    nobody knows, and for a name that can stand for one image only. `login`: at that registry."""
    if "@" in image or image.startswith("sha256:"):
        return ""
    found = api.image(image)
    if found is not None and not found.get("RepoDigests"):
        return str(found["Id"])
    # What a registry had when the image was pulled counts while it does not answer.
    return api.registry_digest(image, login) or (_pulled(image, found) if found is not None else "")


def environment_of(image: ImageDocument | None) -> dict[str, str]:
    """Its ENV, or nothing."""
    config = image.get("Config") if image is not None else None
    entries = (config or {}).get("Env") or []
    return dict(entry.partition("=")[::2] for entry in entries)


def _pulled(image: str, found: ImageDocument) -> str:
    name = _last_part(image)
    return next((entry.partition("@")[2] for entry in found.get("RepoDigests") or () if _last_part(entry) == name), "")


def _last_part(image: str) -> str:
    """`echo` for `example.org:5000/team/echo:1`."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]
