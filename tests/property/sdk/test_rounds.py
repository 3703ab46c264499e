"""Slots, the header of round datagrams, and barriers, whatever comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from emulator.runtime.control.rounds import Barrier
from emulator.sdk.rounds import HEADER, MAGIC, Slots, decode, encode

U32 = st.integers(0, 2**32 - 1)
lengths = st.floats(1e-4, 100.0)
starts = st.floats(-10.0, 1000.0)


@given(starts, lengths, st.integers(0, 100_000), st.floats(0.0, 1.0, exclude_max=True))
def test_every_time_lies_in_the_slot_that_holds_it(start_s: float, length_s: float, round: int, share: float) -> None:
    slots = Slots(start_s, length_s)
    t_s = slots.begin_s(round) + share * length_s
    found = slots.round_at(t_s)
    assert slots.begin_s(found) <= t_s < slots.begin_s(found + 1)


@given(starts, lengths, st.integers(0, 100_000))
def test_a_slot_begins_with_its_first_instant(start_s: float, length_s: float, round: int) -> None:
    slots = Slots(start_s, length_s)
    assert slots.round_at(slots.begin_s(round)) == round


@pytest.mark.parametrize("length_s", [0.0, -1.0, float("nan")])
def test_slots_have_a_length(length_s: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Slots(0.0, length_s)


@given(U32, U32, st.binary(max_size=100))
def test_headers_read_back(sent: int, due: int, payload: bytes) -> None:
    if due < sent:
        with pytest.raises(ValueError, match="due in"):
            decode(encode(sent, due, payload))
    else:
        assert decode(encode(sent, due, payload)) == (sent, due, payload)


@given(st.binary(max_size=40))
def test_anything_else_is_refused(data: bytes) -> None:
    if len(data) >= HEADER.size and data.startswith(MAGIC):
        return
    with pytest.raises(ValueError, match="expected"):
        decode(data)


def test_golden_bytes() -> None:
    assert encode(1, 3, b"M").hex() == "536b79520000000100000003" + "4d"


class Barriers(RuleBasedStateMachine):
    """Processes that come, die and are born; an oracle that opens by counting."""

    def __init__(self) -> None:
        super().__init__()
        self.barrier = Barrier()
        self.barrier.join(range(4))
        self.alive = dict.fromkeys(range(4), 0)  # process: the round it comes to next
        self.inside: dict[int, int] = {}  # who waits, with the round
        self.born = 4

    def _told(self, opened: tuple[int, dict[str, int], list[int]] | None) -> None:
        if opened is None:
            return
        round, totals, come = opened
        assert set(self.inside) == set(self.alive), "it opened before all had come"
        lowest = min(self.inside.values())
        expected = {number for number, inside in self.inside.items() if inside == lowest}
        assert (round, set(come)) == (lowest, expected)
        assert totals == {"here": len(come), "sum": sum(come)} or (sum(come) == 0 and totals["here"] == len(come))
        for number in come:
            del self.inside[number]
            self.alive[number] = round + 1

    @rule(pick=st.integers(0, 100))
    def come(self, pick: int) -> None:
        free = sorted(set(self.alive) - set(self.inside))
        if not free:
            return
        number = free[pick % len(free)]
        self.inside[number] = self.alive[number]
        self._told(self.barrier.meet(number, self.alive[number], {"here": 1, "sum": number}))

    @rule(pick=st.integers(0, 100))
    def die(self, pick: int) -> None:
        if not self.alive:
            return
        number = sorted(self.alive)[pick % len(self.alive)]
        del self.alive[number]
        self.inside.pop(number, None)
        self._told(self.barrier.leave(number))

    @rule()
    def restart(self) -> None:
        """A new process joins with its first meeting, at round 0."""
        if self.born >= 8:
            return
        number, self.born = self.born, self.born + 1
        self.alive[number] = 0
        self.inside[number] = 0
        self._told(self.barrier.meet(number, 0, {"here": 1, "sum": number}))

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        assert not self.alive or set(self.inside) != set(self.alive)


TestBarriers = Barriers.TestCase
