"""What a verifier of routes asks of the name service: names of chains, each proved by a registry.

Invariant: only what a registry's proof shows is in an answer; a chain without a proof has no name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nodes.ibc.core.state import Context
from nodes.xroute.identity import ChainIdentity

__all__ = ["NameVerifier", "Named", "NoNames"]


@dataclass(frozen=True, slots=True)
class Named:
    """Names of chains, each with the registry that says so, and whether all registries that were asked agree."""

    names: Mapping[ChainIdentity, tuple[str, str]] = field(default_factory=dict)
    agree: bool | None = None


class NameVerifier(Protocol):
    """Proofs of records, checked against a chain's own clients of registries (`nodes.xroute.names.verifier`)."""

    def named(self, context: Context, proofs: Sequence[bytes], registries: Sequence[str]) -> Named:
        """What the proofs show; `registries` are those that count, in order (none: all). Unfit for a bad proof."""


class NoNames:
    """For a chain that knows no registry: it takes no notice of proofs of names."""

    def named(self, context: Context, proofs: Sequence[bytes], registries: Sequence[str]) -> Named:
        return Named()
