"""The gateway's own credentials: who has them may come in, and no function is given them."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import re
from dataclasses import dataclass, field

from swarmfn.wire.secret_files import PASSWORD, USER, SecretFile

logger = logging.getLogger(__name__)

_RUNS = re.compile(rb"[A-Za-z0-9+/_-]+")
_MOST_RUNS = 256
_ONE_ALPHABET = bytes.maketrans(b"-_", b"+/")


@dataclass
class Credentials:
    """The one user of the management API."""

    user: str
    password: str = field(repr=False)

    def let_in(self, authorization: str) -> bool:
        """Whether this Authorization header lets its sender in: HTTP Basic, exactly."""
        given = basic_credentials(authorization)
        return given is not None and hmac.compare_digest(given, f"{self.user}:{self.password}".encode())

    def are_told_by(self, authorization: bytes) -> bool:
        """Whether a reader of this header knows the credentials.

        Never less than `let_in` takes: any scheme, several values in one, base64 of either alphabet, with or without
        its padding, in pieces, of either encoding that clients use, or not encoded at all. A header of hundreds of
        parts is taken for one that does, for nobody needs it, and looking would cost too much.
        """
        plain = f"{self.user}:{self.password}"
        secrets = [plain.encode(), plain.encode("latin-1", "replace"), self.password.encode()]
        runs = _RUNS.findall(authorization)
        is_told = len(runs) > _MOST_RUNS
        for candidate in _candidates(authorization.strip(), runs[:_MOST_RUNS]):
            for secret in secrets:
                is_told |= hmac.compare_digest(candidate, secret)
        return is_told


class MountedCredentials(Credentials):
    """Those in the secret files of a folder, as they are when a header that may tell them comes."""

    def __init__(self, directory: str, user: str, password: str) -> None:
        super().__init__(user, password)
        self._files = SecretFile(directory, USER), SecretFile(directory, PASSWORD)

    def let_in(self, authorization: str) -> bool:
        """As for Credentials."""
        self._look()
        return super().let_in(authorization)

    def are_told_by(self, authorization: bytes) -> bool:
        """As for Credentials: new ones too, before anybody has used them."""
        self._look()
        return super().are_told_by(authorization)

    def _look(self) -> None:
        user, password = (file.value() for file in self._files)
        if user and password and (user, password) != (self.user, self.password):
            self.user, self.password = user, password
            logger.info("other credentials are in force now", extra={"event": "credentials_changed"})


def basic_credentials(authorization: str) -> bytes | None:
    """`user:password` in an Authorization header, as the bytes the client sent; None when there are none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None


def _candidates(text: bytes, runs: list[bytes]) -> list[bytes]:
    """What may be meant by a header."""
    return [text, text.partition(b" ")[2].strip(), *map(_decoded, [*runs, b"".join(runs[1:])])]


def _decoded(run: bytes) -> bytes:
    text = run.translate(_ONE_ALPHABET)
    # A character beyond a group of four says nothing of its own.
    text = text[:-1] if len(text) % 4 == 1 else text
    return base64.b64decode(text + b"=" * (-len(text) % 4))
