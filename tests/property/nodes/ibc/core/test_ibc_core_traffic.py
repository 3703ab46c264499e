"""A relayer drops, doubles, delays and reorders packets: hypothesis looks for a sequence that loses tokens."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from ibc_traffic import Traffic, walk
from ibc_world import SECOND_NS, Echo, World, answer, packet_in

from nodes.ibc.core.errors import AbciError
from nodes.ibc.proto import channel as ch
from nodes.ibc.proto.ibc import Height

PICK = st.integers(0, 99)


class Transfers(RuleBasedStateMachine):
    """Transfers and forwards over four chains. The ledger checks after every step; at the end all is settled."""

    def __init__(self) -> None:
        super().__init__()
        self.traffic = Traffic.make()

    @initialize(direction=PICK, hops=st.lists(PICK, min_size=1, max_size=2), broken=st.booleans())
    def start(self, direction: int, hops: list[int], broken: bool) -> None:
        self.traffic.send(direction, 0, 50, hops, broken=broken, timeout_s=600, retries=1)

    @rule(
        direction=PICK,
        denom=PICK,
        amount=st.integers(1, 50),
        hops=st.lists(PICK, max_size=3),
        broken=st.booleans(),
        timeout_s=st.sampled_from((5, 60, 3600)),
        retries=st.sampled_from((0, 1, 2)),
    )
    def send(
        self, direction: int, denom: int, amount: int, hops: list[int], broken: bool, timeout_s: int, retries: int
    ) -> None:
        self.traffic.send(direction, denom, amount, hops, broken=broken, timeout_s=timeout_s, retries=retries)

    @precondition(lambda self: self.traffic.waiting())
    @rule(pick=PICK)
    def progress(self, pick: int) -> None:
        """The next step of a packet that waits for one."""
        waiting = self.traffic.waiting()
        flight = waiting[pick % len(waiting)]
        self.traffic.relay(self.traffic.flights.index(flight), "acknowledge" if flight.answer else "receive")

    @precondition(lambda self: self.traffic.waiting())
    @rule(pick=PICK)
    def expire(self, pick: int) -> None:
        """A packet that nobody relayed until it is too late."""
        waiting = self.traffic.waiting()
        flight = waiting[pick % len(waiting)]
        flight.link.b.chain.commit(seconds=4000)
        self.traffic.relay(self.traffic.flights.index(flight), "timeout")

    @precondition(lambda self: self.traffic.flights)
    @rule(flight=PICK, step=st.sampled_from(("receive", "acknowledge", "timeout")), age=st.sampled_from((0, 0, 1, 4)))
    def relay(self, flight: int, step: str, age: int) -> None:
        self.traffic.relay(flight, step, age)

    @rule(chain=PICK, seconds=st.sampled_from((1, 10, 100)))
    def tick(self, chain: int, seconds: int) -> None:
        self.traffic.tick(chain, seconds)

    def teardown(self) -> None:
        self.traffic.settle()


class Ordered(RuleBasedStateMachine):
    """One ordered channel: what is received is 1, 2, 3 …, and each packet is settled at most once."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.ours, self.theirs = Echo(), Echo()
        a = self.world.add("a", applications={"echo": self.ours})
        b = self.world.add("b", applications={"echo": self.theirs})
        self.link = self.world.open_channel(self.world.connect(a, b), "echo", ch.Order.ORDERED, "v")
        self.packets: list[ch.Packet] = []
        self.answers: dict[int, bytes] = {}
        for _ in range(3):
            self.send(timeout_s=600)

    @rule(timeout_s=st.sampled_from((5, 600)))
    def send(self, timeout_s: int) -> None:
        chain = self.link.a.chain
        branch = chain.context().branch()
        try:
            limit_ns = chain.time_ns + timeout_s * SECOND_NS
            chain.router.packets.send(branch, "echo", "channel-0", b"x", Height(), limit_ns)
        except AbciError:
            return
        self.packets.append(packet_in(branch.events[0]))
        branch.commit()

    @precondition(lambda self: len(self.theirs.told) < len(self.packets))
    @rule()
    def receive_next(self) -> None:
        self.step("receive", self.packets[len(self.theirs.told)])

    @precondition(lambda self: len(self.ours.told) < len(self.theirs.told))
    @rule()
    def acknowledge_next(self) -> None:
        self.step("acknowledge", self.packets[len(self.ours.told)])

    @precondition(lambda self: self.packets)
    @rule(pick=PICK, step=st.sampled_from(("receive", "acknowledge", "timeout", "timeout_on_close")))
    def relay(self, pick: int, step: str) -> None:
        self.step(step, self.packets[pick % len(self.packets)])

    def step(self, step: str, packet: ch.Packet) -> None:
        try:
            if step == "receive":
                outcome = self.world.receive(self.link, packet)
                if outcome.events:
                    self.answers[packet.sequence] = answer(outcome)
            elif step == "acknowledge":
                self.world.acknowledge(self.link, packet, self.answers.get(packet.sequence, b"forged"))
            elif step == "timeout":
                self.world.timeout(self.link, packet, ordered=True)
            else:
                self.world.timeout_on_close(self.link, packet, ordered=True)
        except AbciError:
            pass
        self.check()

    @rule(seconds=st.sampled_from((1, 10, 1000)))
    def tick(self, seconds: int) -> None:
        self.link.b.chain.commit(seconds)

    @rule(chance=st.integers(0, 9))
    def close(self, chance: int) -> None:
        if chance == 0:
            try:
                self.link.b.chain.deliver(ch.MsgChannelCloseInit("echo", "channel-0", "relayer"))
            except AbciError:
                pass

    def check(self) -> None:
        received = [sequence for _, sequence in self.theirs.told]
        assert received == list(range(1, len(received) + 1))
        settled = [sequence for _, sequence in self.ours.told]
        assert len(set(settled)) == len(settled)
        acknowledged = [sequence for what, sequence in self.ours.told if what == "acknowledge"]
        assert acknowledged == list(range(1, len(acknowledged) + 1))
        timed_out = {sequence for what, sequence in self.ours.told if what == "timeout"}
        assert timed_out.isdisjoint(received)


@pytest.mark.parametrize("seed", range(6))
def test_walk(seed: int) -> None:
    traffic = walk(seed)
    assert any(flight.succeeded for flight in traffic.flights)
    assert any(flight.answer is not None and not flight.succeeded for flight in traffic.flights)


def test_transfers() -> None:
    run_state_machine_as_test(Transfers, settings=settings(max_examples=60, stateful_step_count=40))


def test_ordered_channel() -> None:
    run_state_machine_as_test(Ordered, settings=settings(max_examples=60, stateful_step_count=40))
