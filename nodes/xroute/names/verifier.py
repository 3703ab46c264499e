"""Names of chains that a route's proof brings, as the chain that verifies the route believes them.

Invariant: a name is believed only by a resolution from the zone on, each step of which a registry proved to a client of
this chain that is bound to the registry's identity; and never in an older version than this chain has seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from emulator.model.errors import Unfit
from nodes.ibc.core.keepers import ClientKeeper
from nodes.ibc.core.state import Context, read_number, write_number
from nodes.ibc.proto.wire import Message, message, repeated, string
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.names.binding import bound
from nodes.xroute.names.cache import Cache
from nodes.xroute.names.evidence import NameProof, Reason, Refused
from nodes.xroute.names.labels import PREFIX, STORE, ancestry
from nodes.xroute.names.record import Kind, Record, identity_of, meaning
from nodes.xroute.names.resolver import Outcome, RegistryChain, Resolution, Resolver
from nodes.xroute.proofs.names import Named

__all__ = ["ListedRegistry", "RegistryNames", "ResolvedName"]

HOUR_NS = 3600 * 10**9


@message("skyloom.xname.v1.ResolvedName")
class ResolvedName(Message):
    """A name, and all steps of its resolution from one registry on (`resolver.Outcome.proofs`)."""

    registry: str = string(1)  # by the name that policies have for it
    name: str = string(2)
    steps: tuple[NameProof, ...] = repeated(3, NameProof)
    clients: tuple[str, ...] = repeated(4, str)
    """Of the chain that verifies, by which it judges what is proved: that of the registry, then those of registries
    that zones on the way are delegated to."""


@dataclass(frozen=True, slots=True)
class ListedRegistry:
    """A registry that a chain knows: a root for some zones."""

    name: str
    identity: ChainIdentity
    zones: frozenset[str]


class RegistryNames:
    """Verifies names on a chain (`nodes.xroute.proofs.names.NameVerifier`)."""

    def __init__(self, clients: ClientKeeper, registries: Iterable[ListedRegistry], most_age_ns: int = HOUR_NS) -> None:
        self._clients = clients
        self._registries = {each.name: each for each in registries}
        self._most_age_ns = most_age_ns

    def named(self, context: Context, proofs: Sequence[bytes], registries: Sequence[str]) -> Named:
        """What the proofs show; of several registries the first in order is believed. Unfit for a bad proof."""
        order = list(registries or self._registries)
        said: dict[str, dict[str, Outcome]] = {}
        for raw in proofs:
            resolved = ResolvedName.decode(raw)
            if resolved.registry in order:
                said.setdefault(resolved.name, {})[resolved.registry] = self._outcome(context, resolved)
        chains: dict[str, ChainIdentity] = {}
        registries_of: dict[ChainIdentity, str] = {}
        agree = bool(said)
        for name, by_registry in said.items():
            believed = min(by_registry, key=order.index)
            record = by_registry[believed].record
            if record is not None and record.kind is Kind.CHAIN:
                chains[name] = identity_of(record)
                registries_of.setdefault(chains[name], believed)
            asked = [each for each in order if self._keeps(each, name)]
            agree &= len(by_registry) == len(asked) and len({_said(each) for each in by_registry.values()}) == 1
        return Named(chains, registries_of, agree if said else None)

    def _outcome(self, context: Context, resolved: ResolvedName) -> Outcome:
        """The resolution of one name, by the steps that were proved."""
        registry = self._registries.get(resolved.registry)
        zone = ancestry(resolved.name)[0]
        if registry is None or zone not in registry.zones:
            raise Unfit(f"registry {resolved.registry!r} for zone {zone!r}", "one that this chain knows")
        identities = [bound(context.stores[STORE], client) for client in resolved.clients]
        if identities[:1] != [registry.identity]:
            raise Unfit(f"registry {registry.name} with clients {resolved.clients}", "first one that is bound to it")
        root = RegistryChain(registry.identity, resolved.clients[0])
        resolver = Resolver(
            self._clients,
            dict.fromkeys(registry.zones, (root,)),
            {each: client for each, client in zip(identities, resolved.clients, strict=True) if each is not None},
            Cache(),
            self._most_age_ns,
        )
        answers = {step.name: step for step in resolved.steps}
        resolution = Resolution(resolver, resolved.name, context)
        while resolution.ask is not None:
            answer = answers.get(resolution.ask.name)
            if answer is None:
                resolution.unanswered(context)
            else:
                resolution.answer(context, answer)
        assert resolution.outcome is not None
        if resolution.outcome.record is not None:
            _remember(context, resolution.outcome.registry, resolution.outcome.record)
        return resolution.outcome

    def _keeps(self, registry: str, name: str) -> bool:
        """Whether a registry is one that says something of the zone of a name; an unknown one should, and does not."""
        known = self._registries.get(registry)
        return known is None or ancestry(name)[0] in known.zones


def _said(outcome: Outcome) -> Record | None:
    return None if outcome.record is None else meaning(outcome.record)


def _remember(context: Context, registry: ChainIdentity, record: Record) -> None:
    """Keep the version that was seen. Refused where a later one was."""
    store, key = context.stores[STORE], f"{PREFIX}seen/{registry.hex()}/{record.name}".encode()
    seen = read_number(store, key, 0)
    if record.seq < seen:
        raise Refused(Reason.ROLLED_BACK, f"version {record.seq} of {record.name}", f"{seen} or later")
    if record.seq > seen:
        write_number(store, key, record.seq)
