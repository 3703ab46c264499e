"""The compiled engine and the model of a link end give the same packets, times, drops and counters, bit for bit."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from link_ends import KINDS, Setting, make_end
from scripts import HORIZON_S, Dice, Step, difference, script, setting, shortened, tell

EXAMPLES = int(os.environ.get("SKYLOOM_EXAMPLES", "40"))
SCRIPTS = 10  # of each example


def compared(chosen: Setting, steps: list[Step]) -> str:
    """Where the engine differs from the model over a script."""
    until_s = HORIZON_S if chosen.rows else max([step.t_s for step in steps], default=0.0) + 9.0
    room = {"small_slots": 2048, "large_slots": 64}
    return difference(*(tell(make_end(kind, chosen, **room), steps, until_s) for kind in KINDS))


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**40))
def test_the_engine_does_what_the_model_does(number):
    for dice in (Dice(f"{number}/{place}") for place in range(SCRIPTS)):
        chosen = setting(dice)
        steps = script(dice, chosen)
        if found := compared(chosen, steps):
            steps = shortened(steps, lambda some, chosen=chosen: bool(compared(chosen, some)))
            told = "\n".join(str(step)[:400] for step in steps)
            raise AssertionError(f"{chosen}\n{told}\n{compared(chosen, steps)}\nat first {found}")
