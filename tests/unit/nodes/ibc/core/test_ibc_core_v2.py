"""IBC v2: from client to client, with several payloads that take effect together or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ibc_world import (
    SECOND_NS,
    Link,
    World,
    answer_v2,
    found,
    refused,
    sent_v2,
    transfer,
)

from nodes.ibc.core import paths
from nodes.ibc.core.commitments import UNIVERSAL_ERROR, packet_commitment_v2
from nodes.ibc.core.keepers import Route
from nodes.ibc.core.rehearsal import rehearsing
from nodes.ibc.core.state import Context
from nodes.ibc.proto import channel_v2 as v2
from nodes.ibc.proto import ibc
from nodes.ibc.proto.channel import ResponseResultType as Result
from nodes.ibc.proto.channel_v2 import PacketStatus


@dataclass
class Counter:
    """Counts payloads in the store; fails on b"fail", and answers b"later" later."""

    told: list[tuple[str, bytes]] = field(default_factory=list)

    def send_payload(self, context: Context, route: Route, payload: v2.Payload, signer: str) -> None:
        self.told.append(("send", payload.value))

    def receive_payload(self, context: Context, route: Route, payload: v2.Payload, relayer: str) -> v2.RecvPacketResult:
        count = int(context.ibc.get(b"count") or 0) + 1
        context.ibc.set(b"count", str(count).encode())
        if payload.value == b"fail":
            return v2.RecvPacketResult(PacketStatus.FAILURE, b"why")
        if payload.value == b"later":
            return v2.RecvPacketResult(PacketStatus.ASYNC)
        return v2.RecvPacketResult(PacketStatus.SUCCESS, b"ok " + payload.value)

    def acknowledge_payload(
        self, context: Context, route: Route, payload: v2.Payload, acknowledgement: bytes, relayer: str
    ) -> None:
        self.told.append(("acknowledge", acknowledgement))

    def timeout_payload(self, context: Context, route: Route, payload: v2.Payload, relayer: str) -> None:
        self.told.append(("timeout", payload.value))


def counting() -> tuple[World, Link, Counter]:
    world, ours = World(), Counter()
    a = world.add("a", payload_applications={"count": ours})
    b = world.add("b", payload_applications={"count": Counter()})
    return world, world.link_v2(a, b), ours


def send(link: Link, *values: bytes, after_s: int = 600) -> v2.Packet:
    payloads = tuple(v2.Payload("count", "count", "v", "raw", value) for value in values)
    timeout_s = link.a.chain.time_ns // SECOND_NS + after_s
    return sent_v2(link.a.chain.deliver(v2.MsgSendPacket(link.a.client, timeout_s, payloads, "user")))


def test_payloads_go_there_and_their_answers_back() -> None:
    world, link, ours = counting()
    packet = send(link, b"one", b"two")
    received = world.receive_v2(link, packet)
    assert received.response == v2.MsgRecvPacketResponse(Result.SUCCESS)
    assert answer_v2(received) == v2.Acknowledgement((b"ok one", b"ok two"))
    assert world.receive_v2(link, packet).response == v2.MsgRecvPacketResponse(Result.NOOP)
    assert link.b.chain.stores["ibc"].values[b"count"] == b"2"
    done = world.acknowledge_v2(link, packet, answer_v2(received))
    assert done.response == v2.MsgAcknowledgementResponse(Result.SUCCESS)
    again = world.acknowledge_v2(link, packet, answer_v2(received))
    assert again.response == v2.MsgAcknowledgementResponse(Result.NOOP)
    assert ours.told == [
        ("send", b"one"),
        ("send", b"two"),
        ("acknowledge", b"ok one"),
        ("acknowledge", b"ok two"),
    ]


def test_a_rehearsal_makes_a_packet_redundant_and_tells_no_application() -> None:
    world, link, ours = counting()
    first, second = send(link, b"one"), send(link, b"two")
    answered = answer_v2(world.receive_v2(link, second))
    for end in (link.a, link.b):
        end.chain.router = rehearsing(end.chain.router)
    for result in (Result.SUCCESS, Result.NOOP):
        assert world.receive_v2(link, first).response == v2.MsgRecvPacketResponse(result)
        assert world.acknowledge_v2(link, second, answered).response == v2.MsgAcknowledgementResponse(result)
    assert link.b.chain.stores["ibc"].values[b"count"] == b"1"
    assert ours.told == [("send", b"one"), ("send", b"two")]
    refused(lambda: world.receive_v2(link, replace(first, sequence=3)), "client", 30)


def test_events_of_v2() -> None:
    world, link, _ = counting()
    packet = send(link, b"one")
    received = world.receive_v2(link, packet)
    common = (
        ("packet_source_client", "07-tendermint-0"),
        ("packet_dest_client", "07-tendermint-0"),
        ("packet_sequence", "1"),
        ("packet_timeout_timestamp", str(packet.timeout_timestamp)),
        ("encoded_packet_hex", packet.encode().hex()),
    )
    assert [each.type for each in received.events] == [
        "recv_packet",
        "message",
        "write_acknowledgement",
        "message",
    ]
    assert received.events[0].attributes == common
    assert received.events[1].attributes == (("module", "ibc_channelv2"),)
    encoded = v2.Acknowledgement((b"ok one",)).encode().hex()
    assert received.events[2].attributes == (*common, ("encoded_acknowledgement_hex", encoded))


def test_one_payload_that_fails_undoes_all() -> None:
    world, link, ours = counting()
    packet = send(link, b"one", b"fail", b"two")
    received = world.receive_v2(link, packet)
    assert answer_v2(received) == v2.Acknowledgement((UNIVERSAL_ERROR,))
    assert b"count" not in link.b.chain.stores["ibc"].values
    world.acknowledge_v2(link, packet, answer_v2(received))
    assert ours.told[3:] == [("acknowledge", UNIVERSAL_ERROR)] * 3


def test_timeout_needs_the_time_and_no_receipt() -> None:
    world, link, ours = counting()
    packet, received = send(link, b"one", after_s=100), send(link, b"two", after_s=100)
    world.receive_v2(link, received)
    refused(lambda: world.timeout_v2(link, packet), "channelv2", 13)
    link.b.chain.time_ns = (packet.timeout_timestamp - 1) * SECOND_NS
    link.b.chain.commit()
    refused(lambda: world.receive_v2(link, packet), "channelv2", 10)
    refused(lambda: world.timeout_v2(link, received), "client", 31)
    assert world.timeout_v2(link, packet).response == v2.MsgTimeoutResponse(Result.SUCCESS)
    assert world.timeout_v2(link, packet).response == v2.MsgTimeoutResponse(Result.NOOP)
    assert ours.told[2:] == [("timeout", b"one")]


def test_timeout_of_a_packet_must_be_within_a_day() -> None:
    _, link, _ = counting()
    refused(lambda: send(link, b"x", after_s=24 * 3600 + 1), "channelv2", 15)
    refused(lambda: send(link, b"x", after_s=0), "channelv2", 10)
    link.a.chain.time_ns -= 10 * SECOND_NS
    refused(lambda: send(link, b"x", after_s=5), "channelv2", 10)  # the other chain's clock is ahead
    assert send(link, b"x", after_s=24 * 3600).sequence == 1


def test_packet_must_come_from_the_counterparty() -> None:
    world, link, _ = counting()
    packet = send(link, b"one")
    refused(lambda: world.receive_v2(link, replace(packet, source_client="07-tendermint-9")), "clientv2", 1)
    refused(lambda: world.receive_v2(link, replace(packet, destination_client="07-tendermint-9")), "clientv2", 2)
    refused(
        lambda: world.receive_v2(link, replace(packet, timeout_timestamp=packet.timeout_timestamp + 1)), "client", 30
    )
    payload = replace(packet.payloads[0], value=b"1")
    refused(lambda: world.receive_v2(link, replace(packet, payloads=(payload,))), "client", 30)
    refused(lambda: world.receive_v2(link, replace(packet, payloads=())), "channelv2", 4)
    received = world.receive_v2(link, packet)
    wrong = replace(packet, payloads=(payload,))
    refused(lambda: world.acknowledge_v2(link, wrong, answer_v2(received)), "channelv2", 4)
    refused(lambda: world.acknowledge_v2(link, packet, v2.Acknowledgement((b"ok two",))), "client", 30)
    refused(lambda: world.acknowledge_v2(link, packet, v2.Acknowledgement((b"a", b"b"))), "channelv2", 7)
    refused(lambda: world.acknowledge_v2(link, packet, v2.Acknowledgement()), "channelv2", 7)
    double = send(link, b"one", b"two")
    mixed = v2.Acknowledgement((UNIVERSAL_ERROR, b"x"))
    refused(lambda: world.acknowledge_v2(link, double, mixed), "channelv2", 7)
    world.acknowledge_v2(link, packet, answer_v2(received))


def test_only_the_creator_of_a_client_registers_its_counterparty_and_once() -> None:
    world = World()
    a, b = world.add("a"), world.add("b")
    client = world.create_client(a, b, signer="maker")
    right = ibc.MsgRegisterCounterparty(client, (b"ibc", b""), "07-tendermint-3", "maker")
    refused(lambda: a.deliver(replace(right, signer="other")), "ibc", 2)
    refused(lambda: a.deliver(replace(right, counterparty_merkle_prefix=())), "clientv2", 1)
    a.deliver(right)
    refused(lambda: a.deliver(replace(right, counterparty_client_id="07-tendermint-4")), "ibc", 2)
    lonely = world.create_client(a, b)
    refused(
        lambda: a.deliver(v2.MsgSendPacket(lonely, 2000, (v2.Payload("x1", "x1", "v", "e", b"x"),), "u")),
        "clientv2",
        2,
    )


def test_late_answer_is_written_once() -> None:
    world, link, ours = counting()
    refused(lambda: world.receive_v2(link, send(link, b"one", b"later")), "channelv2", 4)
    packet = send(link, b"later")
    assert "write_acknowledgement" not in [each.type for each in world.receive_v2(link, packet).events]
    b = link.b.chain
    late = v2.Acknowledgement((b"late",))
    write = b.router.packets_v2.write_acknowledgement
    refused(lambda: write(b.context(), link.b.client, 9, late), "channelv2", 7)
    write(b.context(), link.b.client, packet.sequence, late)
    refused(lambda: write(b.context(), link.b.client, packet.sequence, late), "channelv2", 7)
    assert world.receive_v2(link, packet).response == v2.MsgRecvPacketResponse(Result.NOOP)
    world.acknowledge_v2(link, packet, late)
    assert ours.told[-1] == ("acknowledge", b"late")


def test_transfer_by_v2_there_and_back() -> None:
    world = World()
    a, b = world.add("a"), world.add("b")
    link = world.link_v2(a, b)
    a.fund("stake", 100)
    packet = sent_v2(transfer(link.a, "stake", 40, b.user()))
    received = world.receive_v2(link, packet)
    voucher = found(received, "denomination")
    assert voucher["denom"] == '{"base":"stake","trace":[{"port_id":"transfer","channel_id":"07-tendermint-0"}]}'
    denom = f"ibc/{voucher['denom_hash']}"
    assert (a.balance("stake"), b.balance(denom), b.supply(denom)) == (60, 40, 40)
    world.acknowledge_v2(link, packet, answer_v2(received))
    back = sent_v2(transfer(link.b, denom, 15, a.user()))
    assert b.supply(denom) == 25
    world.acknowledge_v2(link.back, back, answer_v2(world.receive_v2(link.back, back)))
    assert (a.balance("stake"), b.balance(denom)) == (75, 25)


def test_transfer_by_v2_is_refunded() -> None:
    world = World()
    a, b = world.add("a"), world.add("b")
    link = world.link_v2(a, b)
    a.fund("stake", 100)
    failed = sent_v2(transfer(link.a, "stake", 40, "nobody"))
    lost = sent_v2(transfer(link.a, "stake", 30, b.user()))
    received = world.receive_v2(link, failed)
    assert answer_v2(received) == v2.Acknowledgement((UNIVERSAL_ERROR,))
    told = found(received, "fungible_token_packet")
    assert told["ibccallbackerror-success"] == "false"
    world.acknowledge_v2(link, failed, answer_v2(received))
    assert a.balance("stake") == 70
    b.commit(seconds=700)
    world.timeout_v2(link, lost)
    assert a.balance("stake") == 100


def test_transfer_payload_of_another_user_is_refused() -> None:
    world = World()
    link = world.link_v2(world.add("a"), world.add("b"))
    link.a.chain.fund("stake", 100)
    packet = sent_v2(transfer(link.a, "stake", 40, link.b.chain.user()))
    message = v2.MsgSendPacket(link.a.client, packet.timeout_timestamp, packet.payloads, "thief")
    refused(lambda: link.a.chain.deliver(message), "ibc", 2)
    link.a.chain.deliver(replace(message, signer=link.a.chain.user()))
    elsewhere = replace(packet.payloads[0], destination_port="count")
    refused(
        lambda: link.a.chain.deliver(replace(message, payloads=(elsewhere,), signer=link.a.chain.user())),
        "channelv2",
        4,
    )


def test_receipt_and_acknowledgement_lie_under_their_keys() -> None:
    world, link, _ = counting()
    packet = send(link, b"one")
    world.receive_v2(link, packet)
    values = link.b.chain.stores["ibc"].values
    assert values[b"07-tendermint-0\x02\0\0\0\0\0\0\0\x01"] == b"\x02"
    assert len(values[b"07-tendermint-0\x03\0\0\0\0\0\0\0\x01"]) == 32


def test_commitment_binds_the_destination() -> None:
    _, link, _ = counting()
    packet = send(link, b"one")
    stored = link.a.chain.stores["ibc"].values[paths.packet_commitment_v2(link.a.client, 1)]
    assert packet_commitment_v2(packet) == stored
    assert packet_commitment_v2(replace(packet, destination_client="07-tendermint-1")) != stored
