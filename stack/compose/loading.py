"""The compose file from disk to records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from stack.compose.environment_section import ComposeContext
from stack.compose.merging import merge
from stack.compose.model import ComposeFile, Config, Network, Secret, Service, Volume
from stack.compose.reader import Section, Unusable
from stack.compose.service_section import read_service
from stack.compose.substitution import substitute
from stack.compose.yaml_text import read_yaml
from stack.errors import ComposeFileError

_DEFAULT = "default"


def load_compose(path: Path, variables: Mapping[str, str], later: Sequence[Path] = ()) -> ComposeFile:
    """The file, with each `later` one merged into it and values from `variables` put in. Raises ComposeFileError that
    names the place, for anything that is not understood as well: a key that is silently ignored would be a
    setting that does nothing."""
    # Paths in every file are seen from the first one.
    folder = path.parent
    try:
        document = _document(path, variables)
        for path in later:
            document = merge(document, _document(path, variables))
        return _file(Section(document, ""), ComposeContext(folder, variables))
    except (OSError, yaml.YAMLError) as exc:
        raise ComposeFileError(f"cannot read {path}: {exc}") from exc
    except Unusable as exc:
        raise ComposeFileError(f"{path}: {exc}.") from exc


def _document(path: Path, variables: Mapping[str, str]) -> Any:
    document = substitute(read_yaml(path.read_text()), variables)
    Section(document, "")
    return document


def _file(section: Section, context: ComposeContext) -> ComposeFile:
    section.take("version")  # docker stack deploy of older Docker clients asks for it
    if not section.has("services"):
        raise Unusable("services: is missing")
    compose = ComposeFile(
        services={name: read_service(name, entry, context) for name, entry in section.sections("services").items()},
        networks={name: _network(name, entry) for name, entry in section.sections("networks").items()},
        volumes={name: _volume(name, entry) for name, entry in section.sections("volumes").items()},
        configs={name: _config(name, entry, context.folder) for name, entry in section.sections("configs").items()},
        secrets={name: _secret(name, entry) for name, entry in section.sections("secrets").items()},
    )
    section.close()
    compose = _with_default_network(compose)
    for service in compose.services.values():
        _check_references(service, compose)
    return compose


def _with_default_network(compose: ComposeFile) -> ComposeFile:
    """A service that names no network is in one called default, which the file need not describe."""
    services = {
        name: service if service.networks else replace(service, networks=(_DEFAULT,))
        for name, service in compose.services.items()
    }
    is_used = any(_DEFAULT in service.networks for service in services.values())
    described = compose.networks if _DEFAULT in compose.networks or not is_used else {
        **compose.networks, _DEFAULT: Network(_DEFAULT)
    }  # fmt: skip
    return replace(compose, services=services, networks=described)


def _network(name: str, section: Section) -> Network:
    engine_name, is_external = _name_on_engine(name, section)
    network = Network(
        name=name,
        driver=section.text("driver", "overlay"),
        is_attachable=section.flag("attachable"),
        is_internal=section.flag("internal"),
        labels=section.text_map("labels"),
        options=section.text_map("driver_opts"),
        engine_name=engine_name,
        is_external=is_external,
    )
    section.close()
    return network


def _volume(name: str, section: Section) -> Volume:
    engine_name, is_external = _name_on_engine(name, section)
    volume = Volume(
        name=name,
        driver=section.text("driver"),
        options=section.text_map("driver_opts"),
        labels=section.text_map("labels"),
        engine_name=engine_name,
        is_external=is_external,
    )
    section.close()
    return volume


def _name_on_engine(name: str, section: Section) -> tuple[str, bool]:
    """The name that the file gives it, and whether it is there already: then the file can say nothing else about it."""
    is_external = section.flag("external")
    engine_name = section.text("name", name if is_external else "")
    others = [key for key in section.names() if key not in ("external", "name") and not key.startswith("x-")]
    if is_external and others:
        raise Unusable(f"{section.at(others[0])}: cannot be combined with external: true")
    return engine_name, is_external


def _config(name: str, section: Section, folder: Path) -> Config:
    file = folder / section.required_text("file")
    section.close()
    return Config(name, file.read_bytes())


def _secret(name: str, section: Section) -> Secret:
    if not section.flag("external"):
        raise Unusable(f"{section.at('external')}: expected true; `prepare` and `up` make the secrets")
    secret = Secret(name, section.text("name", name))
    section.close()
    return secret


def _check_references(service: Service, compose: ComposeFile) -> None:
    volumes = [mount.source for mount in service.mounts if mount.kind == "volume" and mount.source]
    uses: list[tuple[str, Iterable[str], Iterable[str]]] = [
        ("networks", service.networks, compose.networks),
        ("volumes", volumes, compose.volumes),
        ("configs", [grant.source for grant in service.configs], compose.configs),
        ("secrets", [grant.source for grant in service.secrets], compose.secrets),
        ("depends_on", service.depends_on, compose.services),
    ]
    for key, used, known in uses:
        if missing := set(used) - set(known):
            listed = ", ".join(sorted(missing))
            raise Unusable(f"services.{service.name}.{key}: the file does not describe {listed}")
