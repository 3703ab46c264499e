"""What a verifier of routes asks of the name service: which chains the names in a policy stand for.

Invariant: a set of names means the chains that registries' proofs show these to stand for; a name without a proof, or
of no chain, satisfies nothing. What else a chain is called has no part in it: anybody may give a chain a second name in
an open zone, by which it could pass where a policy avoids the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from nodes.ibc.core.state import Context
from nodes.xroute.identity import IDENTITY_BYTES, ChainIdentity
from nodes.xroute.policy.clauses import Condition, Policy
from nodes.xroute.policy.terms import Kind

__all__ = ["NameVerifier", "Named", "NoNames", "is_name", "names_in"]

_OF_CHAINS = (Kind.CHAINS, Kind.VIA_ANY, Kind.VIA_ALL)


def is_name(text: str) -> bool:
    """Whether an entry of a set of chains is a name, and no identity in hex."""
    return len(text) != 2 * IDENTITY_BYTES


def names_in(policy: Policy) -> tuple[str, ...]:
    """The names of chains in a policy, each once, without identities."""
    of_chains = (each.names for each in policy.conditions if each.kind in _OF_CHAINS)
    return tuple(dict.fromkeys(name for names in of_chains for name in names if is_name(name)))


@dataclass(frozen=True, slots=True)
class Named:
    """What names were proved to stand for, which registry says so of a chain, and whether all that were asked agree."""

    chains: Mapping[str, ChainIdentity] = field(default_factory=dict)  # by name
    registries: Mapping[ChainIdentity, str] = field(default_factory=dict)
    agree: bool | None = None

    def by_identity(self, policy: Policy) -> Policy:
        """The policy, its clauses in the same order, with identities in place of the names that were proved."""
        return replace(policy, conditions=tuple(map(self._by_identity, policy.conditions)))

    def _by_identity(self, condition: Condition) -> Condition:
        if condition.kind not in _OF_CHAINS:
            return condition
        names = (self.chains[name].hex() if name in self.chains else name for name in condition.names)
        return replace(condition, names=tuple(names))


class NameVerifier(Protocol):
    """Proofs of records, checked against a chain's own clients of registries (`nodes.xroute.names.verifier`)."""

    def named(self, context: Context, proofs: Sequence[bytes], registries: Sequence[str]) -> Named:
        """What the proofs show; `registries` are those that count, in order (none: all). Unfit for a bad proof."""


class NoNames:
    """For a chain that knows no registry: it takes no notice of proofs of names."""

    def named(self, context: Context, proofs: Sequence[bytes], registries: Sequence[str]) -> Named:
        return Named()
