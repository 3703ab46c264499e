"""The begin of play on several hosts: how the lead reads the run's clock, and a T0 that every host can meet.

The run's clock is that of host 0, to which trunks lead. The lead has no trunk: where its clock is another one it asks
host 0 over their connection. Invariant: T0 is told for good only after every host has heard of it so long before, by
its own reading of the run's clock, that it will be told in time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from emulator.model.clock import monotonic_ns
from emulator.model.errors import SkyloomError
from emulator.runtime.cluster.clocks import Probe
from emulator.runtime.cluster.follower import EARLY_PROBES, Follower
from emulator.runtime.cluster.host_link import HostError
from emulator.runtime.control.cluster_messages import Armed, AskClock, Begin, ClockTold, Propose
from emulator.runtime.control.encoding import ControlMessage

EARLY_PROBE_S, PROBE_S = 0.01, 0.1  # between two questions, before play and in it
MARGIN_S = 0.05  # before T0, by which a host must have heard of it
LATER = 4  # times as far from now is the T0 of the second try


class Beginning:
    """The begin of a run on the hosts of these names; `say` speaks to one of them. `run_clock`: the lead's clock is
    that of host 0. `failure`: what has ended the run already."""

    def __init__(
        self,
        names: Sequence[str],
        say: Callable[[int, ControlMessage], None],
        run_clock: bool,
        failure: Callable[[], SkyloomError | None],
    ) -> None:
        self._names = names
        self._say = say
        self._follower = None if run_clock else Follower()
        self._failure = failure
        self._heard = asyncio.Event()  # something, by which `agree` may be through
        self._margins: dict[int, float] = {}
        self._t0_ns = 0
        self._begun = False

    async def ask_clock(self) -> None:
        """Ask host 0 for its clock, again and again, if the lead has another one."""
        while self._follower is not None:
            self._say(0, AskClock(time.monotonic_ns()))
            await asyncio.sleep(EARLY_PROBE_S if self._follower.probes < EARLY_PROBES else PROBE_S)

    def clock_told(self, told: ClockTold) -> str:
        """Take in an answer; returns what is new of the two clocks, in words."""
        if self._follower is None:
            return ""
        self._heard.set()
        probe = Probe(told.asked_ns, told.heard_ns, told.told_ns, time.monotonic_ns())
        return self._follower.add(probe, self._begun)

    async def agree(self, ahead_ns: int) -> int:
        """A T0 that all hosts can meet, at least so far from now. HostError."""
        while self._follower is not None and self._follower.probes < EARLY_PROBES:
            await self._hear()
        worst, left_s = 0, 0.0
        for so_far_ns in (ahead_ns, LATER * ahead_ns):
            left_s, worst = await self._propose(so_far_ns)
            if left_s >= MARGIN_S:
                return self._t0_ns
        raise HostError(
            f"{self._names[worst]}: would hear of T0 {max(0.0, left_s) * 1e3:.0f} ms before it, in the second try too; "
            f"expected {MARGIN_S * 1e3:.0f} ms"
        )

    async def _propose(self, ahead_ns: int) -> tuple[float, int]:
        """How long before T0 the last host would hear of it if it were told now, and which host that is."""
        self._t0_ns = monotonic_ns() + ahead_ns
        self._margins.clear()
        for host in range(len(self._names)):
            self._say(host, Propose(self._t0_ns))
        while (left_s := (self._t0_ns - monotonic_ns()) * 1e-9) > 0.0 and len(self._margins) < len(self._names):
            await self._hear(left_s)
        ways_s = [ahead_ns * 1e-9 - self._margins.get(host, 0.0) for host in range(len(self._names))]
        return left_s - max(ways_s), ways_s.index(max(ways_s))

    async def _hear(self, within_s: float | None = None) -> None:
        self._heard.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), within_s)
        if (why := self._failure()) is not None:
            raise why

    def begin(self, t0_ns: int) -> None:
        """Tell all hosts T0 for good."""
        self._t0_ns, self._begun = t0_ns, True
        for host in range(len(self._names)):
            self._say(host, Begin(t0_ns))

    def armed(self, host: int, armed: Armed) -> str:
        """Take in what a host says of T0; returns why it cannot play, "" if it can."""
        if armed.t0_ns == self._t0_ns:
            self._margins[host] = armed.margin_s
            self._heard.set()
        if not self._begun or armed.margin_s >= MARGIN_S:
            return ""
        return f"heard of T0 {armed.margin_s * 1e3:.0f} ms before it; expected {MARGIN_S * 1e3:.0f} ms"

    def failed(self) -> None:
        """The run has failed: whoever waits for an agreement hears it."""
        self._heard.set()
