"""Slots of a graph's links: the compiled tables against a plain reading of the events, round by round."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emulator.model.network import PiecewiseSchedule
from emulator.schedule.piecewise import evaluate, validate
from emulator.sdk.rounds import Slots
from topologies.graph.slots import SlotPlan

EDGES = [("n0", "n1"), ("n1", "n2"), ("n2", "n0")]
ENDS = [end for a, b in EDGES for end in ((a, b), (b, a))]
BASE = PiecewiseSchedule.constant(0.01, 1e6, 0.125)

events = st.builds(
    lambda round, edge, what: {"round": round, "edge": list(edge)} | what,
    st.integers(0, 11),
    st.sampled_from(ENDS),
    st.sampled_from([{"delay_rounds": 0}, {"delay_rounds": 1}, {"delay_rounds": 3}, {"lost": True}, {"down": True}]),
)


def concerns(event, end):
    return tuple(event["edge"]) == end or (event.get("down") and tuple(event["edge"])[::-1] == end)


def oracle(events, prefix, period, end, round):
    """Delay in rounds beyond the base, whether lost, whether up: what the events say about one end in one round."""
    place = round
    if round >= prefix:
        place = prefix + (round - prefix) % period if period else -1
    for event in events:
        if round >= 0 and event["round"] == place and concerns(event, end):
            return event.get("delay_rounds", 0), event.get("lost", False), not event.get("down", False)
    return 0, False, True


def contradicting(events):
    return any(
        one["round"] == other["round"]
        and any(concerns(one, end) and concerns(other, end) for end in ENDS)
        and {key: value for key, value in one.items() if key != "edge"}
        != {key: value for key, value in other.items() if key != "edge"}
        for one in events
        for other in events
    )


@settings(max_examples=200)
@given(
    st.lists(events, max_size=12),
    st.integers(0, 12),
    st.integers(0, 12),
    st.sampled_from([("0 s", 0.0), ("500 ms", 0.5), ("0.037 s", 0.037)]),
    st.sampled_from([("40 ms", 0.04), ("100 ms", 0.1), ("33 ms", 0.033)]),
    st.sampled_from([0.01, 0.7, 2.0]),
)
def test_tables_say_in_every_round_what_the_events_say(events, prefix, period, start, length, duration_s):
    events = [event for event in events if event["round"] < prefix + period]
    document = {"start": start[0], "length": length[0], "prefix": prefix, "period": period, "events": events}
    if contradicting(events):
        with pytest.raises(ValidationError, match="; expected one of them"):
            SlotPlan.model_validate(document)
        return
    plan = SlotPlan.model_validate(document)
    tables = plan.knots(dict.fromkeys(ENDS, BASE), duration_s)
    slots = Slots(start[1], length[1])
    instants = []
    for round in range(-2, slots.round_at(duration_s) + 1):
        begin_s, last_s = slots.begin_s(round), np.nextafter(slots.begin_s(round + 1), 0.0)
        if 0.0 <= begin_s < duration_s:
            after_s = np.nextafter(begin_s, np.inf)
            instants += [(round, t_s) for t_s in (begin_s, after_s, (begin_s + last_s) / 2, last_s)]
    for end in ENDS:
        knots = validate(tables.get(end, BASE))
        found = evaluate(knots, np.array([t_s for _, t_s in instants]))
        for (round, t_s), *values in zip(instants, *found, strict=True):
            late, lost, up = oracle(events, prefix, period, end, round)
            assert abs(values[0] - 0.01 - late * length[1]) < 1e-12, (end, round, t_s)
            assert values[1:] == [1e6, 1.0 if lost else 0.125, up], (end, round, t_s)
        before = evaluate(knots, np.array([start[1]]), left=True)
        assert (before.delay_s[0], before.loss[0], before.up[0]) == (0.01, 0.125, True)


@settings(max_examples=100)
@given(st.lists(events, max_size=12), st.integers(1, 12))
def test_tables_are_as_short_as_their_changes(events, period):
    events = [event for event in events if event["round"] < period]
    if contradicting(events):
        return
    plan = SlotPlan.model_validate({"length": "40 ms", "period": period, "events": events})
    for knots in plan.knots(dict.fromkeys(ENDS, BASE), 3.0).values():
        rows = list(zip(knots.delay_s, knots.loss, knots.up, strict=True))
        assert len(rows) % 2 == 0
        for place in range(0, len(rows), 2):
            assert knots.t_s[place] == knots.t_s[place + 1]
            assert rows[place] != rows[place + 1]
            assert place == 0 or rows[place] == rows[place - 1]
            assert place == 0 or knots.t_s[place] > knots.t_s[place - 1]
