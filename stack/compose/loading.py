"""The compose file from disk to records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from stack.compose.model import ComposeFile, Config, Network, Secret, Service
from stack.compose.reader import Section, Unusable
from stack.compose.service_section import read_service
from stack.compose.substitution import substitute
from stack.compose.yaml_text import read_yaml
from stack.errors import ComposeFileError


def load_compose(path: Path, variables: Mapping[str, str]) -> ComposeFile:
    """The file with values from `variables` put in. Raises ComposeFileError that names the place, for anything that
    is not understood as well: a key that is passed over in silence would be a setting that does nothing."""
    try:
        document = read_yaml(path.read_text())
        return _file(Section(substitute(document, variables), ""), path.parent)
    except (OSError, yaml.YAMLError) as exc:
        raise ComposeFileError(f"cannot read {path}: {exc}") from exc
    except Unusable as exc:
        raise ComposeFileError(f"{path}: {exc}.") from exc


def _file(section: Section, folder: Path) -> ComposeFile:
    section.take("version")  # docker stack deploy of older Docker clients asks for it
    if not section.has("services"):
        raise Unusable("services: is missing")
    compose = ComposeFile(
        services={name: read_service(name, entry) for name, entry in section.sections("services").items()},
        networks={name: _network(name, entry) for name, entry in section.sections("networks").items()},
        volumes=tuple(_volume(name, entry) for name, entry in section.sections("volumes").items()),
        configs={name: _config(name, entry, folder) for name, entry in section.sections("configs").items()},
        secrets={name: _secret(name, entry) for name, entry in section.sections("secrets").items()},
    )
    section.close()
    for service in compose.services.values():
        _check_references(service, compose)
    return compose


def _network(name: str, section: Section) -> Network:
    network = Network(
        name=name,
        driver=section.text("driver", "overlay"),
        is_attachable=section.flag("attachable"),
        is_internal=section.flag("internal"),
        labels=section.text_map("labels"),
    )
    section.close()
    return network


def _volume(name: str, section: Section) -> str:
    section.close()
    return name


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
    volumes = [mount.source for mount in service.mounts if mount.kind == "volume"]
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
