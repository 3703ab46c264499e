"""From a name to its record: which registry is asked for what, and what follows from the answers.

Invariant: every step of an outcome was proved by a light client of the registry that was asked, and the registry is one
of the roots, or was found from a root by steps that were proved. No sockets: `Resolution.ask` is what to ask next, and
`answer` takes what came.

A registry is asked for a name's zone first, then for each name on the way down. It answers for nothing below a zone
that it delegates, nor below a name that is not there.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from nodes.ibc.core.state import Context
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.names.cache import Cache
from nodes.xroute.names.evidence import NameProof, Proven, Reason, Refused, Witness, proven
from nodes.xroute.names.labels import ancestry, checked_name, key_of
from nodes.xroute.names.record import Kind, Record, identity_of, meaning

__all__ = ["MOST_STEPS", "Ask", "Denial", "Outcome", "RegistryChain", "Resolution", "Resolver"]

MOST_STEPS = 8  # questions about one name to one root registry and those that it leads to, answered from the cache too
_NS = 10**9


@dataclass(frozen=True, slots=True)
class RegistryChain:
    """A registry, and the light client that judges what it says."""

    identity: ChainIdentity
    client: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A question: the value of a key in the registry's store `xname`, or its absence, with the proof.

    A proof of the state after block h verifies against the header of h + 1, which the client must know.
    """

    registry: RegistryChain
    name: str
    key: bytes


class Denial(Enum):
    """Why a name stands for nothing."""

    ABSENT = "not registered"
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNDER_ALIAS = "under an alias"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a registry says of a name: a record, or that the name stands for nothing."""

    registry: ChainIdentity  # that holds the record, or denies it
    record: Record | None
    denial: Denial | None
    proofs: tuple[NameProof, ...]  # of all steps, in order
    dissenters: tuple[ChainIdentity, ...] = ()  # registries of the zone that say something else


@dataclass(frozen=True, slots=True)
class Resolver:
    """How names are resolved."""

    clients: Witness
    roots: Mapping[str, tuple[RegistryChain, ...]]  # by zone; the first that answers is believed
    bound: Mapping[ChainIdentity, str]  # clients of registries that zones are delegated to
    cache: Cache
    most_age_ns: int  # of a registry's state, whatever the TTL
    agree: bool = False  # whether all registries of a zone must answer, and alike


_Steps = Generator[Ask, NameProof | None, Outcome]
_Trail = tuple[tuple[ChainIdentity, str], ...]


class Resolution:
    """One name on its way. `context` is always what is known now: time, and the state of light clients.

    `ask` is the next question; None once `outcome` is there. Refused is raised, by the constructor, `answer` and
    `unanswered`, where it ends without one. `refused` has what was wrong with registries that were passed over.
    """

    def __init__(self, resolver: Resolver, name: str, context: Context) -> None:
        self.outcome: Outcome | None = None
        self.ask: Ask | None = None
        self.refused: list[tuple[ChainIdentity, Refused]] = []
        self._resolver = resolver
        self._context = context
        self._left = MOST_STEPS
        self._steps = self._all(checked_name(name))
        self._advance(None)

    def answer(self, context: Context, answer: NameProof) -> None:
        """The answer to `ask`."""
        self._context = context
        self._advance(answer)

    def unanswered(self, context: Context) -> None:
        """No answer to `ask` will come."""
        self._context = context
        self._advance(None)

    def _advance(self, answer: NameProof | None) -> None:
        self.ask = None
        try:
            self.ask = self._steps.send(answer)
        except StopIteration as stop:
            self.outcome = stop.value

    def _all(self, name: str) -> _Steps:
        """Ask all registries of the zone, in order."""
        found: list[Outcome] = []
        for registry in self._roots(name):
            self._left = MOST_STEPS
            try:
                found.append((yield from self._walk(name, registry, ())))
            except Refused as refused:
                self.refused.append((registry.identity, refused))
                if self._resolver.agree:
                    raise
        if not found:
            raise self.refused[0][1]
        first = found[0]
        dissenters = tuple(each.registry for each in found[1:] if not _alike(first, each))
        if dissenters and self._resolver.agree:
            others = ", ".join(each.hex() for each in dissenters)
            raise Refused(Reason.DISAGREEMENT, f"{name}: another record at {others}", f"that of {first.registry.hex()}")
        return replace(first, dissenters=dissenters)

    def _roots(self, name: str) -> tuple[RegistryChain, ...]:
        zone = ancestry(name)[0]
        found = self._resolver.roots.get(zone, ())
        if not found:
            raise Refused(Reason.NO_REGISTRY, f"zone {zone}", f"one of {', '.join(sorted(self._resolver.roots))}")
        return found

    def _walk(self, name: str, registry: RegistryChain, trail: _Trail) -> _Steps:
        """Resolve a name from one registry on. `trail` has the names that wait for this one."""
        if (registry.identity, name) in trail:
            raise Refused(Reason.LOOP, f"{name}, for which {name} is needed", "names that do not lead to each other")
        trail = (*trail, (registry.identity, name))
        proofs: tuple[NameProof, ...] = ()
        absent_ttl_ns = self._resolver.most_age_ns
        for each in ancestry(name):
            step = yield from self._look_up(registry, each, absent_ttl_ns)
            proofs = (*proofs, step.proof)
            record, denial = step.record, self._denial(step.record, is_last=each == name)
            if record is None or denial is not None:
                return Outcome(registry.identity, None, denial, proofs)
            absent_ttl_ns = record.ttl_s * _NS
            if record.kind is Kind.ALIAS:
                target = yield from self._walk(record.delegate, self._roots(record.delegate)[0], trail)
                return replace(target, proofs=(*proofs, *target.proofs))
            if record.kind is Kind.ZONE and record.delegate and each != name:
                chain = yield from self._walk(record.delegate, self._roots(record.delegate)[0], trail)
                proofs = (*proofs, *chain.proofs)
                registry = self._registry(each, record.delegate, chain.record)
        return Outcome(registry.identity, record, None, proofs)

    def _denial(self, record: Record | None, *, is_last: bool) -> Denial | None:
        if record is None:
            return Denial.ABSENT
        if record.is_revoked:
            return Denial.REVOKED
        if 0 < record.not_after_s <= self._context.time_s:
            return Denial.EXPIRED
        return Denial.UNDER_ALIAS if record.kind is Kind.ALIAS and not is_last else None

    def _registry(self, zone: str, name: str, chain: Record | None) -> RegistryChain:
        """The registry of a zone that is delegated to the chain of a name."""
        if chain is None or chain.kind is not Kind.CHAIN:
            raise Refused(Reason.BAD_DELEGATION, f"{zone} is kept by {name}, which is no chain", "a chain")
        client = self._resolver.bound.get(identity_of(chain))
        if client is None:
            raise Refused(
                Reason.NO_REGISTRY, f"{zone} is kept by {name}, of which there is no client", "a bound client"
            )
        return RegistryChain(identity_of(chain), client)

    def _look_up(
        self, registry: RegistryChain, name: str, absent_ttl_ns: int
    ) -> Generator[Ask, NameProof | None, Proven]:
        if not self._left:
            raise Refused(Reason.TOO_MANY_STEPS, f"step {MOST_STEPS + 1} for {name}", f"at most {MOST_STEPS}")
        self._left -= 1
        resolver = self._resolver
        known = resolver.cache.fresh(registry.identity, name, self._context.time_ns, resolver.most_age_ns)
        if known is not None:
            return known
        answer = yield Ask(registry, name, key_of(name))
        if answer is None:
            raise Refused(Reason.UNANSWERED, f"nothing about {name} from {registry.identity.hex()}", "an answer")
        step = proven(
            self._context, resolver.clients, registry.client, name, answer, resolver.most_age_ns, absent_ttl_ns
        )
        resolver.cache.add(registry.identity, step)
        return step


def _alike(one: Outcome, other: Outcome) -> bool:
    """Whether two registries say the same of a name."""
    if one.record is None or other.record is None:
        return one.record is other.record
    return meaning(one.record) == meaning(other.record)
