"""`services.NAME.volumes` and `.tmpfs` of the compose file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from stack.compose.model import Mount, Tmpfs
from stack.compose.reader import Section, Unusable, as_text
from swarmfn.wire.quantities import parse_memory

_PROPAGATIONS = ("", "private", "rprivate", "shared", "rshared", "slave", "rslave")
_USUAL = ("rw", "noexec", "nosuid", "nodev")
"""What a tmpfs of a service has in any case."""


def read_mounts(section: Section) -> list[Mount | Tmpfs]:
    """Raises Unusable that names the place."""
    found: list[Mount | Tmpfs] = []
    for number, item in enumerate(section.items("volumes")):
        path = f"{section.at('volumes')}[{number}]"
        found.append(_long(Section(item, path)) if isinstance(item, dict) else short_mount(as_text(item, path), path))
    return found


def tmpfs_of(section: Section) -> tuple[Tmpfs, ...]:
    """Raises Unusable that names the place."""
    texts = section.text_or_texts("tmpfs")
    return tuple(_tmpfs(text, f"{section.at('tmpfs')}[{number}]") for number, text in enumerate(texts))


def short_mount(text: str, path: str) -> Mount:
    source, *rest = text.split(":")
    if not rest and source.startswith("/"):
        return Mount("volume", "", source)
    if not rest or not source or len(rest) > 2:
        raise Unusable(f"{path}: expected SOURCE:TARGET or SOURCE:TARGET:ro, got {text!r}")
    if len(source) == 1 and source.isalpha():
        raise Unusable(f"{path}: for Docker {source}: is a drive. Give the volume a longer name")
    options = set(rest[1].split(",")) if rest[1:] else set()
    kind = "bind" if source[0] in "/.~" else "volume"
    if options - ({"ro", "rw", "nocopy"} if kind == "volume" else {"ro", "rw", *_PROPAGATIONS[1:]}):
        raise Unusable(f"{path}: expected SOURCE:TARGET or SOURCE:TARGET:ro, got {text!r}")
    propagation = next((option for option in _PROPAGATIONS[1:] if option in options), "")
    return Mount(kind, _folder(source, path), rest[0], "ro" in options, "nocopy" in options, propagation)


def _folder(source: str, path: str) -> str:
    """A volume's name as it is. A path of the node must be whole: another node has neither this folder nor this
    home."""
    if source[0] in ".~":
        raise Unusable(f"{path}: expected an absolute path, such as {Path(os.sep, 'srv', 'data')}, got {source!r}")
    return source


def _long(entry: Section) -> Mount | Tmpfs:
    kind = entry.choice("type", "", ("volume", "bind", "tmpfs"))
    target = entry.required_text("target")
    if kind == "tmpfs":
        options = entry.section("tmpfs")
        mount: Mount | Tmpfs = Tmpfs(target, options.size("size"), options.integer("mode", 0))
        options.close()
    else:
        source = entry.text("source") if kind == "volume" else entry.required_text("source")
        volume, bind = entry.section("volume"), entry.section("bind")
        mount = Mount(
            kind=kind,
            source=_folder(source, entry.at("source")) if source else "",
            target=target,
            is_read_only=entry.flag("read_only"),
            has_no_copy=volume.flag("nocopy") if kind == "volume" else False,
            propagation=bind.choice("propagation", "", _PROPAGATIONS) if kind == "bind" else "",
        )
        volume.close()
        bind.close()
    entry.close()
    return mount


def _tmpfs(text: str, path: str) -> Tmpfs:
    target, _, rest = text.partition(":")
    values: dict[str, Any] = {"size": 0, "mode": 0}
    for option in filter(None, rest.split(",")):
        name, _, value = option.partition("=")
        if name == "size" and re.fullmatch(r"\d+[kKmMgG]?", value):
            values[name] = parse_memory(value.lower())
        elif name == "mode" and re.fullmatch(r"[0-7]{3,4}", value):
            values[name] = int(value, 8)
        elif option not in _USUAL:
            raise Unusable(f"{path}: expected size=… and mode=… after the folder, all that Swarm takes, got {option!r}")
    if not target.startswith("/"):
        raise Unusable(f"{path}: expected an absolute path, got {target!r}")
    return Tmpfs(target, **values)
