"""Swarm expands the values of a service's variables as Go templates: how to write text that stays as it is."""

from __future__ import annotations

_OPENING = "{{"
_WRITTEN = '{{"{{"}}'


def literal(value: str) -> str:
    """What Swarm expands to `value`. Only the opening braces mean anything to a template outside of an action."""
    return value.replace(_OPENING, _WRITTEN)


def plain(value: str) -> str:
    """The text that `literal` wrote so. What other hands wrote as a template of their own stays that."""
    return value.replace(_WRITTEN, _OPENING)
