"""Relayers and chains that are killed at any step, answers that are lost, chains that are cut off, relayers that race.

After each walk all comes back, and then: every packet was received at most once and acknowledged or timed out once,
nothing is committed any more, no relayer has a packet left, and what is in escrow is what vouchers there are.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from nodes.ibc.proto.channel import MsgChannelCloseInit
from nodes.ibc.relayer.packets import State
from tests.support.ibc_chain import SECOND_NS, address
from tests.support.ibc_lenient import Lenience
from tests.support.ibc_relayed import Node, World

RELAYERS = ("relayer-1", "relayer-2")


class Crashes(RuleBasedStateMachine):
    """Two chains, one path, two relayers."""

    path = "a b"
    extensions: tuple[Lenience, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        nodes = {name: Node(name, extensions=self.extensions) for name in "ab"}
        self.net = World(nodes, (self.path,), confirm_s=5.0)
        self.net.keys["relayer-1"] = ("relayer-1", "relayer-1b")
        for name in RELAYERS:
            self.net.start(name)
        self.net.until(self.net.is_open)
        self.ends = {end.chain: end for end in self.net.ends()}

    @rule(chain=st.sampled_from("ab"), count=st.integers(1, 4), timeout_s=st.sampled_from((3, 8, 3600)))
    def send(self, chain: str, count: int, timeout_s: int) -> None:
        for _ in range(count):
            self.net.nodes[chain].transfer(self.ends[chain], 1, "stake", self.net.now_ns, timeout_s)

    @rule(chain=st.sampled_from("ab"))
    def block(self, chain: str) -> None:
        self.net.now_ns += SECOND_NS // 2
        self.net.block(chain)

    @rule(seconds=st.sampled_from((0.2, 1.0, 6.0)))
    def tick(self, seconds: float) -> None:
        self.net.tick(seconds)

    @precondition(lambda self: self.net.open)
    @rule(pick=st.integers(0, 99), count=st.integers(1, 12))
    def serve(self, pick: int, count: int) -> None:
        for _ in range(count):
            if self.net.open:
                self.net.serve(pick % len(self.net.open))

    @precondition(lambda self: self.net.open)
    @rule(pick=st.integers(0, 99), lose=st.sampled_from(("request", "answer")))
    def lose(self, pick: int, lose: str) -> None:
        self.net.serve(pick % len(self.net.open), lose=lose)

    @rule(name=st.sampled_from(RELAYERS))
    def kill(self, name: str) -> None:
        self.net.start(name)

    @rule(chain=st.sampled_from("ab"))
    def kill_chain(self, chain: str) -> None:
        self.net.nodes[chain].kill()

    @rule(chain=st.sampled_from("ab"))
    def cut(self, chain: str) -> None:
        self.net.cut ^= {chain}

    def teardown(self) -> None:
        net = self.net
        net.cut.clear()
        net.step()
        net.until(net.is_open, 200)
        net.until(self.is_done, 400)
        for node in net.nodes.values():
            for name, count in node.events.items():
                assert count == 1, f"{name}: {count} times"
        left = self.sent() - self.settled()
        assert len(left) == net.committed()
        assert all(self.may_be_left(name) for name in left), left
        net.check_escrow(net.ends())

    def is_done(self) -> bool:
        """Whether nothing is left to do for any relayer."""
        return not self.net.committed() and not any(each.book.packets for each in self.net.relayers.values())

    def may_be_left(self, packet: str) -> bool:
        return False

    def sent(self) -> set[str]:
        return self.seen("send_packet")

    def settled(self) -> set[str]:
        return self.seen("acknowledge_packet") | self.seen("timeout_packet")

    def seen(self, kind: str) -> set[str]:
        """Packets, by chain, channel or client and sequence, that were the matter of an event at their source."""
        return {
            f"{chain} {name.removeprefix(kind)}"
            for chain, node in self.net.nodes.items()
            for name in node.events
            if name.startswith(f"{kind} ")
        }


class CrashesV1(Crashes):
    """The same over a channel."""

    path = "a b v1 transfer"


class CrashesOrdered(Crashes):
    """Over an ordered channel, which the first timeout closes: nothing is left behind at either end."""

    path = "a b v1 transfer ordered"
    extensions = (Lenience(),)


class CrashesClosed(Crashes):
    """Over a channel that a user may close: what was received before, and not acknowledged, can be no more."""

    path = "a b v1 transfer"
    extensions = (Lenience(),)

    @precondition(lambda self: not any(each.book.closed for each in self.net.relayers.values()))
    @rule(chain=st.sampled_from("ab"), pick=st.integers(0, 3))
    def close(self, chain: str, pick: int) -> None:
        end = self.ends[chain]
        if not pick:
            closing = MsgChannelCloseInit(end.port, end.channel, address("bob"))
            self.net.nodes[chain].send(closing, name="bob")

    def is_done(self) -> bool:
        left = [packet for relayer in self.net.relayers.values() for packet in relayer.book.packets.values()]
        return all(packet.state is State.PARKED for packet in left)

    def may_be_left(self, packet: str) -> bool:
        chain, _, name = packet.partition("  ")
        other = self.net.nodes["b" if chain == "a" else "a"]
        return f"recv_packet {name}" in other.events


FAST = settings(
    max_examples=8, stateful_step_count=40, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


def test_crashes_over_clients() -> None:
    run_state_machine_as_test(Crashes, settings=FAST)  # type: ignore[no-untyped-call]


def test_crashes_over_a_channel() -> None:
    run_state_machine_as_test(CrashesV1, settings=FAST)  # type: ignore[no-untyped-call]


def test_crashes_over_an_ordered_channel() -> None:
    run_state_machine_as_test(CrashesOrdered, settings=FAST)  # type: ignore[no-untyped-call]


def test_crashes_over_a_channel_that_is_closed() -> None:
    run_state_machine_as_test(CrashesClosed, settings=FAST)  # type: ignore[no-untyped-call]
