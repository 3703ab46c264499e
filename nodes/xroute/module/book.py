"""What the module keeps in its own store: escrows, stakes, announcements, routes that have delivered.

Invariant: each record is a canonical message under one key; nothing here is proved to other chains. What is of use for
some time alone has an end, and is dropped after it: a bounded number in each block, the earliest ends first. What
proofs brought once, and need not bring again, is kept for a day.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

from nodes.ibc.core.packets_v2 import LONGEST_TIMEOUT_S
from nodes.ibc.core.state import Context, Store
from nodes.ibc.proto.channel_v2 import Packet
from nodes.ibc.proto.wire import Message, message, nested, octets, optional, repeated, uint64
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.module.messages import Certificate, Fee
from nodes.xroute.proofs.parcel import Parcel
from nodes.xroute.proofs.paths import STORE
from nodes.xroute.proofs.paths import power as power_key
from nodes.xroute.proofs.verify import Verified

M = TypeVar("M", bound=Message)
UNRANKED = b"unranked/"
SUPPLIED_S = 86_400  # that policies and what follows from validators are kept
_ENDS = b"ends/"


@message("skyloom.xroute.v1.Escrow")
class Escrow(Message):
    """The fee of a message on its source chain."""

    payer: bytes = octets(1)  # account
    fee: Fee = nested(2, Fee)
    sent_ns: int = uint64(3)
    ranked: tuple[bytes, ...] = repeated(4, bytes)  # accounts that may deliver in the first windows, one each


@message("skyloom.xroute.v1.Stake")
class Stake(Message):
    """A relayer's bond."""

    account: bytes = octets(1)
    key: bytes = octets(2)
    amount: int = uint64(3)
    leaves_ns: int = uint64(4)  # when it may be paid out; 0: the relayer stays


@message("skyloom.xroute.v1.Announcement")
class Announcement(Message):
    """A message that a quorum stands for, until the time for contradiction is over."""

    packet: Packet = nested(1, Packet)
    certificate: Certificate = nested(2, Certificate)
    payee: bytes = octets(3)
    due_ns: int = uint64(4)


@message("skyloom.xroute.v1.RouteUsed")
class RouteUsed(Message):
    """A route by which a message came."""

    route_id: bytes = octets(1)
    transits: tuple[bytes, ...] = repeated(2, bytes)


@message("skyloom.xroute.v1.RoutesUsed")
class RoutesUsed(Message):
    """All routes by which a message came: as many as its policy demands, without a common transit."""

    routes: tuple[RouteUsed, ...] = repeated(1, RouteUsed)


@message("skyloom.xroute.v1.Sent")
class Sent(Message):
    """The message of a sequence, for as long as it is not settled: its policy, and its fee where there is one."""

    message_id: bytes = octets(1)
    policy: bytes = octets(2)
    escrow: Escrow | None = optional(3, Escrow)


def store_of(context: Context) -> Store:
    return context.stores[STORE]


def read(context: Context, key: bytes, kind: type[M]) -> M | None:
    raw = store_of(context).get(key)
    return None if raw is None else kind.decode(raw)


def write(context: Context, key: bytes, record: Message) -> None:
    store_of(context).set(key, record.encode())


def delete(context: Context, key: bytes) -> None:
    store_of(context).delete(key)


def arrival_end_s(context: Context, parcel: Parcel) -> int:
    """When a message can no longer arrive, whatever timeout somebody has made up: none has longer on its way."""
    return min(parcel.packet.timeout_timestamp, context.time_s + LONGEST_TIMEOUT_S)


def write_until(context: Context, key: bytes, record: Message, end_s: int) -> None:
    """Write a record that `drop_ended` drops once the chain's clock has reached its end."""
    write(context, key, record)
    _end(context, key, end_s)


def supply(context: Context, key: bytes, value: bytes) -> None:
    """Keep what somebody brought, so that others need not bring it, for `SUPPLIED_S`."""
    if store_of(context).get(key) is None:
        store_of(context).set(key, value)
        _end(context, key, context.time_s + SUPPLIED_S)


def _end(context: Context, key: bytes, end_s: int) -> None:
    store_of(context).set(_ENDS + end_s.to_bytes(8) + key, b"\x01")


def drop_ended(context: Context, most: int) -> None:
    """Drop at most `most` records whose time is over."""
    store = store_of(context)
    for key, _ in list(islice(store.iterate(_ENDS), most)):
        end_s, record = key[len(_ENDS) : len(_ENDS) + 8], key[len(_ENDS) + 8 :]
        if context.time_s < int.from_bytes(end_s):
            return
        store.delete(record)
        store.delete(key)


def keep_powers(context: Context, verified: Verified) -> None:
    """Keep what follows from validator sets that a proof brought, so that their hashes are enough for a while."""
    for validators_hash, power in verified.powers:
        supply(context, power_key(validators_hash), power.encode())


def sent(sequence: int) -> bytes:
    return b"sent/" + sequence.to_bytes(8)


def unranked(sequence: int) -> bytes:
    """A message whose relayers are ranked in the next block, or in one soon after it."""
    return UNRANKED + sequence.to_bytes(8)


def announcement(message_id: bytes) -> bytes:
    return b"announced/" + message_id


def reached(source: ChainIdentity) -> bytes:
    """That a route has led to a chain lately."""
    return b"reached/" + source


def routes(message_id: bytes) -> bytes:
    return b"routes/" + message_id


_STAKES, _LEAVING = b"stake/", b"leaving/"


def _staker(key: bytes) -> bytes:
    """The account of a relayer, by its key."""
    return b"staker/" + key


def stake_of(context: Context, account: bytes) -> Stake | None:
    """The stake of an account, also one that waits to leave."""
    return read(context, _STAKES + account, Stake) or read(context, _LEAVING + account, Stake)


def stake_behind(context: Context, key: bytes) -> Stake | None:
    """The stake behind a relayer's key, also one that waits to leave."""
    account = store_of(context).get(_staker(key))
    return None if account is None else stake_of(context, account)


def write_stake(context: Context, held: Stake) -> None:
    delete_stake(context, held)
    write(context, (_LEAVING if held.leaves_ns else _STAKES) + held.account, held)
    store_of(context).set(_staker(held.key), held.account)


def delete_stake(context: Context, held: Stake) -> None:
    for key in (_STAKES + held.account, _LEAVING + held.account, _staker(held.key)):
        delete(context, key)


def stakes(context: Context) -> Iterator[Stake]:
    """All stakes that count, in the order of their accounts: none that waits to leave."""
    for _, raw in store_of(context).iterate(_STAKES):
        yield Stake.decode(raw)
