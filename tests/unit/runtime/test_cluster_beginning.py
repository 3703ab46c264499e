"""T0 as lead and hosts agree on it: hosts that hear late, a second try, refusal; how the lead reads another clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from emulator.model import clock
from emulator.model.errors import EmulationError, SkyloomError
from emulator.runtime.cluster.beginning import LATER, MARGIN_S, Beginning
from emulator.runtime.cluster.host_link import HostError
from emulator.runtime.control.cluster_messages import Armed, AskClock, Begin, ClockTold, Propose
from emulator.runtime.control.encoding import ControlMessage

AHEAD_NS = 200_000_000
AHEAD_S = AHEAD_NS * 1e-9


class Hosts:
    """Two that answer at once, and say that words took so long; each try has its pair of times."""

    def __init__(self, *ways_s: tuple[float, float], run_clock: bool = True, offset_ns: int = 0) -> None:
        self.failure: SkyloomError | None = None
        self.proposed: list[int] = []
        self.begun: list[int] = []
        self._ways_s = list(ways_s)
        self._offset_ns = offset_ns
        self.beginning = Beginning(["host 0", "host 1"], self._say, run_clock, lambda: self.failure)

    def _say(self, host: int, message: ControlMessage) -> None:
        match message:
            case Propose(t0_ns):
                self.proposed += [t0_ns] if not host else []
                left_s = (t0_ns - clock.monotonic_ns()) * 1e-9
                way_s = self._ways_s[len(self.proposed) - 1][host]
                assert not self.beginning.armed(host, Armed(t0_ns, left_s - way_s))
            case Begin(t0_ns):
                self.begun.append(t0_ns)
            case AskClock(asked_ns):
                now_ns = time.monotonic_ns() + self._offset_ns
                assert self.beginning.clock_told(ClockTold(asked_ns, now_ns, now_ns)) == ""

    def agree(self) -> int:
        async def main() -> int:
            asking = asyncio.ensure_future(self.beginning.ask_clock())
            try:
                return await self.beginning.agree(AHEAD_NS)
            finally:
                asking.cancel()

        return asyncio.run(main())


@pytest.fixture(autouse=True)
def own_clock() -> Iterator[None]:
    yield
    clock.share(None)


def test_hosts_that_hear_in_time_agree_at_once() -> None:
    hosts = Hosts((0.01, 0.05))
    t0_ns = hosts.agree()
    assert hosts.proposed == [t0_ns]
    hosts.beginning.begin(t0_ns)
    assert hosts.begun == [t0_ns, t0_ns]
    assert hosts.beginning.armed(0, Armed(t0_ns, MARGIN_S)) == ""
    assert hosts.beginning.armed(1, Armed(t0_ns, 0.02)) == "heard of T0 20 ms before it; expected 50 ms"


def test_a_host_that_hears_late_gets_a_second_try_with_a_later_t0() -> None:
    hosts = Hosts((0.01, AHEAD_S - 0.02), (0.01, AHEAD_S - 0.02))
    begun_ns = clock.monotonic_ns()
    t0_ns = hosts.agree()
    assert len(hosts.proposed) == 2
    assert hosts.proposed[1] == t0_ns >= begun_ns + LATER * AHEAD_NS


def test_a_host_that_hears_late_again_is_refused_by_name() -> None:
    hosts = Hosts((0.01, AHEAD_S), (0.01, LATER * AHEAD_S))
    with pytest.raises(HostError, match="host 1: would hear of T0 0 ms before it, in the second try too; expected 50"):
        hosts.agree()
    assert hosts.begun == []


def test_an_answer_to_an_earlier_t0_counts_for_nothing() -> None:
    hosts = Hosts((0.01, AHEAD_S), (0.01, 0.01))

    def say(host: int, message: ControlMessage) -> None:
        if host and len(hosts.proposed) == 2:
            assert hosts.beginning.armed(host, Armed(hosts.proposed[0], 10.0)) == ""
        else:
            hosts._say(host, message)

    hosts.beginning._say = say
    with pytest.raises(HostError, match="host 1: would hear of T0 0 ms before it, in the second try too"):
        hosts.agree()


def test_who_waits_for_an_agreement_hears_that_the_run_has_failed() -> None:
    hosts = Hosts(run_clock=False)
    say: Callable[[int, ControlMessage], None] = lambda host, message: hosts.beginning.failed()  # noqa: E731
    hosts.beginning._say = say
    hosts.failure = EmulationError("lost")
    with pytest.raises(EmulationError, match="lost"):
        hosts.agree()


def test_a_lead_with_another_clock_reads_that_of_host_0() -> None:
    hosts = Hosts((0.0, 0.0), run_clock=False, offset_ns=86_400 * 10**9)
    t0_ns = hosts.agree()
    ahead_ns = t0_ns - time.monotonic_ns() - 86_400 * 10**9
    assert ahead_ns <= AHEAD_NS + 10_000_000
    assert ahead_ns > -(10**9)
    assert abs(clock.monotonic_ns() - time.monotonic_ns() - 86_400 * 10**9) < 5_000_000
