"""What nodes log in with at registries, when they pull the images of functions.

A login is written here as the engine's API takes it, in a header; "" stands for none. Swarm keeps it with the service,
gives it to the nodes, and nobody can read it back.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from typing import Any

from docker import auth
from docker import errors as docker_errors

from swarmfn.provider.swarm.deployed import Deployed
from swarmfn.wire.errors import InvalidFunction, SettingsError
from swarmfn.wire.functions import FunctionSpec

NOBODY = auth.encode_header({}).decode()
"""In place of a login: the service has none from then on."""


class RegistryLogins:
    """The operator's, for functions that bring none. `auths` is that of Docker's own configuration file."""

    def __init__(self, auths: dict[str, Any] | None = None) -> None:
        self._logins = auth.AuthConfig({"auths": auth.parse_auth(auths or {}, raise_on_error=True)})

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> RegistryLogins:
        """Those in a file in the form of `~/.docker/config.json`; none where there is no file. Raises SettingsError,
        which quotes nothing of it."""
        try:
            with open(path, encoding="utf-8") as file:
                return cls(json.load(file).get("auths"))
        except FileNotFoundError:
            return cls()
        except OSError as exc:
            raise SettingsError([f"{path} cannot be read: {exc.strerror}"]) from exc
        except (ValueError, TypeError, AttributeError, docker_errors.DockerException):
            raise SettingsError([f"{path}: expected logins in the form of Docker's config.json"]) from None

    def login_for(self, image: str) -> str:
        """The login at the image's registry."""
        found = self._logins.resolve_authconfig(registry_of(image))
        return _header(found) if found else ""

    def login_after(self, deployed: Deployed, image: str, own: str = "") -> tuple[str, bool]:
        """What is sent along when a function is changed to run `image`, and whether its service has a login of its own
        then. `own` came with the change. Without anything sent the service keeps what it has."""
        if own:
            return own, True
        stays = registry_of(image) == registry_of(deployed.function.image)
        if deployed.has_own_login and stays:
            return "", True
        # Swarm would show the next registry the login at the one before.
        return self.login_for(image) or ("" if stays else NOBODY), False


def registry_of(image: str) -> str:
    """The registry that an image comes from, `docker.io` where it names none."""
    try:
        return str(auth.resolve_repository_name(image)[0])
    except docker_errors.DockerException:
        return ""


def own_login(function: FunctionSpec) -> str:
    """The one that was deployed with the function. Raises InvalidFunction."""
    try:
        text = base64.b64decode(function.registry_auth, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise InvalidFunction("registryAuth", "is not user:password in Base64.") from exc
    if not text:
        return ""
    user, _, password = text.partition(":")
    registry = registry_of(function.image)
    address = "" if registry == auth.INDEX_NAME else registry
    return _header({"username": user, "password": password, "serveraddress": address})


def _header(login: Mapping[str, Any]) -> str:
    encoded: bytes = auth.encode_header(login)
    return encoded.decode()
