"""What a relayer tells of itself, and takes orders by: what USAGE names.

Invariant: a question changes nothing; an order that names what does not exist is refused in words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from nodes.ibc.relayer.core import Relayer
from nodes.ibc.relayer.packets import Packet, State

USAGE = (
    "status | pending | why PACKET (as pending lists it) | clear PATH (as status lists it) | recover CLIENT (likewise)"
)
_MOST_ROWS = 200


def reply(relayer: Relayer, line: bytes) -> tuple[bool, str]:
    """The answer to an order as the control socket has it: a JSON list of words."""
    try:
        words = json.loads(line)
    except (ValueError, RecursionError) as error:
        return False, f"an order that cannot be read: {error}"
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return False, "an order that is no list of words"
    return answer(relayer, words)


def answer(relayer: Relayer, words: Sequence[str]) -> tuple[bool, str]:
    """Whether it was understood, and the text."""
    match list(words):
        case ["status"]:
            return True, "\n".join(_status(relayer))
        case ["pending"]:
            return True, "\n".join(_pending(relayer)) or "no packet is pending"
        case ["why", name]:
            return _why(relayer, name)
        case ["clear", path]:
            if relayer.clear(path):
                return True, f"{path} is compared with its chains; parked packets are taken up again"
            known = ", ".join(relayer.opened) or "those that are open: none yet"
            return False, f"path {path!r}; expected one of {known}"
        case ["recover", client]:
            if relayer.recover(client):
                return (
                    True,
                    f"a new client is made, whose state {client} is given; the event `recover` says what became of it",
                )
            known = ", ".join("/".join(name) for name in relayer.clients) or "those of open paths: none yet"
            return False, f"client {client!r}; expected one of {known}"
    return False, f"{' '.join(words)!r}; expected {USAGE}"


def _status(relayer: Relayer) -> Iterator[str]:
    for chain in relayer.chains.values():
        state = "read" if chain.reached else f"out of reach ({chain.reason}), read"
        yield f"chain   {chain.chain}  {state} to height {chain.height}"
    for name, reason in relayer.waiting_for.items():
        yield f"path    {name}  not open: {reason}"
    for name, opened in relayer.opened.items():
        ends = " and ".join(end.name for end in opened.ends)
        closed = " and ".join(end.name for end in opened.ends if end.name in relayer.book.closed)
        yield f"path    {name}  {ends}, cleared {opened.cleared} times" + (f", closed: {closed}" if closed else "")
        for lane in opened.lanes:
            if lane.blocked:
                yield f"        {lane.source.name} to {lane.target.name} waits: {lane.blocked}"
    for client in relayer.clients.values():
        age_s = (relayer.clock.now_ns - client.newest_ns) / 1e9
        yield (
            f"client  {client.host}/{client.name}  of {client.chain_id} at height {client.latest}, {age_s:.0f} s old, "
            f"trusted for {client.trusting_ns / 1e9:.0f} s"
        )
    counts = [sum(packet.state is state for packet in relayer.book.packets.values()) for state in State]
    named = zip(State, counts, strict=True)
    yield "packets " + ", ".join(f"{count} {state.name.lower()}" for state, count in named if state in _SHOWN)


_SHOWN = (State.SENT, State.RECEIVED, State.ANSWERED, State.EXPIRED, State.PARKED)


def _pending(relayer: Relayer) -> Iterator[str]:
    packets = list(relayer.book.packets.values())
    for packet in packets[:_MOST_ROWS]:
        yield f"{packet.name}  {packet.state.name.lower()}" + (f": {packet.reason}" if packet.reason else "")
    if len(packets) > _MOST_ROWS:
        yield f"and {len(packets) - _MOST_ROWS} more"


def _why(relayer: Relayer, name: str) -> tuple[bool, str]:
    packet = relayer.book.packets.get(name)
    if packet is not None:
        return True, f"{name} {_explained(relayer, packet)}"
    if relayer.book.is_settled(name):
        return True, f"{name} is settled: acknowledged or timed out at its source"
    end, _, sequence = name.rpartition("/")
    if end in relayer.ends and sequence.isdecimal():
        return True, f"{name} is not on the way: it is settled, or has not been sent"
    return False, f"packet {name!r}; expected one of a path of this relayer, such as a-0/07-tendermint-0/1"


def _explained(relayer: Relayer, packet: Packet) -> str:
    match packet.state:
        case State.SENT if packet.source in relayer.book.closed:
            return "was sent before its end of the channel was closed; it times out once the other end is closed, too"
        case State.SENT:
            words, source = f"was sent at height {packet.height} and is to be received", packet.source
        case State.RECEIVED:
            return f"was received; {packet.destination.partition('/')[0]} has not written its acknowledgement yet"
        case State.ANSWERED:
            words, source = f"was acknowledged at height {packet.height}; its source is to be told", packet.destination
        case State.EXPIRED:
            why = "the channel is closed" if packet.closed else "its time is over"
            words, source = f"cannot be received, as {why}; its source is to be told", packet.destination
        case _:
            return f"is parked: {packet.reason}"
    chain = relayer.chains.get(source.partition("/")[0])
    if chain is not None and chain.height <= packet.height:
        words += f"; {chain.chain} must make block {packet.height + 1} first, which commits to it"
    for opened in relayer.opened.values():
        for lane in opened.lanes:
            if lane.source.name == source and lane.blocked:
                words += f"; nothing goes there now: {lane.blocked}"
    return words + (f"; tried {packet.attempts} times: {packet.reason}" if packet.attempts else "")
