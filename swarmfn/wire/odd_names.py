"""Labels and annotations that mean nothing, though their names look as if they did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from swarmfn.wire.nearest import nearest

_PREFIXES = ("com.openfaas.", "com.swarmfn.")

_OPENFAAS_S = (
    "com.openfaas.function", "com.openfaas.health.http.failureThreshold", "com.openfaas.health.http.path",
    "com.openfaas.health.http.periodSeconds", "com.openfaas.health.http.successThreshold",
    "com.openfaas.health.http.timeoutSeconds", "com.openfaas.owner", "com.openfaas.profile",
    "com.openfaas.ready.http.failureThreshold", "com.openfaas.ready.http.initialDelay",
    "com.openfaas.ready.http.initialDelaySeconds", "com.openfaas.ready.http.path",
    "com.openfaas.ready.http.periodSeconds", "com.openfaas.ready.http.successThreshold",
    "com.openfaas.ready.http.timeoutSeconds", "com.openfaas.scale.factor", "com.openfaas.scale.max",
    "com.openfaas.scale.target", "com.openfaas.scale.target-proportion", "com.openfaas.scale.type",
    "com.openfaas.scale.zero", "com.openfaas.scale.zero-duration", "com.openfaas.serviceaccount", "com.openfaas.uid",
)  # fmt: skip
"""Right names for OpenFaaS, and not read here: they are not misspellings of ours."""

_OWN = (
    "com.swarmfn.created", "com.swarmfn.exec_timeout", "com.swarmfn.function", "com.swarmfn.image",
    "com.swarmfn.source", "com.swarmfn.stack", "com.swarmfn.stored-function",
)  # fmt: skip
"""What the platform itself puts there."""


def odd_names(
    kind: str, names: Iterable[str], known: tuple[str, ...], other: str, known_there: tuple[str, ...]
) -> Iterator[str]:
    """A sentence for each name that is nearly one of `known`, and for each that belongs, or nearly does, to the `other`
    kind (label, annotation), where `known_there` are known. Names with somebody else's prefix are ignored."""
    for name in sorted(set(names).difference(known)):
        if name in known_there:
            yield f"{kind} {name} means nothing: put it among the {other}s"
        elif found := _meant(name, known + known_there):
            yield f"there is no {kind} {name:.100}; did you mean {'' if found in known else f'the {other} '}{found}?"


@lru_cache(maxsize=4096)
def _meant(name: str, known: tuple[str, ...]) -> str:
    """The one of `known` that is meant by a name with a prefix of ours, or nearly one; "" if none is."""
    first, _, rest = name.partition(".")
    second, _, rest = rest.partition(".")
    if not rest or name in _OPENFAAS_S or name in _OWN or not nearest(f"{first}.{second}.", _PREFIXES):
        return ""
    # Without the prefix, which would make any two of them alike.
    by_rest = {one.split(".", 2)[2]: one for one in (*_OWN, *_OPENFAAS_S, *known)}
    found = by_rest.get(rest) or by_rest.get(nearest(rest, by_rest), "")
    return found if found in known else ""
