"""What is done on registries, as procedures of `nodes.ibc.relayer`: owners register records, relayers prove names.

Invariant: a record is written only if the registry holds another one, so a procedure that was cut off is begun again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from nodes.ibc.core.keepers import Delay, Path
from nodes.ibc.core.state import Context
from nodes.ibc.proto.ibc import Height
from nodes.ibc.relayer.calls import Flow, Stored, Wait
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.opening import Side, sent
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.keys import Key
from nodes.xroute.names.cache import Cache
from nodes.xroute.names.evidence import NameProof
from nodes.xroute.names.labels import STORE, key_of
from nodes.xroute.names.messages import Lease, MsgCommit, MsgReveal, MsgUpdate
from nodes.xroute.names.record import Record, sign_bytes
from nodes.xroute.names.registry import Terms, commit_key, commitment, lease_key
from nodes.xroute.names.resolver import Outcome, RegistryChain, Resolution, Resolver

__all__ = ["known", "prove", "register", "trusting_resolver"]

_NS = 10**9


def register(registry: Side, record: Record, term_s: int, key: Key, above: Key, terms: Terms) -> Flow[None]:
    """Let a registry hold a record for a term. `seq`, `owner` and the term's end are put in; `above` is the key of the
    owner of the name above, in case that name is not open. Blocked where the registry refuses, Unanswered where it is
    not known what became of it."""
    held, lease = yield from _held(registry, record.name)
    now_s = registry.followed.time_ns // _NS
    record = replace(record, owner=key.public, seq=lease.seq + 1, not_after_s=now_s + term_s)
    if held is not None and held.not_after_s > now_s and held.owner == key.public:
        if replace(record, seq=held.seq, not_after_s=held.not_after_s) == held:
            return
        message = MsgUpdate(record.encode(), _signature(registry, record, key), "")
        yield from sent(registry.signer, [message], registry.signer.first)
        return
    salt = sha256(key.sign(record.name.encode())).digest()  # nobody else can guess it, and it need not be kept
    hashed = commitment(record.name, salt, key.public)
    if not (yield from _stored(registry, commit_key(hashed))):
        yield from sent(registry.signer, [MsgCommit(hashed, "")], registry.signer.first)
    ready = registry.followed.height + terms.wait_blocks
    yield Wait(lambda: registry.followed.height >= ready)
    signature, consent = (_signature(registry, record, each) for each in (key, above))
    yield from sent(registry.signer, [MsgReveal(record.encode(), salt, signature, consent, "")], registry.signer.first)


def trusting_resolver(
    roots: Mapping[str, RegistryChain], bound: Mapping[ChainIdentity, str], most_age_ns: int
) -> Resolver:
    """For `prove` and `known`: it trusts the nodes that are asked, and has a cache of its own. `roots` are by zone,
    `bound` as for any Resolver."""
    return Resolver(_OwnNodes(), {zone: (root,) for zone, root in roots.items()}, bound, Cache(), most_age_ns)


def known(resolver: Resolver, name: str, now_ns: int) -> Outcome | None:
    """What a name stands for, as far as that was proved no longer ago than allowed; None where it is to be asked.
    Refused where it cannot be resolved."""
    return Resolution(resolver, name, _at(now_ns)).outcome


def prove(
    resolver: Resolver, name: str, clock: Clock, hosts: Mapping[ChainIdentity, tuple[str, Height]]
) -> Flow[Outcome]:
    """Let registries prove what a name stands for, or that it stands for nothing, where that is not known still.

    `hosts` are registries that can be asked: the name of each in calls, and the height of the header that proofs shall
    verify against. Refused where the name cannot be resolved by these.
    """
    resolution = Resolution(resolver, name, _at(clock.now_ns))
    while resolution.ask is not None:
        host, height = hosts[resolution.ask.registry.identity]
        (found,) = yield (Stored(host, resolution.ask.key, height.revision_height - 1, STORE),)
        resolution.answer(_at(clock.now_ns), NameProof(resolution.ask.name, height, found.value, found.proof))
    assert resolution.outcome is not None
    return resolution.outcome


def _at(now_ns: int) -> Context:
    return Context("", Height(), now_ns, {})


class _OwnNodes:
    """A relayer asks nodes that it trusts; the chain that it brings the proofs to verifies them."""

    def timestamp_ns(self, context: Context, client: str, height: Height) -> int:
        return context.time_ns

    def verify_membership(
        self, context: Context, client: str, height: Height, delay: Delay, proof: bytes, path: Path, value: bytes
    ) -> None:
        return

    def verify_non_membership(
        self, context: Context, client: str, height: Height, delay: Delay, proof: bytes, path: Path
    ) -> None:
        return


def _held(registry: Side, name: str) -> Flow[tuple[Record | None, Lease]]:
    record = yield from _stored(registry, key_of(name))
    lease = yield from _stored(registry, lease_key(name))
    return Record.decode(record) if record else None, Lease.decode(lease)


def _stored(registry: Side, key: bytes) -> Flow[bytes]:
    """What the registry holds under a key, once all its blocks are read: an older state may say something else."""
    yield Wait(lambda: registry.followed.caught_up)
    (found,) = yield (Stored(registry.chain, key, registry.followed.height, STORE),)
    return bytes(found.value)


def _signature(registry: Side, record: Record, key: Key) -> bytes:
    return key.sign(sign_bytes(registry.followed.chain_id, record.encode()))
