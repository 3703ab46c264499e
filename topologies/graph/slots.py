"""What links do in slotted rounds: late and lost messages and absent links, as time tables of the link ends.

Invariant: outside its events an end keeps its base values, and a table jumps exactly where `emulator.sdk.rounds.Slots`
begins a round: round r is [start + r·length, start + (r+1)·length) of scenario time. What a packet meets is decided by
the round in which it leaves: a message of round r that is late by d rounds needs the base delay and d slots more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import ceil, inf
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from emulator.model.errors import Unfit
from emulator.model.network import Floats, PiecewiseSchedule
from emulator.model.tables import Table
from emulator.model.units import Duration, show

MAX_KNOTS = 2_000_000  # of all ends together: 66 MB
MOST = 10**9  # rounds: so that sums of them fit into 64 bits

Rounds = NDArray[np.int64]
End = tuple[str, str]  # the node that sends, the node that receives


def _positive(value: float) -> float:
    if not 0.0 < value < inf:
        raise Unfit(f"{show(value, 'duration')}", "a length above 0 s")
    return value


def _finite(value: float) -> float:
    if value == inf:
        raise Unfit("unlimited", "a time")
    return value


class Event(Table):
    """What happens on an edge in one round: exactly one of `delay_rounds`, `lost` and `down`."""

    round: int = Field(ge=0)
    """The round in which the packets leave."""
    edge: tuple[str, str]
    """The nodes that it leads from and to; for `down` the order is without meaning."""
    delay_rounds: int | None = Field(None, ge=0, le=MOST)
    """Rounds by which messages in this direction arrive later than the others."""
    lost: bool = False
    """Whether all packets in this direction are lost."""
    down: bool = False
    """Whether the link is down, in both directions."""

    @model_validator(mode="after")
    def _one_thing(self) -> Event:
        said = [key for key in ("delay_rounds", "lost", "down") if getattr(self, key) not in (None, False)]
        if len(said) > 1:
            raise Unfit(f"{' and '.join(said)} in one event", "one of them")
        if not said and self.delay_rounds is None:
            raise Unfit("an event in which nothing happens", "delay_rounds, lost = true or down = true")
        return self


LOST, DOWN = -1, -2  # states of an end in a slot; 0 is the base, any other number the rounds that messages are late


class Runs(NamedTuple):
    """R runs of rounds, in order: rounds begin … end-1 have one state."""

    begin: Rounds
    end: Rounds
    state: Rounds

    @staticmethod
    def of(states: Mapping[int, int]) -> Runs:
        """Of the states by round."""
        rounds = np.array(sorted(states), dtype=np.int64)
        return Runs(rounds, rounds + 1, np.array([states[round] for round in rounds], dtype=np.int64)).joined()

    def joined(self) -> Runs:
        """The same with runs that touch in one state made one."""
        fresh = np.ones(len(self.begin), dtype=np.bool_)
        fresh[1:] = (self.begin[1:] != self.end[:-1]) | (self.state[1:] != self.state[:-1])
        last = np.roll(fresh, -1)  # of those that became one; the very last is one, as the very first is fresh
        return Runs(self.begin[fresh], self.end[last], self.state[fresh])

    def repeated(self, turns: int, period: int) -> Runs:
        """The same played `turns` times, `period` rounds apart."""
        later = np.repeat(np.arange(turns, dtype=np.int64) * period, len(self.begin))
        return Runs(*(np.tile(column, turns) for column in self))._replace(
            begin=np.tile(self.begin, turns) + later, end=np.tile(self.end, turns) + later
        )

    def then(self, others: Runs) -> Runs:
        return Runs(*(np.concatenate(pair) for pair in zip(self, others, strict=True)))

    def before(self, round: int) -> Runs:
        """Those that begin before a round."""
        return Runs(*(column[self.begin < round] for column in self))


def states_of(events: Iterable[Event]) -> dict[End, dict[int, int]]:
    """State by round of each end that does not always keep to its base values, by sender and receiver.

    ValueError where two events contradict each other.
    """
    ends: defaultdict[End, dict[int, int]] = defaultdict(dict)
    for number, event in enumerate(events):
        a, b = event.edge
        state = DOWN if event.down else LOST if event.lost else event.delay_rounds or 0
        for end in ((a, b), (b, a)) if event.down else ((a, b),):
            before = ends[end].setdefault(event.round, state)
            if before != state:
                raise Unfit(
                    f"event {number}: {end[0]} to {end[1]} is {_says(state)} in round {event.round} and, by an "
                    f"earlier event, {_says(before)}",
                    "one of them",
                )
    varying = {
        end: {round: state for round, state in rounds.items() if state} for end, rounds in ends.items()
    }  # fmt: skip
    return {end: rounds for end, rounds in varying.items() if rounds}


class SlotPlan(Table):
    """Rounds as slots of scenario time, and what links do in them."""

    start_s: Annotated[Duration, AfterValidator(_finite)] = 0.5
    """When round 0 begins."""
    length_s: Annotated[Duration, AfterValidator(_positive)]
    """Length of a round."""
    prefix: int = Field(0, ge=0, le=MOST)
    """Rounds 0 … prefix-1 are played once."""
    period: int = Field(0, ge=0, le=MOST)
    """Rounds prefix … prefix+period-1 are played again and again; 0: nothing happens after the prefix."""
    events: tuple[Event, ...] = ()
    """What happens; in rounds 0 … prefix+period-1."""

    @field_validator("events")
    @classmethod
    def _are_played(cls, events: tuple[Event, ...], info: ValidationInfo) -> tuple[Event, ...]:
        last = info.data.get("prefix", 0) + info.data.get("period", inf) - 1
        for number, event in enumerate(events):
            if event.round > last:
                allowed = f"0 to {last} (prefix + period - 1)" if last >= 0 else "a prefix or a period that reaches it"
                raise Unfit(f"event {number} in round {event.round}, which is never played", f"{allowed}")
        states_of(events)
        return events

    def knots(self, base: Mapping[End, PiecewiseSchedule], duration_s: float) -> dict[End, PiecewiseSchedule]:
        """Tables of the ends that vary, for a run of that duration; `base` has the constant values of each end.

        ValueError where they would have more than MAX_KNOTS knots.
        """
        rounds = max(0.0, (duration_s - self.start_s) / self.length_s)
        turns = max(0.0, (rounds - self.prefix) / self.period) if self.period else 0.0
        runs = {}
        count = 0.0
        for end, states in states_of(self.events).items():
            once = Runs.of({round: state for round, state in states.items() if round < self.prefix})
            again = Runs.of({round: state for round, state in states.items() if round >= self.prefix})
            count += 4.0 * (len(once.begin) + turns * len(again.begin))
            runs[end] = once, again
        if count > MAX_KNOTS:
            raise Unfit(
                f"events that make about {count:,.0f} knots in {rounds:,.0f} rounds",
                f"at most {MAX_KNOTS:,} (a shorter duration, longer slots, or fewer events)",
            )
        return {
            end: self._table(
                base[end], once.then(again.repeated(ceil(turns), self.period)).before(ceil(rounds)).joined()
            )
            for end, (once, again) in runs.items()
        }

    def _table(self, base: PiecewiseSchedule, runs: Runs) -> PiecewiseSchedule:
        """Each run has two knots at its begin (before and after the jump) and two at its end; touching runs share."""
        if not len(runs.begin):
            return base
        touching = runs.begin[1:] == runs.end[:-1]
        expected = np.ones((len(runs.begin), 4), dtype=np.bool_)
        expected[1:, 0] = expected[:-1, 3] = ~touching
        nothing = np.zeros_like(runs.state)
        # where runs touch, the knot before the jump is the last one of the earlier run
        round = np.stack([runs.begin, runs.begin, runs.end, runs.end], axis=1)[expected]
        state = np.stack([nothing, runs.state, runs.state, nothing], axis=1)[expected]
        t_s: Floats = self.start_s + round.astype(np.float64) * self.length_s
        return PiecewiseSchedule(
            t_s,
            np.asarray(base.delay_s[0] + np.maximum(state, 0) * self.length_s, dtype=np.float64),
            np.full(len(round), base.rate_bps[0]),
            np.where(state == LOST, 1.0, base.loss[0]),
            state != DOWN,
        )


def _says(state: int) -> str:
    return {0: "on time", LOST: "lost", DOWN: "down"}.get(state, f"late by {state} round{'s' * (state > 1)}")
