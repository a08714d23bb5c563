"""`services.NAME` of the compose file."""

from __future__ import annotations

import re
import shlex
from typing import Any

from stack.compose.deploy_section import read_deploy
from stack.compose.environment_section import ComposeContext, read_environment
from stack.compose.model import Attachment, Grant, Healthcheck, Logging, Mount, Port, Service, Tmpfs, Ulimit
from stack.compose.mount_section import read_mounts, tmpfs_of
from stack.compose.reader import Section, Unusable, as_text


def read_service(name: str, section: Section, context: ComposeContext) -> Service:
    """Raises Unusable that names the place."""
    attachments = _attachments(section)
    mounts = read_mounts(section)
    environment = read_environment(section, context)
    service = Service(
        name=name,
        image=section.required_text("image"),
        entrypoint=_words(section, "entrypoint"),
        command=_words(section, "command"),
        working_dir=section.text("working_dir"),
        hostname=section.text("hostname"),
        stop_signal=section.text("stop_signal"),
        labels=section.text_map("labels"),
        dns=section.text_or_texts("dns"),
        dns_search=section.text_or_texts("dns_search"),
        sysctls=section.text_map("sysctls"),
        ulimits=_ulimits(section.section("ulimits")),
        extra_hosts=_extra_hosts(section),
        user=section.text("user"),
        environment=environment.values,
        unset_environment=environment.unset,
        ports=_ports(section),
        networks=tuple(attachments),
        attachments={network: found for network, found in attachments.items() if found != Attachment()},
        secrets=_grants(section, "secrets", "/run/secrets/"),
        configs=_grants(section, "configs", "/"),
        mounts=tuple(mount for mount in mounts if isinstance(mount, Mount)),
        tmpfs=(*tmpfs_of(section), *(mount for mount in mounts if isinstance(mount, Tmpfs))),
        healthcheck=_healthcheck(section),
        logging=_logging(section),
        stop_grace_period=section.duration("stop_grace_period", 10.0),
        depends_on=section.texts("depends_on"),
        has_init=section.flag("init") if section.has("init") else None,
        is_read_only=section.flag("read_only"),
        cap_add=section.texts("cap_add"),
        cap_drop=section.texts("cap_drop"),
        deploy=read_deploy(section.section("deploy")),
    )
    # Documentation only: containers of one network reach every port of each other.
    section.take("expose")
    section.close()
    return service


def _attachments(section: Section) -> dict[str, Attachment]:
    if isinstance(section.take("networks"), list):
        return {name: Attachment() for name in section.texts("networks")}
    found = {}
    for name, entry in sorted(section.sections("networks").items()):
        found[name] = Attachment(entry.texts("aliases"), entry.text_map("driver_opts"))
        entry.close()
    return found


def _ulimits(section: Section) -> tuple[Ulimit, ...]:
    found = []
    for name in sorted(section.names()):
        if isinstance(section.take(name), dict):
            entry = section.section(name)
            found.append(Ulimit(name, entry.signed("soft"), entry.signed("hard")))
            entry.close()
        else:
            found.append(Ulimit(name, section.signed(name), section.signed(name)))
    return tuple(found)


def _extra_hosts(section: Section) -> tuple[tuple[str, str], ...]:
    if not isinstance(section.take("extra_hosts", []), list):
        return tuple(sorted(section.text_map("extra_hosts").items()))
    found = []
    for number, text in enumerate(section.texts("extra_hosts")):
        name, sign, address = text.partition("=" if "=" in text else ":")
        if not (name and sign and address):
            raise Unusable(f"{section.at('extra_hosts')}[{number}]: expected NAME:ADDRESS, got {text!r}")
        found.append((name, address))
    return tuple(found)


def _words(section: Section, key: str) -> tuple[str, ...]:
    if isinstance(section.take(key), str):
        return tuple(shlex.split(section.text(key)))
    return section.texts(key)


def _ports(section: Section) -> tuple[Port, ...]:
    ports: list[Port] = []
    for number, item in enumerate(section.items("ports")):
        path = f"{section.at('ports')}[{number}]"
        ports += [_port(item, path)] if isinstance(item, dict) else short_ports(as_text(item, path), path)
    return tuple(port for port in ports if port.published)


def short_ports(text: str, path: str) -> list[Port]:
    """PUBLISHED:TARGET, also of ranges, with /udp behind it or not."""
    found = re.fullmatch(r"(\d+)(?:-(\d+))?:(\d+)(?:-(\d+))?(?:/(tcp|udp))?", text)
    if found is None:
        raise Unusable(f"{path}: expected PUBLISHED:TARGET or a mapping, got {text!r}")
    published, target = (range(int(found[n]), int(found[n + 1] or found[n]) + 1) for n in (1, 3))
    if len(published) != len(target) or not target or max(*published, *target) > 65535:
        raise Unusable(f"{path}: expected two ranges of equal length, of ports up to 65535, got {text!r}")
    return [Port(inner, outer, found[5] or "tcp") for outer, inner in zip(published, target, strict=True)]


def _port(item: Any, path: str) -> Port:
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
    grant = Grant(
        source,
        target if target.startswith("/") else folder + target,
        entry.integer("mode", 0o444),
        entry.text("uid", "0"),
        entry.text("gid", "0"),
    )
    entry.close()
    return grant


def _healthcheck(section: Section) -> Healthcheck | None:
    if not section.has("healthcheck"):
        return None
    entry = section.section("healthcheck")
    test = ("CMD-SHELL", entry.text("test")) if isinstance(entry.take("test"), str) else entry.texts("test")
    if entry.flag("disable"):
        if test:
            raise Unusable(f"{entry.at('disable')}: cannot be combined with test")
        test = ("NONE",)
    if test and test[0] not in ("CMD", "CMD-SHELL", "NONE"):
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
