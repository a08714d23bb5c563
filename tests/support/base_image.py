"""A base image without a registry: Debian with Python, laid out as the public Python images are."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.requirements import missing

NAME = "debian-python:12"

_SUITE = "bookworm"
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PIP_SETTINGS = Path("/etc/pip.conf")

# Those images have `python` and `pip` in /usr/local/bin, no compiler, and let pip install for the whole system.
_TIDY = """
set -e
cd "$1"
rm -rf var/cache/apt/*.bin var/cache/apt/archives/*.deb var/lib/apt/lists/* var/cache/debconf/*-old var/log/*.log
rm -rf usr/share/doc usr/share/man usr/share/info usr/share/locale usr/lib/python3*/EXTERNALLY-MANAGED
ln -s /usr/bin/python3 usr/local/bin/python
ln -s /usr/bin/pip3 usr/local/bin/pip
"""

_CONFIG = {
    "Env": [
        "PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin",
        # What this machine's pip needs to reach its index is in the image, so that no Dockerfile has to know of it.
        f"PIP_CERT={_CERTIFICATES}",
    ],
    "Cmd": ["python3"],
}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_KEPT = 3
_LONG_AGO = "2020-01-01T00:00:00Z"


def cache_folder() -> Path:
    """Where what takes long to make stays between runs: SWARMFN_TEST_CACHE, or a folder in the user's cache."""
    folder = Path(os.environ.get("SWARMFN_TEST_CACHE") or Path.home() / ".cache" / "swarmfn-tests")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def base_archive() -> Path:
    """The image as `docker load` takes it. The first time on a machine, most of a minute; then at once.

    Loaded, it is the same image on every engine; an imported one would have an id, and a time, of its own on each.
    """
    archive = cache_folder() / f"base-{_digest()}.tar"
    with locked(archive):
        if not archive.exists():
            _make(archive)
    return archive


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Of several test runs that want the same file, one makes it."""
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest() -> str:
    digest = hashlib.sha256(f"{_SUITE} {_PACKAGES} {_TIDY} {_CONFIG}".encode())
    for file in (_CERTIFICATES, _PIP_SETTINGS):
        digest.update(file.read_bytes() if file.exists() else b"")
    return digest.hexdigest()[:12]


def _make(archive: Path) -> None:
    if shutil.which("debootstrap") is None:
        missing("swarm", "no debootstrap on PATH for the base image. As root on Debian: apt-get install debootstrap")
    # Beside the archive: /tmp may be mounted without devices.
    with tempfile.TemporaryDirectory(prefix="base-", dir=archive.parent) as folder:
        root = Path(folder, "root")
        _run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root))
        _run("sh", "-c", _TIDY, "tidy", str(root))
        for file in (_CERTIFICATES, _PIP_SETTINGS):
            if file.exists():
                shutil.copy(file, root / file.relative_to("/"))
        layer = Path(folder, "layer.tar")
        _run("tar", "--sort=name", "-C", str(root), "-cf", str(layer), ".")
        _pack(layer, Path(folder, "image.tar")).rename(archive)
    # A few are kept: branches may differ in what they want.
    for old in sorted(archive.parent.glob("base-*.tar"), key=lambda file: file.stat().st_mtime)[:-_KEPT]:
        old.unlink()


def _pack(layer: Path, archive: Path) -> Path:
    """An image of the one layer."""
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    config = {
        "architecture": _ARCHITECTURES.get(os.uname().machine, os.uname().machine),
        "os": "linux",
        "created": _LONG_AGO,
        "config": _CONFIG,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": _LONG_AGO, "created_by": "debootstrap"}],
    }
    manifest = [{"Config": "config.json", "RepoTags": [NAME], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        for name, document in (("config.json", config), ("manifest.json", manifest)):
            content = json.dumps(document).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        tar.add(layer, "layer.tar")
    return archive


def _run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr)[-4000:]}"
