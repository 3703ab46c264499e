"""A relayer between chains in memory: paths are opened, packets go there and back, whatever is lost on the way."""

from __future__ import annotations

import pytest

from nodes.ibc.chain.keys import AccountKey
from nodes.ibc.core.events import Event
from nodes.ibc.proto import channel_v2, cosmos
from nodes.ibc.proto.queries import (
    QueryClientStateResponse,
    QueryConsensusStateResponse,
)
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer import control
from nodes.ibc.relayer.calls import Ask, Block, Call, TxResult
from nodes.ibc.relayer.events import PacketSeen, read
from nodes.ibc.relayer.packets import STEPS, Happened, State
from tests.support.ibc_chain import SECOND_NS
from tests.support.ibc_relayed import Node, World


def world(*paths: str, **changes: object) -> World:
    made = World({name: Node(name) for name in ("a", "b")}, paths or ("a b",), **changes)  # type: ignore[arg-type]
    made.start("relayer-1")
    return made


@pytest.mark.parametrize("path", ["a b", "a b v1 transfer"])
def test_transfers_go_both_ways_and_are_acknowledged(path: str) -> None:
    net = world(path)
    net.until(net.is_open)
    here, there = net.ends()
    for _ in range(40):
        net.nodes["a"].transfer(here, 7, "stake", net.now_ns, 600)
        net.nodes["b"].transfer(there, 5, "stake", net.now_ns, 600)
    net.step()
    assert net.committed() == 80
    net.relay_all()
    net.check_escrow(net.ends())
    events = net.nodes["b"].events
    assert sum(count for name, count in events.items() if name.startswith("recv_packet")) == 40
    assert set(events.values()) == {1}
    assert not net.relayers["relayer-1"].book.packets


def opened(*paths: str, **changes: object) -> World:
    net = world(*paths, **changes)
    net.until(net.is_open)
    return net


BOTH = pytest.mark.parametrize("path", ["a b", "a b v1 transfer"])


@BOTH
def test_packet_that_is_late_is_timed_out_and_refunded(path: str) -> None:
    net = opened(path)
    here, _ = net.ends()
    before = net.nodes["a"].balance(AccountKey.named("alice").address, "stake")
    net.cut.add("b")
    net.nodes["a"].transfer(here, 7, "stake", net.now_ns, 5)
    net.run(10)
    net.cut.clear()
    net.relay_all()
    assert net.nodes["a"].balance(AccountKey.named("alice").address, "stake") == before
    assert any(name.startswith("timeout_packet") for name in net.nodes["a"].events)
    net.check_escrow(net.ends())


@BOTH
def test_packets_that_queue_while_no_relayer_runs_are_cleared(path: str) -> None:
    net = opened(path)
    here, _ = net.ends()
    disk, killed = net.disks["relayer-1"], net.relayers.pop("relayer-1")
    net.open.clear()
    for _ in range(4):
        for _ in range(25):
            net.nodes["a"].transfer(here, 1, "stake", net.now_ns, 3600)
        net.now_ns += SECOND_NS
        for node in net.nodes.values():
            node.block(net.now_ns)
    assert disk is net.disks["relayer-1"]
    del killed
    net.start("relayer-1")
    net.until(net.is_open)
    assert net.relay_all() < 12
    net.check_escrow(net.ends())


def test_a_relayer_that_starts_again_guesses_no_gas() -> None:
    """Its first round has acknowledgements and receipts, and it knows what neither of them uses."""
    net = opened()
    here, there = net.ends()
    for blocks, cut in ((2, set()), (2, {"a", "b"})):
        net.cut = cut
        for _ in range(blocks):
            for _ in range(40):
                net.nodes["a"].transfer(here, 1, "stake", net.now_ns, 3600)
                net.nodes["b"].transfer(there, 1, "stake", net.now_ns, 3600)
            net.step()
    net.cut = set()
    net.start("relayer-1")
    net.relay_all()
    assert {(result.code, result.log) for node in net.nodes.values() for result in node.results} == {(0, "")}


def test_a_relayer_with_an_empty_disk_finds_the_path_and_what_waits_on_it() -> None:
    net = opened()
    here, _ = net.ends()
    net.relayers.clear()
    net.open.clear()
    net.nodes["a"].transfer(here, 3, "stake", net.now_ns, 3600)
    net.now_ns += SECOND_NS
    for node in net.nodes.values():
        node.block(net.now_ns)
    net.disks.clear()
    net.start("relayer-1")
    net.until(net.is_open)
    assert net.ends()[0] == here
    net.relay_all()


def test_a_client_is_named_to_its_counterparty_by_the_key_that_made_it() -> None:
    """Nobody else may. Two paths of one chain are opened at once, so that each key of the relayer is busy at times."""
    net = World({name: Node(name) for name in "abc"}, ("a b", "b c"), keys={"relayer-1": ("relayer-1", "relayer-1b")})
    net.start("relayer-1")
    net.until(net.is_open)
    results = [result for node in net.nodes.values() for result in node.results]
    assert [result.log for result in results if result.code] == []
    ibc = net.nodes["b"].chain.state.stores["ibc"]
    assert [ibc.get(f"clients/07-tendermint-{number}/clientState".encode()) is not None for number in range(3)] == [
        True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [QueryClientStateResponse, QueryConsensusStateResponse, cosmos.QueryAccountResponse,
                                  cosmos.SimulateResponse])  # fmt: skip
def test_an_answer_that_lacks_what_was_asked_for_is_none(kind: type[Message], monkeypatch: pytest.MonkeyPatch) -> None:
    net = world()
    call, empty = Node.call, 0

    def lacking(node: Node, asked: Call) -> object:
        nonlocal empty
        if not isinstance(asked, Ask) or asked.answer is not kind or empty == 3:
            return call(node, asked)
        empty += 1
        return kind()

    monkeypatch.setattr(Node, "call", lacking)
    net.until(net.is_open)
    assert empty == 3


@pytest.mark.parametrize(
    ("kind", "timeout_s", "answer", "read_as"),
    [("send_packet", 2**63, "", None), ("write_acknowledgement", 10, "ff", None),
     ("write_acknowledgement", 10, "0a0101", Happened.ANSWER)],
)  # fmt: skip
def test_a_packet_event_that_could_not_be_kept_or_relayed_is_out_of_form(
    kind: str, timeout_s: int, answer: str, read_as: Happened | None
) -> None:
    packet = channel_v2.Packet(1, "07-tendermint-0", "07-tendermint-1", timeout_s)
    attributes = (
        ("packet_source_client", packet.source_client), ("packet_sequence", "1"),
        ("encoded_packet_hex", packet.encode().hex()), ("encoded_acknowledgement_hex", answer),
    )  # fmt: skip
    (seen,) = read(Block(2, 0, (TxResult(0, "", "", 0, (Event(kind, attributes),)),)))
    assert (seen.happened if isinstance(seen, PacketSeen) else seen) is read_as


def test_packets_whose_blocks_are_gone_are_parked_with_the_reason() -> None:
    net = World({name: Node(name, keep_blocks=10) for name in ("a", "b")})
    net.start("relayer-1")
    net.until(net.is_open)
    here, _ = net.ends()
    net.relayers.clear()
    net.open.clear()
    net.nodes["a"].transfer(here, 3, "stake", net.now_ns, 36_000)
    for _ in range(20):
        net.now_ns += SECOND_NS
        for node in net.nodes.values():
            node.block(net.now_ns)
    net.start("relayer-1")
    net.run(10)
    relayer = net.relayers["relayer-1"]
    understood, text = control.answer(relayer, ["why", f"{here.name}/1"])
    assert understood
    assert "pruned" in text
    assert control.answer(relayer, ["pending"])[1].startswith(f"{here.name}/1  parked")


def test_state_machine_names_every_step_once() -> None:
    for (before, happened), after in STEPS.items():
        assert after is not State.UNKNOWN
        assert (before, happened) == (State(before), Happened(happened))


@pytest.mark.parametrize("steps", range(2, 14))
def test_a_relayer_that_is_killed_while_it_opens_a_channel_ends_with_one_that_carries_packets(steps: int) -> None:
    net = world("a b v1 transfer")
    net.run(steps)
    net.start("relayer-1")
    net.until(net.is_open)
    for node, end in zip(("a", "b"), net.ends(), strict=True):
        net.nodes[node].transfer(end, 3, "stake", net.now_ns, 3600)
    net.relay_all()
    net.check_escrow(net.ends())
