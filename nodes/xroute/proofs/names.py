"""Names of the chains on a route, as registries prove them to the verifying chain.

Invariant: a name is believed only of a registry that the chain has been told of, by its own client of that registry's
chain, and never by an older version of a record than one that was believed before. A chain without a proof has no name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nodes.ibc.client.keeper import Clients
from nodes.ibc.core.state import Context, read_number
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.names.binding import bindings
from nodes.xroute.names.evidence import Reason, Refused, proven
from nodes.xroute.names.labels import STORE as NAMES
from nodes.xroute.names.record import Kind, Record, identity_of
from nodes.xroute.proofs import paths
from nodes.xroute.proofs.messages import RegistryProof

__all__ = ["NameVerifier", "Named", "NoNames", "RegistryNames"]


@dataclass(frozen=True, slots=True)
class Named:
    """Names of chains, each with the registry that says so; whether all registries agree; versions that were seen."""

    names: Mapping[ChainIdentity, tuple[str, str]] = field(default_factory=dict)
    agree: bool | None = None
    versions: tuple[tuple[bytes, int], ...] = ()  # keys of the module's own store, and numbers to keep there


class NameVerifier(Protocol):
    """Proofs of records, checked on a chain."""

    def named(self, context: Context, proofs: Sequence[RegistryProof], registries: Sequence[str]) -> Named:
        """What the proofs show; `registries` are those that count, in order (none: all). Unfit for a bad proof."""


class NoNames:
    """For a chain that knows no registry: it takes no notice of proofs of names."""

    def named(self, context: Context, proofs: Sequence[RegistryProof], registries: Sequence[str]) -> Named:
        return Named()


@dataclass(frozen=True, slots=True)
class RegistryNames:
    """For a chain that believes registries: identities of their chains, by the names that policies have for them."""

    registries: Mapping[str, ChainIdentity]
    most_age_ns: int  # of a registry's state
    clients: Clients = field(default_factory=Clients)

    def named(self, context: Context, proofs: Sequence[RegistryProof], registries: Sequence[str]) -> Named:
        asked = registries or tuple(self.registries)
        found: dict[ChainIdentity, dict[str, str]] = {}
        versions = []
        for each in proofs:
            record = self._record(context, each)
            key = paths.name_version(each.registry, record.name)
            if record.seq < (last := read_number(context.stores[paths.STORE], key, 0)):
                raise Refused(Reason.ROLLED_BACK, f"{record.name}, version {record.seq}", f"{last} or later")
            versions.append((key, record.seq))
            found.setdefault(identity_of(record), {})[each.registry] = record.name
        names = {
            chain: (said[first], first)
            for chain, said in found.items()
            if (first := next((registry for registry in asked if registry in said), None)) is not None
        }
        agree = all(len({said.get(registry) for registry in asked}) == 1 for said in found.values())
        return Named(names, agree if found else None, tuple(versions))

    def _record(self, context: Context, proof: RegistryProof) -> Record:
        """The record of a chain that a registry proves. Refused for any other answer."""
        chain = self.registries.get(proof.registry)
        client = next((name for name, tracked in self._bound(context) if tracked == chain), None)
        if chain is None or client is None:
            known = ", ".join(self.registries) or "none"
            raise Refused(Reason.NO_REGISTRY, f"registry {proof.registry!r}", f"one with a client here, of {known}")
        name = proof.proof.name
        record = proven(context, self.clients, client, name, proof.proof, self.most_age_ns, 0).record
        if record is None or record.kind is not Kind.CHAIN or record.is_revoked:
            raise Refused(Reason.MALFORMED, f"{name}, which is no chain", "the record of a chain")
        if 0 < record.not_after_s <= context.time_s:
            raise Refused(Reason.STALE, f"{name}, whose term has ended", "a record that holds")
        return record

    def _bound(self, context: Context) -> Iterator[tuple[str, ChainIdentity]]:
        return bindings(context.stores[NAMES])
