"""Memory and CPU amounts in the notations of Kubernetes and Docker."""

from __future__ import annotations

import re

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_DECIMAL = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
# Docker's `--memory 128m` means mebibytes (go-units RAMInBytes); in Kubernetes a small `m` would be thousandths,
# which nobody means for memory. The capital letters keep their decimal Kubernetes meaning.
_DOCKER = {"b": 1, "k": 2**10, "kb": 2**10, "m": 2**20, "mb": 2**20, "g": 2**30, "gb": 2**30, "t": 2**40, "tb": 2**40}
_MEMORY_UNITS = {"": 1, **_BINARY, **_DECIMAL, **_DOCKER}
_AMOUNT = re.compile(r"(\d{1,20}(?:\.\d{1,20})?)\s*([A-Za-z]*)")
_NANO_CPUS_FROM = 1_000_000


def parse_memory(text: str) -> int:
    """Bytes in `text`: `40Mi`, `1Gi`, `128M`, Docker's `128m`, or plain bytes. Raises ValueError that quotes it."""
    match = _AMOUNT.fullmatch(text.strip())
    factor = _MEMORY_UNITS.get(match.group(2)) if match else None
    if match is None or factor is None:
        raise ValueError(f'expected an amount of memory such as "128Mi", got {text!r}')
    amount = match.group(1)
    # A float is exact up to 2**53 only.
    return int(float(amount) * factor) if "." in amount else int(amount) * factor


def parse_cpu(text: str) -> float:
    """Cores in `text`: `0.5`, `100m` (thousandths), or Docker's integer nano-CPUs (`500000000`).

    Raises ValueError that quotes the text.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None or match.group(2) not in ("", "m"):
        raise ValueError(f'expected an amount of CPU such as "100m" or "0.5", got {text!r}')
    amount = float(match.group(1))
    if match.group(2) == "m":
        return amount / 1000
    # No machine has a million cores: a whole number this large is what faas-swarm took, billionths of a core.
    return amount / 1e9 if amount >= _NANO_CPUS_FROM else amount
