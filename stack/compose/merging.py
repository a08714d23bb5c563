"""Several compose files as one: each adds to those before it, as `docker stack deploy -c a -c b` has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stack.compose.mount_section import short_mount
from stack.compose.reader import Unusable, as_text
from stack.compose.service_section import short_ports

Document = dict[str, Any]
_NAMED = ("networks", "volumes", "secrets", "configs")
_MAPPINGS = ("environment", "labels", "sysctls", "ulimits", "options", "driver_opts")
_REPLACED = ("command", "entrypoint", "test")
_MAY_BE_NOTHING = ("replicas", "parallelism", "max_attempts")


def merge(base: Document, later: Document) -> Document:
    """Raises Unusable that names the place. What is described by name beside the services, such as a network, is as the
    later file has it; services are merged key by key."""
    merged = {**base, **{key: value for key, value in later.items() if key not in base}}
    for key in _NAMED:
        if base.get(key) and later.get(key):
            merged[key] = {**_mapping(base[key], key), **_mapping(later[key], key)}
    if base.get("services") and later.get("services"):
        ours, theirs = _mapping(base["services"], "services"), _mapping(later["services"], "services")
        changed = {
            name: _merged(ours[name], value, f"services.{name}") if name in ours else value
            for name, value in theirs.items()
        }
        merged["services"] = {**ours, **changed}
    return merged


def _merged(base: Any, later: Any, path: str) -> Document:
    found = dict(_mapping(base, path))
    for key, value in _mapping(later, path).items():
        before = found.get(key)
        if value is None:
            continue
        found[key] = value if before is None else _value(key, before, value, f"{path}.{key}")
    return found


def _value(key: str, base: Any, later: Any, path: str) -> Any:
    if key == "env_file":
        raise Unusable(f"{path}: only the first file that describes the service may have it")
    if key in _REPLACED:
        return later
    if key in _KEYED:
        return _by_key(base, later, path, *_KEYED[key])
    if key in _MAPPINGS:
        return {**_pairs(base, path), **_pairs(later, path)}
    if key == "networks":
        return {**_attached(base, path), **_attached(later, path)}
    if key == "logging" and _mapping(later, path).get("driver", base.get("driver")) != base.get("driver"):
        return later
    if isinstance(base, Mapping) and isinstance(later, Mapping):
        return _merged(base, later, path)
    if isinstance(base, list) or isinstance(later, list) or key in ("dns", "dns_search", "tmpfs"):
        return [*_list(base), *_list(later)]
    if not later and base and key not in _MAY_BE_NOTHING:
        # Docker keeps the earlier value then, which nobody expects who writes `false`.
        raise Unusable(f"{path}: a later file cannot take back what an earlier one sets")
    return later


def _by_key(base: Any, later: Any, path: str, parts: Callable[[Any, str], list[Document]], key: str) -> list[Any]:
    found = {}
    for item in [*_list(base), *_list(later)]:
        for part in parts(item, path):
            found[str(part.get(key))] = part
    return list(found.values())


def _port_parts(item: Any, path: str) -> list[Document]:
    if isinstance(item, dict):
        return [item]
    return [
        {"target": port.target, "published": port.published, "protocol": port.protocol}
        for port in short_ports(str(item), path)
    ]


def _grant_parts(item: Any, path: str) -> list[Document]:
    return [item if isinstance(item, dict) else {"source": item}]


def _mount_parts(item: Any, path: str) -> list[Document]:
    if isinstance(item, dict):
        return [item]
    mount = short_mount(as_text(item, path), path)
    found = {"type": mount.kind, "source": mount.source, "target": mount.target, "read_only": mount.is_read_only}
    more = {"nocopy": mount.has_no_copy} if mount.kind == "volume" else {"propagation": mount.propagation}
    return [{**found, mount.kind: more}]


_KEYED: dict[str, tuple[Callable[[Any, str], list[Document]], str]] = {
    "ports": (_port_parts, "published"),
    "secrets": (_grant_parts, "source"),
    "configs": (_grant_parts, "source"),
    "volumes": (_mount_parts, "target"),
}


def _pairs(value: Any, path: str) -> Document:
    if isinstance(value, list):
        parts = [str(item).partition("=") for item in value]
        return {name: text if sign else None for name, sign, text in parts}
    return dict(_mapping(value, path))


def _attached(value: Any, path: str) -> Document:
    return {str(name): None for name in value} if isinstance(value, list) else dict(_mapping(value, path))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unusable(f"{path}: expected a mapping")
    return value
