"""What a replay draws again for a link end is what the packet engine drew."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_ends import Setting, make_end
from made_packets import UDP, make

from emulator.link.stats import EndStats
from emulator.model.network import Effects, GilbertElliott, PiecewiseSchedule
from emulator.record.replayed.drawn import Draws

PACKET = make(4, UDP).data
CHANCES = st.sampled_from([0.0, 0.05, 0.4, 1.0])
DELAY_S = 0.02


@settings(max_examples=30)
@given(
    loss=CHANCES,
    duplicate=CHANCES,
    corrupt=CHANCES,
    jitter_s=st.sampled_from([0.0, 0.003]),
    burst=st.none() | st.builds(GilbertElliott, CHANCES, CHANCES, CHANCES, CHANCES),
    seed=st.integers(0, 5),
)
def test_draws_are_those_of_the_engine(loss, duplicate, corrupt, jitter_s, burst, seed):
    effects = Effects(burst_loss=burst, jitter_s=jitter_s, duplicate=duplicate, corrupt=corrupt)
    end = make_end("engine", Setting(PiecewiseSchedule.constant(delay_s=DELAY_S, loss=loss), effects, "a:b", seed))
    draws = Draws(f"{seed}/link/a:b/", effects, loss)
    for number in range(1, 101):
        end.offer([(float(number), PACKET, len(PACKET) - 10, -1, 0, -1)])
        end.due(number + 0.5)
        counted = end.stats()
        draws.upto(number)
        assert draws.lost[number] == counted[EndStats.DROP_LOSS]
        assert draws.duplicated[number] == counted[EndStats.DUPLICATED]
        delay_sum_s = draws.copies[number] * DELAY_S + draws.jitter_s[number]
        assert counted[EndStats.ASKED_DELAY_SUM_S] == pytest.approx(delay_sum_s, rel=1e-9, abs=1e-12)
