"""Images that come from a registry, and images that go to one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import docker
from docker import errors as docker_errors
from docker.utils import parse_repository_tag

from stack.errors import StackError
from stack.swarm.engine_api import TransferEntry, api_of
from stack.swarm.engine_client import engine_errors

REDIS_IMAGE = "redis:7"
_REPORT_INTERVAL = 5.0

Say = Callable[[str], None]


def choose_redis_image(
    client: docker.DockerClient, environ: Mapping[str, str], stack_image: str, present: str, say: Say
) -> str:
    """The image of the queue's server, with a line that says why where that is a choice.

    REDIS_IMAGE decides. Else a stack that is there keeps the kind it has (`present` is its image, "" for a new stack).
    A new one takes redis:7, or where that cannot be had, the stack's own image, which carries a server too.
    """
    if environ.get("REDIS_IMAGE"):
        return environ["REDIS_IMAGE"]
    if present:
        # Only images of the stack's own are ever named by their ids.
        is_own = present.startswith("sha256:") or is_same_repository(present, stack_image)
        return stack_image if is_own else present
    if _is_there(client, REDIS_IMAGE):
        return REDIS_IMAGE
    try:
        pull(client, REDIS_IMAGE, say)
    except StackError as exc:
        say(f"redis: {exc}; the server in {stack_image} is used instead (REDIS_IMAGE names another image)")
        return stack_image
    return REDIS_IMAGE


def is_same_repository(one: str, other: str) -> bool:
    """Whether two references name one image in two versions: the last part of their names is the same, whatever
    registry, tag and digest are."""
    return _last_part(one) == _last_part(other)


def pull(client: docker.DockerClient, image: str, say: Say) -> None:
    """Gets an image from its registry. Raises StackError with the registry's reason."""
    what = f"pull the image {image}"
    repository, tag = parse_repository_tag(image)
    say(f"{image}: pulling")
    with engine_errors(what):
        entries = api_of(client).pull(repository, tag=tag or "latest", stream=True, decode=True)
        _follow(entries, f"{image}: pulling", what, say)


def push(client: docker.DockerClient, image: str, registry: str, say: Say) -> str:
    """Copies an image of this engine to `registry` (such as `registry.example.org:5000/team`).

    Returns the reference to deploy, with the digest: whatever is pushed under that tag later, this stays what it is.
    The login of `docker login` is used. Raises StackError.
    """
    repository, tag = parse_repository_tag(image)
    pushed, tag = f"{registry.rstrip('/')}/{repository}", tag or "latest"
    what = f"push {pushed}:{tag}"
    say(f"{image}: pushing to {registry}")
    with engine_errors(what):
        api_of(client).tag(image, pushed, tag, force=True)
        entries = api_of(client).push(pushed, tag=tag, stream=True, decode=True)
        digest = _follow(entries, f"{image}: pushing", what, say)
    if not digest:
        raise StackError(f"cannot {what}: the registry did not say its digest.")
    return f"{pushed}:{tag}@{digest}"


def _follow(entries: Iterable[TransferEntry], prefix: str, what: str, say: Say) -> str:
    """Until a transfer has ended; the digest, if the registry told it. Raises StackError when it fails."""
    began = reported = time.monotonic()
    error = digest = ""
    # Read to the end even after an error: docker-py closes its connection only then.
    for entry in entries:
        error = error or str(entry.get("error", ""))
        digest = str((entry.get("aux") or {}).get("Digest", "")) or digest
        now = time.monotonic()
        if now - reported >= _REPORT_INTERVAL:
            reported = now
            say(
                f"{prefix}, {now - began:.0f} s: {entry.get('id', '')} {entry.get('progress', entry.get('status', ''))}"
            )
    if error:
        raise StackError(f"cannot {what}: {error.strip()}{_hint(error)}")
    return digest


def _hint(error: str) -> str:
    """What helps, where the engine's words show it."""
    lowered = error.lower()
    if "server gave http response to https client" in lowered:
        return ". A registry without TLS has to be among each engine's `insecure-registries` (/etc/docker/daemon.json)"
    if any(word in lowered for word in ("no basic auth", "unauthorized", "authentication required", "denied")):
        return ". `docker login` with a user who may do that, then try again"
    return ""


def _is_there(client: docker.DockerClient, image: str) -> bool:
    with engine_errors(f"look for the image {image}"):
        try:
            client.images.get(image)
        except docker_errors.ImageNotFound:
            return False
    return True


def _last_part(reference: str) -> str:
    """`redis` for `example.org:5000/library/redis:7@sha256:…`."""
    repository, _ = parse_repository_tag(reference.partition("@")[0])
    return str(repository).rpartition("/")[2]
