"""Relayers that are killed at any step, answers that are lost, chains that cannot be reached, two relayers that race.

After each walk all comes back, and then: every packet was received at most once and acknowledged or timed out once,
nothing is committed any more, no relayer has a packet left, and what is in escrow is what vouchers there are.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.support.ibc_chain import SECOND_NS
from tests.support.ibc_relayed import Node, World

RELAYERS = ("relayer-1", "relayer-2")


class Crashes(RuleBasedStateMachine):
    """Two chains, one path, two relayers."""

    path = "a b"

    def __init__(self) -> None:
        super().__init__()
        self.net = World({name: Node(name) for name in ("a", "b")}, (self.path,), confirm_s=5.0)
        self.net.keys["relayer-1"] = ("relayer-1", "relayer-1b")
        for name in RELAYERS:
            self.net.start(name)
        self.net.until(self.net.is_open)
        self.ends = {end.chain: end for end in self.net.ends()}
        self.sent = 0

    @rule(chain=st.sampled_from("ab"), count=st.integers(1, 4), timeout_s=st.sampled_from((3, 8, 3600)))
    def send(self, chain: str, count: int, timeout_s: int) -> None:
        for _ in range(count):
            self.net.nodes[chain].transfer(self.ends[chain], 1, "stake", self.net.now_ns, timeout_s)
            self.sent += 1

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
    def cut(self, chain: str) -> None:
        self.net.cut ^= {chain}

    def teardown(self) -> None:
        net = self.net
        net.cut.clear()
        net.step()
        net.until(net.is_open, 200)
        net.relay_all(300)
        net.until(lambda: not any(each.book.packets for each in net.relayers.values()), 100)
        events = {**net.nodes["a"].events, **net.nodes["b"].events}
        settled = 0
        for node in net.nodes.values():
            for name, count in node.events.items():
                assert count == 1, f"{name}: {count} times"
                settled += name.startswith(("acknowledge_packet", "timeout_packet"))
        assert settled == self.sent, (settled, self.sent, events)
        net.check_escrow(net.ends())


class CrashesV1(Crashes):
    """The same over a channel."""

    path = "a b v1 transfer"


FAST = settings(
    max_examples=8, stateful_step_count=40, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


def test_crashes_over_clients() -> None:
    run_state_machine_as_test(Crashes, settings=FAST)  # type: ignore[no-untyped-call]


def test_crashes_over_a_channel() -> None:
    run_state_machine_as_test(CrashesV1, settings=FAST)  # type: ignore[no-untyped-call]
