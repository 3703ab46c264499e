"""What a host does at its instants: orders of the lead wait for theirs, and for each other."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from emulator.model import clock
from emulator.model.clock import MonotonicClock
from emulator.runtime.cluster.host_play import MOST_ORDERS, HostPlay
from emulator.runtime.control.encoding import BadMessage

LATER_S = 0.05


def ordered() -> HostPlay:
    """One without links, whose scenario begins now."""
    play = HostPlay.__new__(HostPlay)
    play._orders, play._ordered = deque(), asyncio.Event()
    play._clock = MonotonicClock(clock.monotonic_ns())
    return play


def test_an_order_waits_for_its_instant_and_those_behind_it_wait_with_it() -> None:
    done: list[tuple[str, float]] = []

    async def main() -> None:
        play, over = ordered(), asyncio.Event()

        def do(what: str) -> None:
            assert play._clock is not None
            done.append((what, play._clock.now()))
            if what == "after":
                over.set()

        carrying = asyncio.ensure_future(play.carry_out_orders())
        play.order(LATER_S, lambda: do("later"))
        play.order(0.0, lambda: do("after"))
        async with asyncio.timeout(10.0):
            await over.wait()
        carrying.cancel()

    asyncio.run(main())
    assert [what for what, _ in done] == ["later", "after"]
    assert done[0][1] >= LATER_S


@pytest.mark.parametrize("at_s", [float("inf"), float("nan")])
def test_an_order_for_no_instant_is_refused(at_s: float) -> None:
    with pytest.raises(BadMessage, match="an order for"):
        ordered().order(at_s, lambda: None)


def test_orders_that_wait_are_bounded() -> None:
    play = ordered()
    for _ in range(MOST_ORDERS):
        play.order(60.0, lambda: None)
    with pytest.raises(BadMessage, match=f"at most {MOST_ORDERS} wait"):
        play.order(60.0, lambda: None)
