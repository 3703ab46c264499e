"""Clearing: what a chain still holds is compared with the book, so that nothing is stuck for want of an event.

Invariant: after a clearing each packet that is committed at an end is in the book, with work to do or parked with a
reason, the book has no packet of that end which is not committed, and knows whether the end is closed.
"""

from __future__ import annotations

from nodes.ibc.proto import queries, queries_v2
from nodes.ibc.proto.channel import State
from nodes.ibc.proto.cosmos_base import PageRequest
from nodes.ibc.relayer.book import Book
from nodes.ibc.relayer.calls import Ask, Flow, Unanswered, Wait
from nodes.ibc.relayer.follow import Followed
from nodes.ibc.relayer.lanes import unacknowledged
from nodes.ibc.relayer.packets import End, Happened, Packet

_PAGE = 1000
UNSEEN = "its block is not on record any more (pruned), and without the packet nothing can be relayed"


def clear(book: Book, source: End, destination: End, read: Followed) -> Flow[int]:
    """Compare packets sent from `source`, whose chain is `read`; how many the book had wrong."""
    is_closed = not source.v2 and (yield from _is_closed(source))
    before = {packet.name: packet.sequence for packet in book.of(source)}
    committed, height = yield from _committed(source)
    yield Wait(lambda: read.height >= height or not read.reached)
    if read.height < height:
        raise Unanswered(read.reason)
    if is_closed:
        book.close(source.name, read.height)
    wrong = 0
    for sequence in sorted(committed):
        name = f"{source.name}/{sequence}"
        if name not in book.packets and not book.is_settled(name):
            wrong += 1
            packet = Packet(source=source.name, destination=destination.name, sequence=sequence, height=read.height)
            book.park(packet, UNSEEN)
    # Pages are of different heights, and a packet may have slipped from one to the other: the chain is asked again.
    doubted = sorted(sequence for sequence in before.values() if sequence not in committed)
    for place in range(0, len(doubted), _PAGE):
        asked = doubted[place : place + _PAGE]
        (answer,) = yield (unacknowledged(source, asked),)
        for sequence in set(asked).difference(answer.sequences):
            known = book.packets.get(f"{source.name}/{sequence}")
            if known is not None:
                wrong += 1
                book.step(known, Happened.SETTLE)
    return wrong


def _is_closed(end: End) -> Flow[bool]:
    asked = queries.QueryChannelRequest(end.port, end.channel)
    (answer,) = yield (Ask(end.chain, "/ibc.core.channel.v1.Query/Channel", asked, queries.QueryChannelResponse),)
    return answer.channel is not None and answer.channel.state is State.CLOSED


def _committed(end: End) -> Flow[tuple[set[int], int]]:
    """The sequences of all packets that an end has a commitment of, and the height at which it was asked first."""
    found: set[int] = set()
    height = 0
    key = b""
    while True:
        page = PageRequest(key=key, limit=_PAGE)
        if end.v2:
            of_v2 = queries_v2.QueryPacketCommitmentsRequest(end.client, page)
            path = "/ibc.core.channel.v2.Query/PacketCommitments"
            ask = Ask(end.chain, path, of_v2, queries_v2.QueryPacketCommitmentsResponse)
        else:
            of_v1 = queries.QueryPacketCommitmentsRequest(end.port, end.channel, page)
            path = "/ibc.core.channel.v1.Query/PacketCommitments"
            ask = Ask(end.chain, path, of_v1, queries.QueryPacketCommitmentsResponse)
        (answer,) = yield (ask,)
        found.update(each.sequence for each in answer.commitments)
        height = height or answer.height.revision_height
        key = answer.pagination.next_key if answer.pagination else b""
        if not key:
            return found, height
