"""`services.NAME` of the compose file."""

from __future__ import annotations

import shlex
from typing import Any

from stack.compose.deploy_section import read_deploy
from stack.compose.model import Grant, Healthcheck, Logging, Mount, Port, Service
from stack.compose.reader import Section, Unusable, as_text


def read_service(name: str, section: Section) -> Service:
    """Raises Unusable that names the place."""
    service = Service(
        name=name,
        image=section.required_text("image"),
        command=_words(section, "command"),
        user=section.text("user"),
        environment=section.text_map("environment"),
        ports=_ports(section),
        networks=section.texts("networks"),
        secrets=_grants(section, "secrets", "/run/secrets/"),
        configs=_grants(section, "configs", "/"),
        mounts=_mounts(section),
        tmpfs=section.texts("tmpfs"),
        healthcheck=_healthcheck(section),
        logging=_logging(section),
        stop_grace_period=section.duration("stop_grace_period", 10.0),
        depends_on=section.texts("depends_on"),
        has_init=section.flag("init"),
        is_read_only=section.flag("read_only"),
        cap_add=section.texts("cap_add"),
        cap_drop=section.texts("cap_drop"),
        deploy=read_deploy(section.section("deploy")),
    )
    section.close()
    return service


def _words(section: Section, key: str) -> tuple[str, ...]:
    if isinstance(section.take(key), str):
        return tuple(shlex.split(section.text(key)))
    return section.texts(key)


def _ports(section: Section) -> tuple[Port, ...]:
    ports = [_port(item, f"{section.at('ports')}[{number}]") for number, item in enumerate(section.items("ports"))]
    return tuple(port for port in ports if port.published)


def _port(item: Any, path: str) -> Port:
    if not isinstance(item, dict):
        published, sign, target = as_text(item, path).partition(":")
        if not sign or not published.isdigit() or not target.isdigit():
            raise Unusable(f"{path}: expected PUBLISHED:TARGET or a mapping, got {item!r}")
        return Port(int(target), int(published))
    if "published" not in item:
        raise Unusable(f"{path}.published: is missing: the port of the node")
    entry = Section(item, path)
    port = Port(
        target=entry.integer("target", 0),
        published=entry.integer("published", 0),
        protocol=entry.choice("protocol", "tcp", ("tcp", "udp")),
        mode=entry.choice("mode", "ingress", ("ingress", "host")),
    )
    entry.close()
    # A `published` of 0 is how a file says "only if a variable names a port".
    for key, number, least in (("target", port.target, 1), ("published", port.published, 0)):
        if not least <= number <= 65535:
            raise Unusable(f"{entry.at(key)}: expected a port from {least} to 65535, got {number}")
    return port


def _grants(section: Section, key: str, folder: str) -> tuple[Grant, ...]:
    return tuple(_grant(item, f"{section.at(key)}[{n}]", folder) for n, item in enumerate(section.items(key)))


def _grant(item: Any, path: str, folder: str) -> Grant:
    if not isinstance(item, dict):
        source = as_text(item, path)
        return Grant(source, folder + source)
    entry = Section(item, path)
    source = entry.required_text("source")
    target = entry.text("target", source)
    grant = Grant(source, target if target.startswith("/") else folder + target, entry.integer("mode", 0o444))
    entry.close()
    return grant


def _mounts(section: Section) -> tuple[Mount, ...]:
    return tuple(
        _mount(as_text(item, f"{section.at('volumes')}[{number}]"), f"{section.at('volumes')}[{number}]")
        for number, item in enumerate(section.items("volumes"))
    )


def _mount(text: str, path: str) -> Mount:
    source, *rest = text.split(":")
    if not rest or not source or len(rest) > 2 or rest[1:] not in ([], ["ro"], ["rw"]):
        raise Unusable(f"{path}: expected SOURCE:TARGET or SOURCE:TARGET:ro, got {text!r}")
    kind = "bind" if source.startswith("/") else "volume"
    return Mount(kind, source, rest[0], is_read_only=rest[1:] == ["ro"])


def _healthcheck(section: Section) -> Healthcheck | None:
    if not section.has("healthcheck"):
        return None
    entry = section.section("healthcheck")
    test = ("CMD-SHELL", entry.text("test")) if isinstance(entry.take("test"), str) else entry.texts("test")
    if not test or test[0] not in ("CMD", "CMD-SHELL", "NONE"):
        raise Unusable(f"{entry.at('test')}: expected a text or a list that begins with CMD, CMD-SHELL or NONE")
    check = Healthcheck(
        test=test,
        interval=entry.duration("interval", 0.0),
        timeout=entry.duration("timeout", 0.0),
        start_period=entry.duration("start_period", 0.0),
        retries=entry.integer("retries", 0),
    )
    entry.close()
    return check


def _logging(section: Section) -> Logging | None:
    if not section.has("logging"):
        return None
    entry = section.section("logging")
    logging = Logging(entry.required_text("driver"), entry.text_map("options"))
    entry.close()
    return logging
