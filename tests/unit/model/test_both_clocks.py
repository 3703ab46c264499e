"""Two clocks read at one instant, also where the process loses its core between the readings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import pytest

from emulator.model.clock import READINGS, both_clocks_ns

OFFSET_NS = 10**18
PAUSE_NS = 6_000_000


@pytest.mark.parametrize("paused_after", range(7))
def test_a_pause_between_readings_does_not_count(monkeypatch: pytest.MonkeyPatch, paused_after: int) -> None:
    monotonic_ns, real_ns = clocks(monkeypatch, {paused_after})
    found = both_clocks_ns()
    assert abs(found[1] - found[0] - OFFSET_NS) < 1_000
    assert next(monotonic_ns) >= found[0]
    assert next(real_ns) >= found[1]


def test_where_every_reading_is_disturbed_the_closest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks(monkeypatch, set(range(3 * READINGS)))
    found = both_clocks_ns()
    assert abs(found[1] - found[0] - OFFSET_NS) <= PAUSE_NS


def clocks(monkeypatch: pytest.MonkeyPatch, pauses: set[int]) -> tuple[Iterator[int], Iterator[int]]:
    """Both clocks 100 ns further at each reading, with a pause after the readings of those numbers."""
    readings = count()
    now_ns = 0

    def read() -> int:
        nonlocal now_ns
        before = now_ns
        now_ns += PAUSE_NS if next(readings) in pauses else 100
        return before

    monotonic_ns, real_ns = (read() for _ in count()), (read() + OFFSET_NS for _ in count())
    monkeypatch.setattr(time, "monotonic_ns", lambda: next(monotonic_ns))
    monkeypatch.setattr(time, "time_ns", lambda: next(real_ns))
    return monotonic_ns, real_ns
