"""The module `xname` of a chain: it registers names, and binds the chain's clients to chain identities.

Invariant: a record is written only with the signature of its owner, or of the owner until then, and with a seq one
above the last that the name ever had, so no record can be shown in the place of a later one.

A name is committed to first, as a hash, and revealed some blocks later: who sees it then is too late to take it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from nodes.ibc.chain.bank import Bank
from nodes.ibc.chain.keys import module_address
from nodes.ibc.core.events import event, module
from nodes.ibc.core.keepers import ClientKeeper
from nodes.ibc.core.router import Router
from nodes.ibc.core.state import Context, Store, write_number
from nodes.ibc.proto.wire import Message, delimited
from nodes.xroute import gas
from nodes.xroute.handlers import Handlers
from nodes.xroute.keys import is_signed
from nodes.xroute.names import errors, messages
from nodes.xroute.names.binding import bind
from nodes.xroute.names.labels import PREFIX, STORE, NotAName, ancestry, key_of, parent_of
from nodes.xroute.names.record import OPEN, Kind, Record, RecordError, read, sign_bytes

__all__ = ["ACCOUNT", "NamesModule", "Registry", "Terms", "commit_key", "commitment", "lease_key", "open_zone"]

ACCOUNT = module_address(STORE)  # it holds the deposits
_HASH_BYTES = 32
_NS = 10**9
_UNDER = {Kind.ZONE: (Kind.ZONE, Kind.CHAIN, Kind.ALIAS), Kind.CHAIN: (Kind.APP, Kind.ALIAS)}  # what may lie under what


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms names are registered."""

    wait_blocks: int = 2  # from the commitment to the reveal, at least …
    reveal_blocks: int = 600  # … and at most
    denom: str = "stake"
    deposit: int = 1000
    longest_s: int = 366 * 86_400  # from a version to the end of its term
    grace_s: int = 30 * 86_400  # after the end, in which only the owner may renew


@dataclass(frozen=True, slots=True)
class Registry:
    """Switches the module on (`nodes.ibc.chain.genesis.Extension`). A chain without zones binds clients alone."""

    zones: tuple[Record, ...] = ()  # names of one label: there will be no others
    terms: Terms = Terms()
    store: str = STORE
    accounts: frozenset[bytes] = frozenset({ACCOUNT})

    def module(self, router: Router, bank: Bank) -> NamesModule:
        return NamesModule(router.clients, bank, self.terms)

    def begin(self, context: Context) -> None:
        """Write the zones. RecordError where one is none."""
        for zone in self.zones:
            data = zone.encode()
            if read(data).kind is not Kind.ZONE or parent_of(zone.name) or zone.not_after_s:
                raise RecordError(f"{zone.name} in the genesis", "a zone of one label without an end")
            context.stores[self.store].set(key_of(zone.name), data)


def open_zone(name: str, owner: bytes, ttl_s: int = 60) -> Record:
    """A zone for a genesis, under which anybody may register."""
    return Record(name, Kind.ZONE, 1, ttl_s, owner, flags=OPEN)


def commitment(name: str, salt: bytes, owner: bytes) -> bytes:
    """What is committed to before a name is registered."""
    return sha256(b"xname-commit-1" + delimited(name.encode()) + delimited(salt) + owner).digest()


class NamesModule(Handlers):
    """The messages of `messages` on a chain."""

    def __init__(self, clients: ClientKeeper, bank: Bank, terms: Terms) -> None:
        super().__init__(
            {
                messages.MsgCommit: self._commit,
                messages.MsgReveal: self._reveal,
                messages.MsgUpdate: self._update,
                messages.MsgBindClient: self._bind,
            }
        )
        self._clients = clients
        self._bank = bank
        self._terms = terms

    def rehearse(self, context: Context, message: Message) -> Message | None:
        return None

    def redundant(self, done: Sequence[tuple[Message, Message]]) -> bool:
        return False

    def _commit(self, context: Context, message: messages.MsgCommit) -> Message:
        if len(message.commitment) != _HASH_BYTES:
            raise errors.INVALID_COMMITMENT.error(f"{len(message.commitment)} bytes; expected {_HASH_BYTES}")
        store, key = context.stores[STORE], commit_key(message.commitment)
        height = context.height.revision_height
        since = store.get(key)
        if since is not None and height <= int.from_bytes(since) + self._terms.reveal_blocks:
            raise errors.INVALID_COMMITMENT.error("committed to before")  # or anybody could make it young again
        write_number(store, key, height)
        context.emit(event("xname_commit", commitment=message.commitment.hex()), module(STORE))
        return messages.MsgCommitResponse()

    def _reveal(self, context: Context, message: messages.MsgReveal) -> Message:
        record, store = _read(message.record), context.stores[STORE]
        self._require_committed(context, commitment(record.name, message.salt, record.owner))
        parent = self._parent(context, record)
        signed = sign_bytes(context.chain_id, message.record)
        context.spend(2 * gas.SIGNATURE)
        if not parent.is_open and not is_signed(parent.owner, signed, message.parent_signature):
            raise errors.PARENT_REFUSES.error(f"{parent.name} is not open; expected its owner's signature, too")
        lease = _lease(store, record.name)
        held = _held(store, record.name)
        if held is not None and context.time_s < held.not_after_s + self._terms.grace_s:
            raise errors.NAME_TAKEN.error(f"{record.name} until {held.not_after_s + self._terms.grace_s} s")
        self._require_version(context, record, lease.seq)
        if record.is_revoked:
            raise errors.NAME_REVOKED.error("a first version that revokes")
        _require_owner(record.owner, signed, message.signature)
        self._give_back(context, lease)
        self._bank.send(context, self._bank.account(message.signer), ACCOUNT, self._terms.denom, self._terms.deposit)
        self._write(context, "register", record, message.record, message.signer, self._terms.deposit)
        return messages.MsgRevealResponse()

    def _update(self, context: Context, message: messages.MsgUpdate) -> Message:
        record, store = _read(message.record), context.stores[STORE]
        held = _held(store, record.name)
        if held is None or (held.not_after_s and context.time_s >= held.not_after_s + self._terms.grace_s):
            raise errors.NAME_NOT_FOUND.error(record.name)
        if held.is_revoked:
            raise errors.NAME_REVOKED.error(record.name)
        if record.kind is not held.kind:
            raise errors.INVALID_RECORD.error(f"{record.name} as {record.kind.name}; expected {held.kind.name}")
        self._require_version(context, record, held.seq)
        context.spend(gas.SIGNATURE)
        _require_owner(held.owner, sign_bytes(context.chain_id, message.record), message.signature)
        lease, action = _lease(store, record.name), "update"
        holder, deposit = lease.holder, lease.deposit
        if record.is_revoked:
            self._give_back(context, lease)
            action, deposit = "revoke", 0
        elif record.owner != held.owner:
            action = "transfer"
        self._write(context, action, record, message.record, holder, deposit)
        return messages.MsgUpdateResponse()

    def _bind(self, context: Context, message: messages.MsgBindClient) -> Message:
        found = bind(context, self._clients, message)
        context.emit(event("xname_bind", client_id=message.client_id, identity=found.hex()), module(STORE))
        return messages.MsgBindClientResponse(found)

    def _require_committed(self, context: Context, hashed: bytes) -> None:
        """AbciError unless it was committed to long enough ago, and not too long; then the commitment is used up."""
        store, key, height = context.stores[STORE], commit_key(hashed), context.height.revision_height
        raw = store.get(key)
        since = 0 if raw is None else int.from_bytes(raw)
        if raw is None or height > since + self._terms.reveal_blocks:
            raise errors.COMMITMENT_NOT_FOUND.error(f"{hashed.hex()}; expected one of the last blocks")
        if height < since + self._terms.wait_blocks:
            raise errors.REVEAL_TOO_EARLY.error(f"block {height}; expected {since + self._terms.wait_blocks}")
        store.delete(key)

    def _parent(self, context: Context, record: Record) -> Record:
        """The record of the name above. AbciError unless it, and all above it, may have such a name under it."""
        above = ancestry(record.name)[:-1]
        if not above:
            raise errors.PARENT_REFUSES.error(f"{record.name} is a zone of its own; expected one of the genesis")
        parent = [_living(context, name) for name in above][-1]
        if record.kind not in _UNDER.get(parent.kind, ()):
            raise errors.PARENT_REFUSES.error(f"{record.kind.name} under {parent.kind.name} {parent.name}")
        return parent

    def _require_version(self, context: Context, record: Record, last_seq: int) -> None:
        if record.seq != last_seq + 1:
            raise errors.WRONG_SEQ.error(f"seq {record.seq} of {record.name}; expected {last_seq + 1}")
        now_s, end_s = context.time_s, record.not_after_s
        if not parent_of(record.name):
            if end_s:
                raise errors.INVALID_TERM.error(f"a zone that ends at {end_s} s; expected 0, no end")
        elif not now_s < end_s <= now_s + self._terms.longest_s:
            raise errors.INVALID_TERM.error(f"{end_s} s; expected after {now_s}, by {now_s + self._terms.longest_s}")

    def _give_back(self, context: Context, lease: messages.Lease) -> None:
        if lease.deposit:
            self._bank.send(context, ACCOUNT, self._bank.account(lease.holder), self._terms.denom, lease.deposit)

    def _write(self, context: Context, action: str, record: Record, data: bytes, holder: str, deposit: int) -> None:
        store = context.stores[STORE]
        store.set(key_of(record.name), data)
        store.set(lease_key(record.name), messages.Lease(record.seq, holder, deposit).encode())
        attributes = {"name": record.name, "seq": record.seq, "owner": record.owner.hex(), "record_hex": data.hex()}
        context.emit(event("xname_record", action=action, **attributes), module(STORE))


def _read(data: bytes) -> Record:
    try:
        return read(data)
    except (RecordError, NotAName) as error:
        raise errors.INVALID_RECORD.error(str(error)) from None


def _held(store: Store, name: str) -> Record | None:
    """The record of a name, also one that has ended."""
    raw = store.get(key_of(name))
    return None if raw is None else Record.decode(raw)


def _living(context: Context, name: str) -> Record:
    """The record of a name under which others may be registered here. AbciError where there is none."""
    record = _held(context.stores[STORE], name)
    if record is None or record.is_revoked or 0 < record.not_after_s <= context.time_s:
        raise errors.PARENT_REFUSES.error(f"{name} is not registered")
    if record.kind is Kind.ZONE and record.delegate:
        raise errors.PARENT_REFUSES.error(f"{name} is kept by the registry of {record.delegate}")
    return record


def _lease(store: Store, name: str) -> messages.Lease:
    raw = store.get(lease_key(name))
    return messages.Lease() if raw is None else messages.Lease.decode(raw)


def lease_key(name: str) -> bytes:
    """Where a registry keeps the Lease of a name."""
    return f"{PREFIX}lease/".encode() + key_of(name).removeprefix(PREFIX.encode())


def commit_key(hashed: bytes) -> bytes:
    """Where a registry keeps the height of a commitment."""
    return f"{PREFIX}commit/{hashed.hex()}".encode()


def _require_owner(owner: bytes, signed: bytes, signature: bytes) -> None:
    if not is_signed(owner, signed, signature):
        raise errors.INVALID_SIGNATURE.error(f"not of the owner {owner.hex()}")
