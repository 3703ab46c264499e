"""Packets over channels: once each, in order where the channel is ordered, and settled once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ibc_world import (
    RELAYER,
    SECOND_NS,
    Chain,
    Echo,
    Link,
    World,
    answer,
    found,
    packet_in,
    prove,
    refused,
    sent,
    transfer,
)

from nodes.ibc.core import paths
from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.rehearsal import rehearsing
from nodes.ibc.core.router import all_redundant
from nodes.ibc.core.tables import RECEIVED, SENT, Received, ReceivedEvent, Sent, SentEvent
from nodes.ibc.proto import channel as ch
from nodes.ibc.proto.channel import ResponseResultType as Result
from nodes.ibc.proto.ibc import Height, MsgUpdateClient
from nodes.ibc.proto.well_known import Any


def echoing(ordering: ch.Order) -> tuple[World, Link, Echo, Echo]:
    world = World()
    ours, theirs = Echo(), Echo()
    a, b = world.add("a", applications={"echo": ours}), world.add("b", applications={"echo": theirs})
    path = world.open_channel(world.connect(a, b), "echo", ordering, "v")
    return world, path, ours, theirs


def send(chain: Chain, data: bytes = b"hello", height: int = 0, timeout_ns: int | None = None) -> ch.Packet:
    context = chain.context()
    timeout_ns = chain.time_ns + 600 * SECOND_NS if timeout_ns is None else timeout_ns
    chain.router.packets.send(context, "echo", "channel-0", data, Height(0, height), timeout_ns)
    return packet_in(context.events[0])


def funded() -> tuple[World, Link]:
    world = World()
    a, b = world.add("a"), world.add("b")
    path = world.open_channel(world.connect(a, b))
    a.fund("stake")
    return world, path


def test_packet_goes_there_and_its_acknowledgement_back() -> None:
    world, path, ours, theirs = echoing(ch.Order.UNORDERED)
    packet = send(path.a.chain)
    received = world.receive(path, packet)
    assert received.response == ch.MsgRecvPacketResponse(Result.SUCCESS)
    assert answer(received) == b"echo hello"
    acknowledged = world.acknowledge(path, packet, answer(received))
    assert acknowledged.response == ch.MsgAcknowledgementResponse(Result.SUCCESS)
    assert theirs.told == [("receive", 1)]
    assert ours.told == [("acknowledge", 1)]
    assert not list(path.a.chain.stores["ibc"].iterate(b"commitments/"))


def test_a_rehearsal_makes_a_packet_redundant_and_tells_no_application() -> None:
    world, path, ours, theirs = echoing(ch.Order.UNORDERED)
    first, second = send(path.a.chain), send(path.a.chain)
    answered = answer(world.receive(path, second))
    for end in (path.a, path.b):
        end.chain.router = rehearsing(end.chain.router)
    for result in (Result.SUCCESS, Result.NOOP):
        assert world.receive(path, first).response == ch.MsgRecvPacketResponse(result)
        assert world.acknowledge(path, second, answered).response == ch.MsgAcknowledgementResponse(result)
    assert (ours.told, theirs.told) == ([], [("receive", 2)])


def test_events_are_those_of_ibc_go() -> None:
    world, path, _, _ = echoing(ch.Order.UNORDERED)
    context = path.a.chain.context()
    path.a.chain.router.packets.send(context, "echo", "channel-0", b"\x01\xff", Height(1, 20), 7 * 10**18)
    event, module = context.events
    assert event.type == "send_packet"
    common = (
        ("packet_timeout_height", "1-20"),
        ("packet_timeout_timestamp", "7000000000000000000"),
        ("packet_sequence", "1"),
        ("packet_src_port", "echo"),
        ("packet_src_channel", "channel-0"),
        ("packet_dst_port", "echo"),
        ("packet_dst_channel", "channel-0"),
    )
    where = (
        ("packet_channel_ordering", "ORDER_UNORDERED"),
        ("packet_connection", "connection-0"),
        ("connection_id", "connection-0"),
    )
    assert event.attributes == (("packet_data_hex", "01ff"), *common, *where)
    assert (module.type, module.attributes) == ("message", (("module", "ibc_channel"),))
    received = world.receive(path, packet_in(event))
    assert [each.type for each in received.events] == [
        "recv_packet",
        "message",
        "write_acknowledgement",
        "message",
    ]
    assert received.events[0].attributes == event.attributes
    data = ("packet_data_hex", "01ff")
    told = ("packet_ack_hex", b"echo \x01\xff".hex())
    assert received.events[2].attributes == (data, *common, told, *where)
    acknowledged = world.acknowledge(path, packet_in(event), answer(received))
    assert acknowledged.events[0].type == "acknowledge_packet"
    assert acknowledged.events[0].attributes == (*common, *where)


def test_redundant_relay_is_a_success_that_does_nothing() -> None:
    world, path, ours, theirs = echoing(ch.Order.UNORDERED)
    packet = send(path.a.chain)
    received = world.receive(path, packet)
    again = world.receive(path, packet)
    assert again.response == ch.MsgRecvPacketResponse(Result.NOOP)
    assert again.events == ()
    world.acknowledge(path, packet, answer(received))
    again = world.acknowledge(path, packet, answer(received))
    assert (again.response, again.events) == (ch.MsgAcknowledgementResponse(Result.NOOP), ())
    path.b.chain.commit(seconds=700)
    late = world.timeout(path, packet)
    assert late.response == ch.MsgTimeoutResponse(Result.NOOP)
    assert (theirs.told, ours.told) == ([("receive", 1)], [("acknowledge", 1)])


def test_transaction_of_redundant_messages_alone_is_known_as_such() -> None:
    _, path, _, _ = echoing(ch.Order.UNORDERED)
    packet = send(path.a.chain)
    key = paths.packet_commitment("echo", "channel-0", 1)
    height = path.a.chain.commit()
    update = MsgUpdateClient(path.b.client, Any("/fake.Height", height.to_bytes(8)), RELAYER)
    relay = ch.MsgRecvPacket(packet, prove(key), Height(0, height), RELAYER)
    first = [(each, path.b.chain.deliver(each)) for each in (update, relay)]
    second = [(each, path.b.chain.deliver(each)) for each in (update, relay)]
    assert not all_redundant(first)
    assert all_redundant(second)
    assert not all_redundant([*first, *second])
    assert not all_redundant(second[:1])
    assert not all_redundant([])


def test_packet_that_was_not_sent_is_not_received() -> None:
    world, path, _, theirs = echoing(ch.Order.UNORDERED)
    packet = send(path.a.chain)
    for wrong in (
        replace(packet, data=b"hellp"),
        replace(packet, sequence=2),
        replace(packet, timeout_timestamp=packet.timeout_timestamp + 1),
        replace(packet, timeout_height=Height(0, 9999)),
    ):
        refused(lambda wrong=wrong: world.receive(path, wrong), "client", 30)
    refused(lambda: world.receive(path, replace(packet, source_channel="channel-1")), "channel", 13)
    refused(lambda: world.receive(path, replace(packet, source_port="transfer")), "channel", 13)
    refused(lambda: world.receive(path, replace(packet, destination_channel="channel-9")), "channel", 3)
    refused(lambda: world.receive(path, replace(packet, sequence=0)), "channel", 13)
    assert theirs.told == []


def test_acknowledgement_must_be_the_one_that_was_written() -> None:
    world, path, ours, _ = echoing(ch.Order.UNORDERED)
    packet = send(path.a.chain)
    refused(lambda: world.acknowledge(path, packet, b"echo hello"), "client", 30)  # nothing is written yet
    received = world.receive(path, packet)
    refused(lambda: world.acknowledge(path, packet, b"echo hellp"), "client", 30)
    refused(lambda: world.acknowledge(path, packet, b""), "channel", 16)
    refused(lambda: world.acknowledge(path, replace(packet, data=b"x"), answer(received)), "channel", 13)
    refused(lambda: world.acknowledge(path, replace(packet, destination_port="x1"), b"y"), "channel", 13)
    assert ours.told == []
    world.acknowledge(path, packet, answer(received))


def test_ordered_channel_delivers_and_acknowledges_in_order() -> None:
    world, path, ours, theirs = echoing(ch.Order.ORDERED)
    first, second = send(path.a.chain), send(path.a.chain, b"again")
    error = refused(lambda: world.receive(path, second), "channel", 21)
    assert "in state EARLY" in str(error)
    one, two = world.receive(path, first), world.receive(path, second)
    assert world.receive(path, first).response == ch.MsgRecvPacketResponse(Result.NOOP)
    refused(lambda: world.acknowledge(path, second, answer(two)), "channel", 21)
    world.acknowledge(path, first, answer(one))
    world.acknowledge(path, second, answer(two))
    assert theirs.told == [("receive", 1), ("receive", 2)]
    assert ours.told == [("acknowledge", 1), ("acknowledge", 2)]


def test_timeout_by_time_at_the_nanosecond() -> None:
    world, path, ours, theirs = echoing(ch.Order.UNORDERED)
    b = path.b.chain
    limit = b.time_ns + 5 * SECOND_NS
    packet = send(path.a.chain, timeout_ns=limit)
    b.commit()
    b.time_ns = limit - 1
    refused(lambda: world.timeout(path, packet), "channel", 39)
    b.time_ns = limit - SECOND_NS
    b.commit()  # the block that is open now begins at the limit
    refused(lambda: world.receive(path, packet), "channel", 40)
    timed_out = world.timeout(path, packet)
    assert [each.type for each in timed_out.events] == ["timeout_packet", "message"]
    assert world.timeout(path, packet).response == ch.MsgTimeoutResponse(Result.NOOP)
    assert (ours.told, theirs.told) == ([("timeout", 1)], [])


def test_packet_is_received_in_the_last_nanosecond() -> None:
    world, path, _, _ = echoing(ch.Order.UNORDERED)
    limit = path.b.chain.time_ns + 5 * SECOND_NS
    packet = send(path.a.chain, timeout_ns=limit)
    path.b.chain.time_ns = limit - 1
    assert world.receive(path, packet).response == ch.MsgRecvPacketResponse(Result.SUCCESS)


def test_timeout_by_height() -> None:
    world, path, ours, theirs = echoing(ch.Order.UNORDERED)
    b = path.b.chain
    limit = b.height + 2
    packet = send(path.a.chain, height=limit, timeout_ns=0)
    late = send(path.a.chain, height=limit + 50, timeout_ns=0)
    refused(lambda: world.timeout(path, packet), "channel", 39)
    b.commit()
    assert b.height == limit
    refused(lambda: world.receive(path, packet), "channel", 40)
    world.timeout(path, packet)
    world.receive(path, late)
    assert (ours.told, theirs.told) == ([("timeout", 1)], [("receive", 2)])


def test_heights_are_ordered_by_revision_first() -> None:
    world, path, _, _ = echoing(ch.Order.UNORDERED)
    context = path.a.chain.context()
    path.a.chain.router.packets.send(context, "echo", "channel-0", b"x", Height(1, 1), 0)
    packet = packet_in(context.events[0])
    assert world.receive(path, packet).response == ch.MsgRecvPacketResponse(Result.SUCCESS)


def test_received_packet_does_not_time_out() -> None:
    world, path, ours, _ = echoing(ch.Order.UNORDERED)
    packet = send(path.a.chain)
    world.receive(path, packet)
    path.b.chain.commit(seconds=700)
    path.b.chain.commit()
    refused(lambda: world.timeout(path, packet), "client", 31)
    assert ours.told == []


def test_ordered_timeout_closes_the_channel_and_the_rest_follows() -> None:
    world, path, ours, theirs = echoing(ch.Order.ORDERED)
    packet = send(path.a.chain)
    world.acknowledge(path, packet, answer(world.receive(path, packet)))
    lost, behind = send(path.a.chain), send(path.a.chain)
    path.b.chain.commit(seconds=700)
    proof = prove(paths.next_sequence_receive("echo", "channel-0"))
    height = world.update(path.a.chain, path.a.client, path.b.chain)
    lie = ch.MsgTimeout(lost, proof, height, 1, RELAYER)
    refused(lambda: path.a.chain.deliver(lie), "client", 30)
    received = replace(lie, next_sequence_recv=3)
    refused(lambda: path.a.chain.deliver(received), "channel", 19)
    timed_out = world.timeout(path, lost, ordered=True)
    assert [each.type for each in timed_out.events] == ["channel_close", "message", "timeout_packet", "message"]
    end = ch.Channel.decode(path.a.chain.stores["ibc"].values[paths.channel_end("echo", "channel-0")])
    assert end.state is ch.State.CLOSED
    world.timeout(path, behind, ordered=True)
    with pytest.raises(AbciError):
        send(path.a.chain)
    assert ours.told == [("acknowledge", 1), ("timeout", 2), ("timeout", 3)]
    assert theirs.told == [("receive", 1)]


@pytest.mark.parametrize("ordering", [ch.Order.UNORDERED, ch.Order.ORDERED])
def test_timeout_on_close(ordering: ch.Order) -> None:
    check_timeout_on_close(ordering)


def check_timeout_on_close(ordering: ch.Order) -> None:
    world, path, ours, theirs = echoing(ordering)
    ordered = ordering is ch.Order.ORDERED
    received, lost = send(path.a.chain), send(path.a.chain)
    world.receive(path, received)
    refused(lambda: world.timeout_on_close(path, lost, ordered), "client", 30)  # the other end is open
    path.b.chain.deliver(ch.MsgChannelCloseInit("echo", "channel-0", RELAYER))
    with pytest.raises(AbciError):
        world.timeout_on_close(path, received, ordered)
    outcome = world.timeout_on_close(path, lost, ordered)
    assert outcome.response == ch.MsgTimeoutOnCloseResponse(Result.SUCCESS)
    again = world.timeout_on_close(path, lost, ordered)
    assert again.response == ch.MsgTimeoutOnCloseResponse(Result.NOOP)
    refused(lambda: world.receive(path, lost), "channel", 5)
    assert (ours.told, theirs.told) == ([("timeout", 2)], [("receive", 1)])


def test_timeout_on_close_of_ordered_channels() -> None:
    check_timeout_on_close(ch.Order.ORDERED)


def test_timeout_on_close_of_unordered_channels() -> None:
    check_timeout_on_close(ch.Order.UNORDERED)


def test_late_answer_is_written_once() -> None:
    world, path, _, theirs = echoing(ch.Order.UNORDERED)
    theirs.answers_later = True
    packet = send(path.a.chain)
    received = world.receive(path, packet)
    assert "write_acknowledgement" not in [each.type for each in received.events]
    b = path.b.chain
    b.router.packets.write_acknowledgement(b.context(), packet, b"late")
    error = refused(lambda: b.router.packets.write_acknowledgement(b.context(), packet, b"later"), "channel", 17)
    assert "in state ANSWERED; expected RECEIVED" in str(error)
    unseen = replace(packet, sequence=2)
    refused(lambda: b.router.packets.write_acknowledgement(b.context(), unseen, b"x"), "channel", 13)
    world.acknowledge(path, packet, b"late")


def test_packets_that_cannot_be_sent() -> None:
    world, path, _, _ = echoing(ch.Order.UNORDERED)
    a, b = path.a.chain, path.b.chain
    refused(lambda: send(a, b""), "channel", 13)
    refused(lambda: send(a, bytes((256 << 10) + 1)), "channel", 13)
    refused(lambda: send(a, timeout_ns=0), "channel", 13)
    height = world.update(a, path.a.client, b)
    seen_ns = b.times_ns[height.revision_height]
    refused(lambda: send(a, timeout_ns=seen_ns), "channel", 40)
    refused(lambda: send(a, height=height.revision_height), "channel", 40)
    a.clients.states[path.a.client] = "Expired"
    refused(lambda: send(a), "client", 29)
    a.clients.states.clear()
    assert send(a, timeout_ns=seen_ns + 1).sequence == 1
    assert send(a, height=height.revision_height + 1).sequence == 2


def test_refused_message_changes_nothing() -> None:
    world, path = funded()
    packet = sent(transfer(path.a, "stake", 5, path.b.chain.user()))
    height = world.update(path.b.chain, path.b.client, path.a.chain)
    before = path.b.chain.digest()
    refused(
        lambda: path.b.chain.deliver(ch.MsgRecvPacket(packet, b"no proof", height, RELAYER)),
        "client",
        30,
    )
    assert path.b.chain.digest() == before
    before = path.a.chain.digest()
    refused(lambda: transfer(path.a, "stake", 5, path.b.chain.user(), timeout_ns=1), "channel", 40)
    assert path.a.chain.digest() == before  # the escrow, too
    other = found(transfer(path.a, "stake", 5, path.b.chain.user()), "send_packet")
    assert other["packet_sequence"] == "2"


def test_tables_of_packets_refuse_all_other_pairs() -> None:
    for machine, states, events in ((SENT, Sent, SentEvent), (RECEIVED, Received, ReceivedEvent)):
        for state in states:
            for event in events:
                if (state, event) not in machine.table:
                    with pytest.raises(AbciError, match=f"{machine.role} x: no '{event.value}' in state {state.name}"):
                        machine.step("x", state, event)
