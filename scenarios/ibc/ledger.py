"""What blocks say of the packets between chains, and what escrow accounts must hold because of it.

Invariant: it rests on the events of blocks, on nothing that a relayer says. All chains are read up to some height each;
which one does not matter for escrow, as what is in flight between two heights is counted as it is at these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nodes.ibc.chain.bank import balance_key, supply_key
from nodes.ibc.core.commitments import UNIVERSAL_ERROR
from nodes.ibc.core.denominations import Denomination
from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.transfer import PORT, escrow_account
from nodes.ibc.core.transfer_data import JSON, TransferData, parse_acknowledgement
from nodes.ibc.proto import channel, channel_v2
from nodes.ibc.relayer.calls import Block, Stored
from nodes.ibc.relayer.events import PacketSeen, read
from nodes.ibc.relayer.packets import End, Happened

Name = tuple[str, int]  # of a packet: its source's end and its sequence


@dataclass(slots=True)
class Fate:
    """How often each thing has happened to a packet, and what it carries."""

    sent: int = 0
    received: int = 0
    acknowledged: int = 0
    timed_out: int = 0
    failed: bool = False  # its acknowledgement is an error
    transfer: TransferData | None = None

    @property
    def settled(self) -> bool:
        return bool(self.acknowledged or self.timed_out)

    @property
    def credited(self) -> bool:
        """Its tokens are at the destination, or were sent on from there."""
        return bool(self.received) and not self.failed

    @property
    def refunded(self) -> bool:
        return bool(self.timed_out) or (bool(self.acknowledged) and self.failed)


@dataclass(frozen=True, slots=True)
class Holding:
    """A token at the end that it left through, as the chain there knows it: the escrow account must hold what there
    is of its voucher at the other end, and `in_flight`."""

    end: End
    other: End
    token: Denomination
    in_flight: int

    def amounts(self, heights: Mapping[str, int]) -> tuple[Stored, Stored]:
        """What to ask for what is held, and for what there is of its voucher."""
        account = balance_key(escrow_account(PORT, _hop(self.end)), self.token.local)
        supply = supply_key(self.token.through(PORT, _hop(self.other)).local)
        return (
            Stored(self.end.chain, account, heights[self.end.chain], "bank"),
            Stored(self.other.chain, supply, heights[self.other.chain], "bank"),
        )


class Ledger:
    """Packets of the paths between some chains."""

    def __init__(self, paths: Sequence[tuple[End, End]]) -> None:
        self.fates: defaultdict[Name, Fate] = defaultdict(Fate)
        self.heights: dict[str, int] = {end.chain: 0 for path in paths for end in path}  # read so far
        self._others = {end.name: other for a, b in paths for end, other in ((a, b), (b, a))}
        self._ends = {end.name: end for path in paths for end in path}
        self._sent_ns: list[int] = []
        self._settled_ns: list[int] = []

    def read(self, chain: str, block: Block) -> None:
        """Take note of the next block of a chain."""
        for seen in read(block):
            if isinstance(seen, PacketSeen):
                self._packet(chain, seen, block.time_ns)
        self.heights[chain] = block.height

    def _packet(self, chain: str, seen: PacketSeen, time_ns: int) -> None:
        at_source = seen.happened in (Happened.SEND, Happened.SETTLE)
        end = f"{chain}/{seen.source if at_source else seen.destination}"
        if end not in self._ends:
            return
        fate = self.fates[end if at_source else self._others[end].name, seen.sequence]
        if fate.transfer is None and seen.encoded:
            fate.transfer = _transfer(seen.encoded, self._ends[end].v2)
        match seen.happened:
            case Happened.SEND:
                fate.sent += 1
                self._sent_ns.append(time_ns)
            case Happened.RECEIVE:
                fate.received += 1
            case Happened.ANSWER:
                fate.failed = _is_error(seen.acknowledgement, self._ends[end].v2)
            case Happened.SETTLE:
                fate.timed_out += seen.timed_out
                fate.acknowledged += not seen.timed_out
                self._settled_ns.append(time_ns)

    @property
    def acknowledged(self) -> set[Name]:
        """The packets of which the source knows that they were received."""
        return {name for name, fate in self.fates.items() if fate.acknowledged}

    @property
    def pending(self) -> bool:
        """Whether a packet is on the way."""
        return any(not fate.settled for fate in self.fates.values())

    def figures(self, acknowledged: set[Name]) -> dict[str, int | float]:
        """Counts of packets. Of those `acknowledged`, which was taken before all chains were read again, each must
        have been received."""
        fates = self.fates.values()
        figures: dict[str, int | float] = {
            "sent": sum(fate.sent > 0 for fate in fates),
            "received": sum(fate.received > 0 for fate in fates),
            "acknowledged": sum(fate.acknowledged > 0 for fate in fates),
            "timed_out": sum(fate.timed_out > 0 for fate in fates),
            "failed": sum(fate.failed for fate in fates),
            "stuck": sum(not fate.settled for fate in fates),
            "lost": sum(not self.fates[name].received for name in acknowledged),
            "duplicated": sum(
                max(0, count - 1)
                for fate in fates
                for count in (fate.sent, fate.received, fate.acknowledged + fate.timed_out)
            ),
            "wrongly_refunded": sum(fate.credited and bool(fate.timed_out) for fate in fates),
        }
        if self._sent_ns and self._settled_ns:
            figures["sending_s"] = (max(self._sent_ns) - min(self._sent_ns)) / 1e9
            figures["busy_s"] = (max(self._settled_ns) - min(self._sent_ns)) / 1e9
        return figures

    def holdings(self) -> Iterator[Holding]:
        """Every token that has left through an end, with what is on the way at the heights that were read to."""
        flying: defaultdict[tuple[str, Denomination], int] = defaultdict(int)
        for (source, _), fate in self.fates.items():
            if fate.transfer is None:
                continue
            end, token = self._ends[source], fate.transfer.denomination
            if token.arrived_through(PORT, _hop(end)):  # a voucher on its way back
                end, token = self._others[source], token.back()
            on_the_way = fate.sent - fate.credited - fate.refunded
            flying[end.name, token] += fate.transfer.amount * on_the_way
        for (name, token), amount in flying.items():
            yield Holding(self._ends[name], self._others[name], token, amount)


def _hop(end: End) -> str:
    return end.channel or end.client


def _transfer(encoded: bytes, v2: bool) -> TransferData | None:
    """What a packet carries; None where that is no transfer."""
    try:
        if not v2:
            return TransferData.decode(channel.Packet.decode(encoded).data, JSON)
        (payload,) = channel_v2.Packet.decode(encoded).payloads
        return TransferData.decode(payload.value, payload.encoding)
    except (AbciError, ValueError):
        return None


def _is_error(acknowledgement: bytes, v2: bool) -> bool:
    if v2:
        return UNIVERSAL_ERROR in channel_v2.Acknowledgement.decode(acknowledgement).app_acknowledgements
    try:
        return parse_acknowledgement(acknowledgement)[0] is None
    except AbciError:
        return False
