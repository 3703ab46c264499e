"""What keeps the run's clock in a process that has another one: probes in, lines for all processes of this machine out.

Invariant: before play a line holds at once, so that the first is right; in play each goes on from the one before it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from emulator.model import clock
from emulator.model.clock_page import ClockPage
from emulator.runtime.cluster.clocks import PeerClock, Probe, first_line, next_line

EARLY_PROBES = 50  # before play
CLOCK = "clock"  # what a host has still to come to, once its nodes stand


class Follower:
    """The run's clock, as this process and those that it starts read it from now on."""

    def __init__(self) -> None:
        self._peer = PeerClock()
        self._page = ClockPage()
        clock.share(self._page)

    @property
    def probes(self) -> int:
        """How many there were so far."""
        return self._peer.count

    def note(self, own_host: int, probes: Iterable[Sequence[int]], playing: bool) -> None:
        """Take in probes of a relay: who asked, and four times. Those of host 0 are not for this host."""
        for asker, *times_ns in probes:
            if asker == own_host:
                self._peer.add(Probe(*times_ns))
        self._write(playing)

    def add(self, probe: Probe, playing: bool) -> str:
        """Take in a probe; returns what is new of the two clocks, in words."""
        change = self._peer.add(probe)
        self._write(playing)
        return change

    def _write(self, playing: bool) -> None:
        estimate = self._peer.estimate()
        if estimate is not None:
            own_ns = time.monotonic_ns()
            line = next_line(self._page.line(), own_ns, estimate) if playing else first_line(own_ns, estimate)
            self._page.write(line)
