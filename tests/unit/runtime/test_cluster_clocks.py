"""Clocks from probes that are made up: offsets, drifts, jitter, asymmetric paths, slewed and stepped clocks, and
the lines by which a host follows the run's clock through all of it."""

from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulator.model.clock_page import OWN
from emulator.runtime.cluster.clocks import SLEW, STRAYS, PeerClock, Probe, first_line, next_line

SECOND_NS = 10**9
TURN_NS = 30_000  # between hearing a question and telling the answer


class Pair:
    """This host's clock and another one, which is `offset_ns` ahead at 0 and drifts; ways take `ways_s` and jitter."""

    def __init__(self, number, offset_ns, drift, ways_s=(2e-4, 2e-4), jitter_s=5e-5):
        self.chance = Random(number)
        self.offset_ns, self.drift, self.ways_s, self.jitter_s = offset_ns, drift, ways_s, jitter_s

    def offset_at_ns(self, own_ns):
        return self.offset_ns + round(own_ns * self.drift)

    def probe(self, own_ns):
        there, back = (round((way + self.chance.expovariate(1 / self.jitter_s)) * 1e9) for way in self.ways_s)
        heard_ns, told_ns = own_ns + there, own_ns + there + TURN_NS
        return Probe(
            own_ns, heard_ns + self.offset_at_ns(heard_ns), told_ns + self.offset_at_ns(told_ns), told_ns + back
        )


def follow(pair, seconds, interval_s=0.1, clock=None, begin_ns=0):
    """The clock after probes for so long, as a run makes them: 50 at 10 ms first."""
    clock = clock or PeerClock()
    at_ns = begin_ns
    for _ in range(50 if not begin_ns else 0):
        clock.add(pair.probe(at_ns))
        at_ns += SECOND_NS // 100
    while at_ns < begin_ns + seconds * SECOND_NS:
        clock.add(pair.probe(at_ns))
        at_ns += round(interval_s * SECOND_NS)
    return clock, at_ns


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(-(10**10), 10**10), st.floats(-1e-4, 1e-4), st.integers(1, 30))
@example(185, 0, 0.0, 1)  # ten probes in 0.1 s seem to drift by 830 ppm
def test_the_error_is_within_the_bound(number, offset_ns, drift, seconds):
    pair = Pair(number, offset_ns, drift)
    clock, at_ns = follow(pair, seconds)
    line = clock.estimate()
    error_s = (line.offset_at_ns(at_ns) - pair.offset_at_ns(at_ns)) * 1e-9
    assert abs(error_s) <= line.bound_s
    assert 2e-4 <= line.bound_s < 3e-4
    assert clock.slewed == 0


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.floats(1e-5, 4e-4), st.floats(1e-5, 4e-4))
def test_what_an_asymmetric_path_hides_is_within_the_bound(number, there_s, back_s):
    pair = Pair(number, 7 * SECOND_NS, 2e-5, (there_s, back_s), 1e-5)
    clock, at_ns = follow(pair, 20)
    line = clock.estimate()
    error_s = (line.offset_at_ns(at_ns) - pair.offset_at_ns(at_ns)) * 1e-9
    assert error_s == pytest.approx((there_s - back_s) / 2, abs=1e-5)
    assert abs(error_s) <= line.bound_s + 1e-5


@pytest.mark.parametrize("jitter_s", [2.5e-5, 2e-4])
def test_errors_of_a_usual_drift_are_some_microseconds(jitter_s):
    errors_s = []
    for number in range(15):
        pair = Pair(number, -3 * SECOND_NS, 5e-5, jitter_s=jitter_s)
        clock, at_ns = follow(pair, 20)
        errors_s.append(abs(clock.estimate().offset_at_ns(at_ns) - pair.offset_at_ns(at_ns)) * 1e-9)
    assert sorted(errors_s)[7] < (1e-5 if jitter_s < 1e-4 else 3e-5)


def test_drift_is_found_within_a_part_per_million():
    clock, _ = follow(Pair(1, 0, 4e-5), 20)
    assert clock.estimate().drift == pytest.approx(4e-5, abs=1e-6)


def test_a_clock_that_is_slewed_is_noticed_and_followed():
    pair = Pair(1, 0, 0.0)
    clock, at_ns = follow(pair, 20)
    pair.offset_ns -= round(at_ns * 5e-4)  # from now on it gains 500 ppm
    pair.drift = 5e-4
    clock, at_ns = follow(pair, 3, clock=clock, begin_ns=at_ns)
    assert clock.slewed > 0
    assert abs(clock.estimate().offset_at_ns(at_ns) - pair.offset_at_ns(at_ns)) < 150_000


def test_a_precise_offset_between_clocks_that_are_years_apart():
    pair = Pair(1, 3 * 365 * 86400 * SECOND_NS, 0.0, jitter_s=1e-9)
    clock, at_ns = follow(pair, 2)
    assert abs(clock.estimate().offset_at_ns(at_ns) - pair.offset_at_ns(at_ns)) < 100


def test_probes_that_cannot_be_are_left_out():
    clock = PeerClock()
    for probe in (Probe(10, 0, 0, 9), Probe(0, 5, 4, 10), Probe(0, 0, 20, 10)):
        clock.add(probe)
    assert clock.estimate() is None
    clock.add(Probe(0, 105, 106, 11))
    assert clock.estimate() == (11, 100, 0.0, 5e-9, 0.0)


class Followed:
    """The lines that a host makes of a pair's probes: before play at once, in play from one to the next."""

    def __init__(self, pair):
        self.pair, self.clock, self.line, self.at_ns = pair, PeerClock(), OWN, 0
        self.changes = []
        while self.clock.count < 50:
            self.clock.add(pair.probe(self.at_ns))
            self.at_ns += SECOND_NS // 100
        self.line = first_line(self.at_ns, self.clock.estimate())

    def play(self, seconds):
        """Errors of the line just before each new one, in seconds; the lines are looked at as they come."""
        errors_s = []
        for number in range(round(seconds * 10)):
            if change := self.clock.add(self.pair.probe(self.at_ns)):
                self.changes.append(change)
            self.at_ns += SECOND_NS // 10
            errors_s.append((self.line.run_at_ns(self.at_ns) - self.at_ns - self.pair.offset_at_ns(self.at_ns)) * 1e-9)
            if number % 3 == 2:  # a relay reports every 250 ms
                estimate = self.clock.estimate()
                new = next_line(self.line, self.at_ns, estimate)
                assert abs(new.run_at_ns(self.at_ns) - self.line.run_at_ns(self.at_ns)) <= 1, "a step"
                assert abs(new.rate - min(max(estimate.drift, -1e-3), 1e-3)) <= SLEW + 1e-12
                self.line = new
        return errors_s


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.integers(-(10**10), 10**10), st.floats(-1e-4, 1e-4), st.floats(5e-5, 4e-4))
@example(1, 10**10, 1e-4, 2e-4)
def test_a_host_follows_the_run_s_clock_within_the_bound(number, offset_ns, drift, back_s):
    followed = Followed(Pair(number, offset_ns, drift, (2e-4, back_s)))
    errors_s = followed.play(20)
    assert max(map(abs, errors_s)) <= followed.clock.estimate().bound_s + 5e-5
    assert sorted(map(abs, errors_s[100:]))[50] <= abs(back_s - 2e-4) / 2 + 3e-5
    assert followed.changes == []


@pytest.mark.parametrize("step_ns", [-300_000_000, 5_000_000, 20 * SECOND_NS])
def test_a_step_is_named_and_approached_without_one(step_ns):
    followed = Followed(Pair(1, 3 * SECOND_NS, 3e-5))
    followed.play(10)
    followed.pair.offset_ns += step_ns  # the own clock is so much further behind, as of a machine that was paused
    before_s = followed.play(1)[-1]
    (change,) = followed.changes
    assert change.startswith("was stepped by")
    assert float(change.split()[3]) == pytest.approx(-step_ns * 1e-6, abs=0.3)
    assert followed.clock.steps_s == [pytest.approx(step_ns * 1e-9, abs=1e-3)]
    errors_s = followed.play(20)
    assert followed.changes[1:] == []
    closer_s = abs(before_s) - abs(errors_s[-1])
    assert closer_s == pytest.approx(min(20 * SLEW, abs(before_s)), abs=1e-3)


def test_a_slew_of_500_ppm_is_followed_within_a_millisecond():
    followed = Followed(Pair(2, 0, 0.0))
    followed.play(15)
    followed.pair.offset_ns -= round(followed.at_ns * 5e-4)
    followed.pair.drift = 5e-4
    errors_s = followed.play(15)
    assert set(followed.changes) == {"is slewed"}
    assert max(map(abs, errors_s)) < 1e-3
    assert max(map(abs, errors_s[-30:])) < 1e-4


def test_probes_that_were_held_up_are_no_step():
    followed = Followed(Pair(3, 0, 0.0))
    followed.play(5)
    followed.pair.ways_s = (0.5, 2e-4)
    followed.play(STRAYS)
    assert followed.changes == []


@given(st.integers(-(2**61), 2**61), st.integers(-(2**61), 2**61), st.floats(-1e-3, 1e-3), st.integers(0, 10**15))
def test_a_line_is_read_both_ways(at_ns, run_ns, rate, since_ns):
    line = OWN._replace(at_ns=at_ns, run_ns=run_ns, rate=rate)
    assert abs(line.own_at_ns(line.run_at_ns(at_ns + since_ns)) - at_ns - since_ns) <= 2
