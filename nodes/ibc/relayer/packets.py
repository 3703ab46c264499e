"""What a relayer knows of each packet, and what it has to do for it next.

Invariant: a packet's state changes only as STEPS says. It says what chains are known to hold, never what was tried, so
that a relayer that is killed knows after its start what is left to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from nodes.ibc.proto import channel, channel_v2
from nodes.ibc.proto.wire import Message, boolean, enum, message, octets, string, uint64


class State(IntEnum):
    """How far a packet is."""

    UNKNOWN = 0
    SENT = 1  # committed at the source: to be received
    RECEIVED = 2  # its answer is not written yet
    ANSWERED = 3  # acknowledgement written at the destination: to be acknowledged at the source
    EXPIRED = 4  # can no longer be received: to be timed out at the source
    SETTLED = 5  # acknowledged or timed out; nothing is left
    PARKED = 6  # cannot be relayed; `reason` says why, and `clear` or the end of its time takes it up again


class Happened(IntEnum):
    """What is seen of a packet."""

    SEND = 1
    RECEIVE = 2
    ANSWER = 3
    EXPIRE = 4
    SETTLE = 5
    PARK = 6


S, H = State, Happened
STEPS: dict[tuple[State, Happened], State] = {
    (S.UNKNOWN, H.SEND): S.SENT, (S.UNKNOWN, H.RECEIVE): S.RECEIVED, (S.UNKNOWN, H.ANSWER): S.ANSWERED,
    (S.UNKNOWN, H.SETTLE): S.SETTLED, (S.UNKNOWN, H.PARK): S.PARKED,
    (S.SENT, H.SEND): S.SENT, (S.SENT, H.RECEIVE): S.RECEIVED, (S.SENT, H.ANSWER): S.ANSWERED,
    (S.SENT, H.EXPIRE): S.EXPIRED, (S.SENT, H.SETTLE): S.SETTLED, (S.SENT, H.PARK): S.PARKED,
    (S.RECEIVED, H.SEND): S.RECEIVED, (S.RECEIVED, H.RECEIVE): S.RECEIVED, (S.RECEIVED, H.ANSWER): S.ANSWERED,
    (S.RECEIVED, H.SETTLE): S.SETTLED, (S.RECEIVED, H.PARK): S.PARKED,
    (S.ANSWERED, H.SEND): S.ANSWERED, (S.ANSWERED, H.RECEIVE): S.ANSWERED, (S.ANSWERED, H.ANSWER): S.ANSWERED,
    (S.ANSWERED, H.SETTLE): S.SETTLED, (S.ANSWERED, H.PARK): S.PARKED,
    (S.EXPIRED, H.SEND): S.EXPIRED, (S.EXPIRED, H.EXPIRE): S.EXPIRED, (S.EXPIRED, H.RECEIVE): S.RECEIVED,
    (S.EXPIRED, H.ANSWER): S.ANSWERED, (S.EXPIRED, H.SETTLE): S.SETTLED, (S.EXPIRED, H.PARK): S.PARKED,
    (S.PARKED, H.SEND): S.PARKED, (S.PARKED, H.RECEIVE): S.RECEIVED, (S.PARKED, H.ANSWER): S.ANSWERED,
    (S.PARKED, H.SETTLE): S.SETTLED, (S.PARKED, H.PARK): S.PARKED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class End:
    """One end of a way for packets: a client (v2), or a channel end over a client (v1)."""

    chain: str
    client: str
    port: str = ""
    channel: str = ""
    connection: str = ""

    @property
    def name(self) -> str:
        """How packets name it: "a/07-tendermint-0" or "a/transfer/channel-0"."""
        return f"{self.chain}/{self.port}/{self.channel}" if self.channel else f"{self.chain}/{self.client}"

    @property
    def v2(self) -> bool:
        return not self.channel


@message("skyloom.relayer.Packet")
class Packet(Message):
    """A packet as it is kept. `source` and `destination` are names of ends.

    `height` is of the block that made the state so, on the chain that can prove it: the source for SENT, the
    destination for ANSWERED and EXPIRED.
    """

    state: State = enum(1, State)
    source: str = string(2)
    destination: str = string(3)
    sequence: int = uint64(4)
    encoded: bytes = octets(5)
    acknowledgement: bytes = octets(6)
    height: int = uint64(7)
    timeout_ns: int = uint64(8)  # 0: none
    timeout_height: int = uint64(9)  # 0: none
    attempts: int = uint64(10)
    reason: str = string(11)
    ordered: bool = boolean(12)
    closed: bool = boolean(13)  # EXPIRED as the destination's channel end is closed
    resume: State = enum(14, State)  # what it was before it was parked
    sent_ns: int = uint64(15)  # time of the block that it was sent in
    seen_ns: int = uint64(16)  # when the relayer saw what made the state so

    @property
    def name(self) -> str:
        """The source's end and the sequence: "a/07-tendermint-0/7"."""
        return f"{self.source}/{self.sequence}"

    def v1(self) -> channel.Packet:
        return channel.Packet.decode(self.encoded)

    def v2(self) -> channel_v2.Packet:
        return channel_v2.Packet.decode(self.encoded)

    def expired(self, height: int, time_ns: int, v2: bool) -> bool:
        """Whether a block of the destination with this height and time can no longer receive it."""
        if v2:
            return time_ns // _NS >= self.timeout_ns // _NS
        return 0 < self.timeout_ns <= time_ns or 0 < self.timeout_height <= height


_NS = 10**9
