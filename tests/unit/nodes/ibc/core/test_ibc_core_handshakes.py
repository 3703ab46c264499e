"""Connections and channels: four messages, their proofs, and everything that is not in the tables."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ibc_world import RELAYER, SECOND_NS, Echo, Link, World, found, prove, refused, sent, transfer

from nodes.ibc.core import paths
from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.tables import CHANNEL, CONNECTION, End, Handshake
from nodes.ibc.proto import channel as ch
from nodes.ibc.proto import connection as conn
from nodes.ibc.proto import ibc

PREFIX = ibc.MerklePrefix(b"ibc")


def connected() -> tuple[World, Link]:
    world = World()
    return world, world.connect(world.add("a"), world.add("b"))


def test_connection_opens_and_tells_both_names() -> None:
    world, link = connected()
    for end, other in ((link.a, link.b), (link.b, link.a)):
        stored = conn.ConnectionEnd.decode(end.chain.stores["ibc"].values[b"connections/connection-0"])
        assert stored.state is conn.State.OPEN
        assert (stored.client_id, stored.counterparty.client_id) == (end.client, other.client)
        assert stored.counterparty.connection_id == other.connection
        assert stored.versions == (conn.Version("1", ("ORDER_ORDERED", "ORDER_UNORDERED")),)
    kinds = [each.type for each in (*link.a.chain.events, *link.b.chain.events) if each.type.startswith("connection")]
    assert kinds == [f"connection_open_{step}" for step in ("init", "ack", "try", "confirm")]
    again = world.connect(link.a.chain, link.b.chain)
    assert again.a.connection == "connection-1"
    assert link.a.chain.stores["ibc"].values[paths.client_connections(link.a.client)] == (
        conn.ClientPaths(("connection-0",)).encode()
    )


def test_connection_try_needs_the_exact_end_of_the_other_chain() -> None:
    world = World()
    a, b = world.add("a"), world.add("b")
    ca, cb = world.create_client(a, b), world.create_client(b, a)
    a.deliver(conn.MsgConnectionOpenInit(ca, conn.Counterparty(cb, "", PREFIX), None, 7, RELAYER))
    version = conn.Version("1", ("ORDER_ORDERED", "ORDER_UNORDERED"))
    right = conn.MsgConnectionOpenTry(
        client_id=cb,
        counterparty=conn.Counterparty(ca, "connection-0", PREFIX),
        delay_period=7,
        counterparty_versions=(version,),
        proof_height=world.update(b, cb, a),
        proof_init=prove(b"connections/connection-0"),
        signer=RELAYER,
    )
    for wrong in (
        replace(right, delay_period=0),
        replace(right, counterparty=conn.Counterparty(cb, "connection-1", PREFIX)),
        replace(right, counterparty_versions=(version, conn.Version("2", ("ORDER_DAG",)))),
        replace(right, proof_init=b"other"),
        replace(right, proof_height=ibc.Height(0, right.proof_height.revision_height - 1)),
    ):
        before = b.digest()
        with pytest.raises(AbciError):
            b.deliver(wrong)
        assert b.digest() == before
    refused(lambda: b.deliver(replace(right, counterparty_versions=(conn.Version("9", ("X",)),))), "connection", 10)
    refused(lambda: b.deliver(replace(right, previous_connection_id="connection-0")), "connection", 11)
    assert b.deliver(right).events[0].type == "connection_open_try"


def test_connection_steps_that_are_not_in_the_table() -> None:
    _, link = connected()
    height = ibc.Height(0, 1)
    ack = conn.MsgConnectionOpenAck("connection-0", "connection-0", None, proof_height=height, signer=RELAYER)
    error = refused(lambda: link.a.chain.deliver(ack), "connection", 6)
    assert "connection connection-0" in str(error)
    assert "'open ack' in state OPEN; expected INIT" in str(error)
    confirm = conn.MsgConnectionOpenConfirm("connection-0", b"", height, RELAYER)
    refused(lambda: link.a.chain.deliver(confirm), "connection", 6)
    refused(lambda: link.a.chain.deliver(replace(confirm, connection_id="connection-9")), "connection", 3)


def test_connection_needs_an_active_client_and_a_prefix() -> None:
    world = World()
    a, b = world.add("a"), world.add("b")
    ca = world.create_client(a, b)
    right = conn.MsgConnectionOpenInit(ca, conn.Counterparty("07-tendermint-0", "", PREFIX), None, 0, RELAYER)
    a.clients.states[ca] = "Frozen"
    refused(lambda: a.deliver(right), "client", 29)
    a.clients.states.clear()
    bare = replace(right, counterparty=conn.Counterparty("07-tendermint-0", "", ibc.MerklePrefix()))
    refused(lambda: a.deliver(bare), "connection", 7)
    refused(lambda: a.deliver(replace(right, version=conn.Version("2", ("ORDER_ORDERED",)))), "connection", 9)
    refused(lambda: a.deliver(replace(right, client_id="no/client")), "host", 2)
    a.deliver(right)


def test_connection_delay_holds_for_packets() -> None:
    world = World()
    link = world.connect(world.add("a"), world.add("b"), delay_ns=60 * SECOND_NS)
    a, b = link.a.chain, link.b.chain
    with pytest.raises(AbciError, match="delay period"):
        world.open_channel(link)
    name = "channel-0"
    height = world.update(b, link.b.client, a)
    b.time_ns += 60 * SECOND_NS
    proposed = ch.Channel(
        ch.State.TRYOPEN, ch.Order.UNORDERED, ch.Counterparty("transfer", name), ("connection-0",), "ics20-1"
    )
    attempt = ch.MsgChannelOpenTry(
        "transfer", "", proposed, "ics20-1", prove(paths.channel_end("transfer", name)), height, RELAYER
    )
    with pytest.raises(AbciError, match="delay period"):  # the time is over, two blocks of 30 s each are not
        b.deliver(attempt)
    b.commit()
    b.commit()
    assert found(b.deliver(attempt), "channel_open_try")["channel_id"] == "channel-0"


def test_channel_opens_and_tells_both_names() -> None:
    world, link = connected()
    path = world.open_channel(link)
    for end, other in ((path.a, path.b), (path.b, path.a)):
        stored = ch.Channel.decode(end.chain.stores["ibc"].values[paths.channel_end("transfer", "channel-0")])
        assert stored == ch.Channel(
            ch.State.OPEN,
            ch.Order.UNORDERED,
            ch.Counterparty("transfer", other.channel),
            ("connection-0",),
            "ics20-1",
        )
    first = next(each for each in path.a.chain.events if each.type == "channel_open_init")
    assert first.attributes == (
        ("port_id", "transfer"),
        ("channel_id", "channel-0"),
        ("counterparty_port_id", "transfer"),
        ("connection_id", "connection-0"),
        ("version", "ics20-1"),
    )


def test_channel_proposals_that_are_refused() -> None:
    _, link = connected()
    a = link.a.chain
    right = ch.Channel(ch.State.INIT, ch.Order.UNORDERED, ch.Counterparty("transfer"), ("connection-0",), "ics20-1")

    def propose(proposed: ch.Channel, port: str = "transfer") -> None:
        a.deliver(ch.MsgChannelOpenInit(port, proposed, RELAYER))

    refused(lambda: propose(replace(right, state=ch.State.OPEN)), "channel", 5)
    refused(lambda: propose(replace(right, ordering=ch.Order.NONE)), "channel", 6)
    refused(lambda: propose(replace(right, ordering=ch.Order.ORDERED)), "channel", 6)  # a transfer is unordered
    refused(lambda: propose(replace(right, connection_hops=("connection-0", "connection-1"))), "channel", 15)
    refused(lambda: propose(replace(right, connection_hops=("connection-7",))), "connection", 3)
    refused(lambda: propose(replace(right, counterparty=ch.Counterparty("transfer", "channel-0"))), "channel", 7)
    refused(lambda: propose(replace(right, version="ics20-9")), "transfer", 4)
    refused(lambda: propose(right, "nobody"), "port", 4)
    a.clients.states[link.a.client] = "Expired"
    refused(lambda: propose(right), "client", 29)
    a.clients.states.clear()
    propose(right)
    open_ack = ch.MsgChannelOpenAck("transfer", "channel-0", "channel-0", "ics20-1", b"", ibc.Height(0, 99), RELAYER)
    refused(lambda: a.deliver(open_ack), "client", 7)  # no such height
    confirm = ch.MsgChannelOpenConfirm("transfer", "channel-0", b"", ibc.Height(0, 1), RELAYER)
    error = refused(lambda: a.deliver(confirm), "channel", 5)
    assert "'open confirm' in state INIT; expected TRYOPEN" in str(error)


def test_channel_try_needs_an_end_that_names_this_port_and_connection() -> None:
    world = World()
    a = world.add("a", applications={"echo": Echo()})
    b = world.add("b", applications={"echo": Echo()})
    link = world.connect(a, b)
    other = world.connect(a, b)
    proposed = ch.Channel(ch.State.INIT, ch.Order.ORDERED, ch.Counterparty("echo"), ("connection-0",), "v")
    a.deliver(ch.MsgChannelOpenInit("echo", proposed, RELAYER))
    height = world.update(b, link.b.client, a)
    right = ch.MsgChannelOpenTry(
        "echo",
        "",
        ch.Channel(ch.State.TRYOPEN, ch.Order.ORDERED, ch.Counterparty("echo", "channel-0"), ("connection-0",), "v"),
        "v",
        prove(paths.channel_end("echo", "channel-0")),
        height,
        RELAYER,
    )
    unordered = replace(right.channel, ordering=ch.Order.UNORDERED)
    refused(lambda: b.deliver(replace(right, channel=unordered)), "client", 30)
    refused(lambda: b.deliver(replace(right, counterparty_version="w")), "client", 30)
    refused(lambda: b.deliver(replace(right, port_id="transfer")), "client", 30)
    refused(lambda: b.deliver(replace(right, previous_channel_id="channel-0")), "channel", 18)
    height = world.update(b, other.b.client, a)
    elsewhere = replace(right.channel, connection_hops=("connection-1",))
    refused(lambda: b.deliver(replace(right, channel=elsewhere, proof_height=height)), "client", 30)
    b.deliver(right)


def test_closing_a_channel_takes_a_message_on_each_side() -> None:
    world = World()
    a, b = (world.add(name, applications={"echo": Echo()}) for name in "ab")
    path = world.open_channel(world.connect(a, b), "echo")
    confirm = ch.MsgChannelCloseConfirm(
        "echo", "channel-0", prove(paths.channel_end("echo", "channel-0")), ibc.Height(), RELAYER
    )
    height = world.update(b, path.b.client, a)
    refused(lambda: b.deliver(replace(confirm, proof_height=height)), "client", 30)
    assert a.deliver(ch.MsgChannelCloseInit("echo", "channel-0", RELAYER)).events[0].type == "channel_close_init"
    height = world.update(b, path.b.client, a)
    assert b.deliver(replace(confirm, proof_height=height)).events[0].type == "channel_close_confirm"
    refused(lambda: a.deliver(ch.MsgChannelCloseInit("echo", "channel-0", RELAYER)), "channel", 5)
    refused(lambda: b.deliver(replace(confirm, proof_height=height)), "channel", 5)


def test_users_do_not_close_transfer_channels() -> None:
    world, link = connected()
    path = world.open_channel(link)
    a = path.a.chain
    refused(lambda: a.deliver(ch.MsgChannelCloseInit("transfer", "channel-0", RELAYER)), "ibc", 8)
    a.fund("stake")
    assert sent(transfer(path.a, "stake", 1, path.b.chain.user())).sequence == 1


def test_a_channel_cannot_open_before_its_connection() -> None:
    world = World()
    a, b = world.add("a"), world.add("b")
    ca, cb = world.create_client(a, b), world.create_client(b, a)
    a.deliver(conn.MsgConnectionOpenInit(ca, conn.Counterparty(cb, "", PREFIX), None, 0, RELAYER))
    proposed = ch.Channel(
        ch.State.TRYOPEN, ch.Order.UNORDERED, ch.Counterparty("transfer", "channel-0"), ("connection-0",), "ics20-1"
    )
    attempt = ch.MsgChannelOpenTry("transfer", "", proposed, "ics20-1", b"", ibc.Height(0, 1), RELAYER)
    refused(lambda: a.deliver(attempt), "connection", 6)


def test_every_pair_that_is_not_in_a_table_is_an_error_with_role_state_and_event() -> None:
    steps = 0
    for machine, code in ((CONNECTION, 6), (CHANNEL, 5)):
        for state in End:
            for event in Handshake:
                if (state, event) in machine.table:
                    assert machine.step("x", state, event) is machine.table[state, event]
                    continue
                with pytest.raises(AbciError) as caught:
                    machine.step("x", state, event)
                assert (caught.value.codespace, caught.value.code) == (machine.role, code)
                for word in (machine.role, state.name, event.value):
                    assert word in str(caught.value)
                steps += 1
    assert steps == 70 - len(CONNECTION.table) - len(CHANNEL.table)
