"""What the names in policies stand for, as registries prove it to the chains that judge routes.

Invariant: what is used was proved of a registry's state that the judging chain's client knows already, no longer ago
than half a minute, or than the record's TTL where that is shorter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from nodes.ibc.proto.ibc import Height
from nodes.ibc.relayer.calls import Blocked, Flow, Unanswered, Wait
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.follow import Followed
from nodes.ibc.relayer.opening import sent
from nodes.ibc.relayer.signer import Signer
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.names.evidence import Refused
from nodes.xroute.names.labels import zone_of
from nodes.xroute.names.procedures import known, prove, trusting_resolver
from nodes.xroute.names.record import Kind, identity_of
from nodes.xroute.names.resolver import Outcome, RegistryChain, Resolver
from nodes.xroute.names.verifier import ResolvedName
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.terms import Comparison
from nodes.xroute.policy.terms import Kind as ConditionKind
from nodes.xroute.proofs.names import Named, is_name, names_in
from nodes.xroute.relayer.clients import Clients
from nodes.xroute.relayer.network import Network

__all__ = ["Names", "ResolvedPolicy"]

MOST_AGE_NS = 30 * 10**9
_RETRY_S = 1.0
_PATIENCE_S = 10.0  # of a round


class ResolvedPolicy(NamedTuple):
    """A policy in terms of identities, as chains will judge it, and the proofs of what its names stand for."""

    policy: Policy
    proofs: tuple[bytes, ...] = ()


@dataclass
class Names:
    """Names by the chain that they are proved to: `resolved` gives what is known, `run` finds out what is wanted."""

    registries: Mapping[str, str]  # zones, and the chain that keeps each, as calls name it
    network: Network
    chains: Mapping[str, Followed]
    signers: Mapping[str, Signer]
    clients: Clients
    clock: Clock
    notes: list[tuple[str, str]]  # what a person should know
    proved: int = 0  # names, to any chain
    _wanted: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # by host
    _resolvers: dict[str, Resolver] = field(default_factory=dict)

    def resolved(self, host: str, policy: Policy) -> ResolvedPolicy | None:
        """What a policy's names stand for where `host` judges it. None where one is not known yet, which `run` will
        find out."""
        if not self.registries:
            return ResolvedPolicy(policy)
        names = [name for name in names_in(policy) if zone_of(name) in self.registries]
        chains: dict[str, ChainIdentity] = {}
        proofs: list[bytes] = []
        for name in names:
            outcome = self._known(host, name)
            if outcome is None:
                self._wanted[host].add(name)
                continue
            zone = zone_of(name)
            proofs.append(ResolvedName(zone, name, outcome.proofs, self._clients_for(host, zone)).encode())
            if outcome.record is not None and outcome.record.kind is Kind.CHAIN:
                chains[name] = identity_of(outcome.record)
        if len(proofs) < len(names):
            return None
        return ResolvedPolicy(_by_identity(policy, chains), tuple(proofs))

    def resolve(self, host: str, policy: Policy) -> Flow[ResolvedPolicy]:
        """The same, after one more attempt to find out: what was known when a route was chosen may be too old by now.
        Blocked where that fails."""
        found = self.resolved(host, policy)
        if found is None:
            yield Wait(lambda: not self._wanted[host], self.clock.after_s(_PATIENCE_S))
            found = self.resolved(host, policy)
        if found is None:
            raise Blocked(f"names are not proved to {host}")
        return found

    def forget(self, host: str) -> None:
        """A chain refused what was proved to it: it may have seen a later version, from another relayer."""
        self._resolvers.pop(host, None)

    def run(self, host: str) -> Flow[None]:
        """Find out what is wanted at one chain, for ever."""
        wanted = self._wanted[host]
        while True:
            yield Wait(lambda: bool(wanted))
            names = frozenset(wanted)
            try:
                yield from self._prove(host, names)
            except (Unanswered, Blocked) as failure:
                self.notes.append(("waits", f"for names on {host}: {failure}"))
                yield Wait(lambda: False, self.clock.after_s(_RETRY_S))
            wanted.difference_update(names)

    def _clients_for(self, host: str, zone: str) -> tuple[str, ...]:
        """The host's client of a zone's registry, then those of the others, as zones may be delegated to them."""
        resolver = self._resolvers[host]
        first = resolver.roots[zone][0].client
        return first, *sorted({*resolver.bound.values()} - {first})

    def _known(self, host: str, name: str) -> Outcome | None:
        resolver = self._resolvers.get(host)
        if resolver is None:
            return None
        try:
            return known(resolver, name, self.clock.now_ns)
        except Refused:
            return None

    def _prove(self, host: str, names: frozenset[str]) -> Flow[None]:
        """Bring the host's clients of registries up to date, then let the registries prove the names."""
        clients = self._clients(host)
        hosts: dict[ChainIdentity, tuple[str, Height]] = {}
        for registry in clients.values():
            hosts[registry.identity] = yield from self._reached(host, registry)
        bound = {each.identity: each.client for each in clients.values()}
        resolver = self._resolvers.setdefault(host, trusting_resolver(clients, bound, MOST_AGE_NS))
        for name in sorted(names):
            try:
                outcome = yield from prove(resolver, name, self.clock, hosts)
            except Refused as failure:
                self.notes.append(("waits", f"{name} on {host}: {failure}"))
                continue
            self.proved += 1
            if outcome.record is None or outcome.record.kind is not Kind.CHAIN:
                what = outcome.denial.value if outcome.denial else "no name of a chain"
                self.notes.append(("waits", f"{name} on {host}: {what}"))

    def _clients(self, host: str) -> dict[str, RegistryChain]:
        """By zone, the host's client of the registry. Blocked where it has none."""
        found: dict[str, RegistryChain] = {}
        for zone, registry in self.registries.items():
            ends = self.network.identities[host], self.network.identities[registry]
            edge = next((each for each in self.network.own.edges if (each.verifier, each.tracked) == ends), None)
            if edge is None:
                raise Blocked(f"{host} has no client of {registry}, the registry of {zone}")
            found[zone] = RegistryChain(edge.tracked, edge.client)
        return found

    def _reached(self, host: str, registry: RegistryChain) -> Flow[tuple[str, Height]]:
        """The registry in calls, and a height of now that the host's client of it knows."""
        subject = self.network.chain_of[registry.identity]
        client, head = self.clients.client(host, registry.client, subject), self.chains[subject].height
        number, updates = yield from client.reach(head, head)
        if updates:
            yield from sent(self.signers[host], updates)
        return subject, client.height(number)


def _by_identity(policy: Policy, chains: Mapping[str, ChainIdentity]) -> Policy:
    """The policy, with identities in place of names. A name of no chain satisfies nothing, in `not in` sets either."""
    found = []
    for each in Named(chains).by_identity(policy).conditions:
        unproved = tuple(name for name in each.names if is_name(name))
        excludes = each.kind is ConditionKind.CHAINS and each.comparison is not Comparison.IN
        found.append(replace(each, comparison=Comparison.IN, names=unproved) if excludes and unproved else each)
    return replace(policy, conditions=tuple(found))
