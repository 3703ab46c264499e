"""State machines as tables: what may happen in each state, and the state after it.

Anything that is not in a table is an error that names role, state and event. Handlers look a step up here before
they change anything.
Source: ICS-3, ICS-4 (v1 and v2), packet-forward-middleware of ibc-go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from nodes.ibc.core.errors import (
    ACKNOWLEDGEMENT_EXISTS,
    INVALID_CHANNEL_STATE,
    INVALID_CONNECTION_STATE,
    INVALID_PACKET,
    PACKET_OUT_OF_ORDER,
    AbciError,
    ErrorKind,
)


class End(Enum):
    """State of a connection end or a channel end; values are those of the wire."""

    UNINITIALIZED = 0
    INIT = 1
    TRYOPEN = 2
    OPEN = 3
    CLOSED = 4


class Handshake(Enum):
    OPEN_INIT = "open init"
    OPEN_TRY = "open try"
    OPEN_ACK = "open ack"
    OPEN_CONFIRM = "open confirm"
    CLOSE_INIT = "close init"
    CLOSE_CONFIRM = "close confirm"
    ORDERED_TIMEOUT = "ordered timeout"


class Sent(Enum):
    """State of a packet at its source."""

    UNSENT = "unsent"
    COMMITTED = "committed"
    SETTLED = "settled"


class SentEvent(Enum):
    SEND = "send"
    ACKNOWLEDGE = "acknowledge"
    TIMEOUT = "timeout"
    TIMEOUT_ON_CLOSE = "timeout on close"


class Received(Enum):
    """State of a packet at its destination. EARLY: an ordered channel expects an earlier one."""

    EARLY = "early"
    UNRECEIVED = "unreceived"
    RECEIVED = "received"
    ANSWERED = "answered"


class ReceivedEvent(Enum):
    RECEIVE = "receive"
    WRITE_ACKNOWLEDGEMENT = "write acknowledgement"


class Forward(Enum):
    """State of a packet that this chain forwards: its acknowledgement is held back while another packet is out."""

    UNSEEN = "unseen"
    IN_FLIGHT = "in flight"
    ANSWERED = "answered"


class ForwardEvent(Enum):
    FORWARD = "forward"
    SUCCEED = "succeed"
    FAIL = "fail"
    RETRY = "retry"
    GIVE_UP = "give up"


State = TypeVar("State", bound=Enum)
Occurrence = TypeVar("Occurrence", bound=Enum)


@dataclass(frozen=True)
class Machine(Generic[State, Occurrence]):
    """A role, its table, and the registered errors of pairs that are not in it (`default` for all others)."""

    role: str
    table: Mapping[tuple[State, Occurrence], State]
    default: ErrorKind
    errors: Mapping[tuple[State, Occurrence], ErrorKind]

    def step(self, name: str, state: State, event: Occurrence) -> State:
        """The state after an event. Raises where the table has none."""
        after = self.table.get((state, event))
        if after is None:
            raise self.refusal(name, state, event)
        return after

    def refusal(self, name: str, state: State, event: Occurrence) -> AbciError:
        allowed = sorted(before.name for before, occurrence in self.table if occurrence is event)
        return self.errors.get((state, event), self.default).error(
            f"{self.role} {name}: no {event.value!r} in state {state.name}; expected {' or '.join(allowed)}"
        )


CONNECTION = Machine(
    "connection",
    {
        (End.UNINITIALIZED, Handshake.OPEN_INIT): End.INIT,
        (End.UNINITIALIZED, Handshake.OPEN_TRY): End.TRYOPEN,
        (End.INIT, Handshake.OPEN_ACK): End.OPEN,
        (End.TRYOPEN, Handshake.OPEN_CONFIRM): End.OPEN,
    },
    INVALID_CONNECTION_STATE,
    {},
)

CHANNEL = Machine(
    "channel",
    {
        (End.UNINITIALIZED, Handshake.OPEN_INIT): End.INIT,
        (End.UNINITIALIZED, Handshake.OPEN_TRY): End.TRYOPEN,
        (End.INIT, Handshake.OPEN_ACK): End.OPEN,
        (End.TRYOPEN, Handshake.OPEN_CONFIRM): End.OPEN,
        (End.INIT, Handshake.CLOSE_INIT): End.CLOSED,
        (End.TRYOPEN, Handshake.CLOSE_INIT): End.CLOSED,
        (End.OPEN, Handshake.CLOSE_INIT): End.CLOSED,
        (End.INIT, Handshake.CLOSE_CONFIRM): End.CLOSED,
        (End.TRYOPEN, Handshake.CLOSE_CONFIRM): End.CLOSED,
        (End.OPEN, Handshake.CLOSE_CONFIRM): End.CLOSED,
        (End.OPEN, Handshake.ORDERED_TIMEOUT): End.CLOSED,
        (End.CLOSED, Handshake.ORDERED_TIMEOUT): End.CLOSED,  # all packets of a closed channel time out, one by one
    },
    INVALID_CHANNEL_STATE,
    {},
)

SENT = Machine(
    "packet at its source",
    {
        (Sent.UNSENT, SentEvent.SEND): Sent.COMMITTED,
        (Sent.COMMITTED, SentEvent.ACKNOWLEDGE): Sent.SETTLED,
        (Sent.COMMITTED, SentEvent.TIMEOUT): Sent.SETTLED,
        (Sent.COMMITTED, SentEvent.TIMEOUT_ON_CLOSE): Sent.SETTLED,
        # A relayer lost a race: nothing changes, and its transaction does not fail. ibc-go, which sees only that there
        # is no commitment, treats a packet that was never sent alike.
        (Sent.SETTLED, SentEvent.ACKNOWLEDGE): Sent.SETTLED,
        (Sent.SETTLED, SentEvent.TIMEOUT): Sent.SETTLED,
        (Sent.SETTLED, SentEvent.TIMEOUT_ON_CLOSE): Sent.SETTLED,
        (Sent.UNSENT, SentEvent.ACKNOWLEDGE): Sent.UNSENT,
        (Sent.UNSENT, SentEvent.TIMEOUT): Sent.UNSENT,
        (Sent.UNSENT, SentEvent.TIMEOUT_ON_CLOSE): Sent.UNSENT,
    },
    INVALID_PACKET,
    {},
)

RECEIVED = Machine(
    "packet at its destination",
    {
        (Received.UNRECEIVED, ReceivedEvent.RECEIVE): Received.RECEIVED,
        (Received.RECEIVED, ReceivedEvent.WRITE_ACKNOWLEDGEMENT): Received.ANSWERED,
        # A relayer lost a race, as above.
        (Received.RECEIVED, ReceivedEvent.RECEIVE): Received.RECEIVED,
        (Received.ANSWERED, ReceivedEvent.RECEIVE): Received.ANSWERED,
    },
    INVALID_PACKET,
    {
        (Received.EARLY, ReceivedEvent.RECEIVE): PACKET_OUT_OF_ORDER,
        (Received.ANSWERED, ReceivedEvent.WRITE_ACKNOWLEDGEMENT): ACKNOWLEDGEMENT_EXISTS,
    },
)

FORWARD = Machine(
    "forwarded packet",
    {
        (Forward.UNSEEN, ForwardEvent.FORWARD): Forward.IN_FLIGHT,
        (Forward.IN_FLIGHT, ForwardEvent.RETRY): Forward.IN_FLIGHT,
        (Forward.IN_FLIGHT, ForwardEvent.SUCCEED): Forward.ANSWERED,
        (Forward.IN_FLIGHT, ForwardEvent.FAIL): Forward.ANSWERED,
        (Forward.IN_FLIGHT, ForwardEvent.GIVE_UP): Forward.ANSWERED,
    },
    INVALID_PACKET,
    {},
)
