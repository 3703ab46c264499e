"""The counts of rounds and their kill switch; a node's line; the requests of programs, without a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from emulator.model.errors import EmulationError, SkyloomError, UsageError
from emulator.runtime.control import requests
from emulator.runtime.control.channel import Channel
from emulator.runtime.control.coordination import ChannelCoordination
from emulator.runtime.control.messages import ActionDone, AskAction, CountRound, Meet, Met
from emulator.runtime.control.requests import Requests
from emulator.runtime.control.rounds import RoundCount
from emulator.runtime.control.transport import hear, say


def test_counts_add_up_and_fidelity_is_the_share_in_slot() -> None:
    count = RoundCount()
    assert count.figures(0) == {}
    assert count.fidelity == 1.0
    count.note("flood", 1, 3, 0, 0)
    count.note("flood", 2, 1, 4, 3)
    figures = count.figures(4)
    assert (figures["rounds"], figures["messages"], figures["fidelity"]) == (2, 4, 0.75)
    assert figures["counts_agree"] is True
    assert count.figures(5)["counts_agree"] is False


@pytest.mark.parametrize(("bounds", "what"), [((2, None), "max_rounds"), ((None, 5), "max_messages")])
def test_the_kill_switch_says_once_which_bound_was_passed(bounds: tuple[int | None, int | None], what: str) -> None:
    count = RoundCount(*bounds)
    assert not count.note("p", 1, 2, 0, 0)
    assert not count.note("p", 2, 2, 0, 0)
    assert count.note("p", 3, 2, 0, 0)
    assert what in count.stopped
    assert not count.note("p", 4, 2, 0, 0)


class _Jobs:
    """Two processes at one barrier."""

    def __init__(self, processes: list[Any]) -> None:
        self.processes = processes

    def barrier_of(self, process: Any) -> str:
        return "b"

    def at_barrier(self, name: str) -> list[Any]:
        return self.processes


class _Run:
    """Two nodes' lines and the requests that answer them, joined by real channels."""

    def __init__(self, perform: Callable[[Mapping[str, Any]], Any]) -> None:
        loop = asyncio.get_running_loop()
        pairs = [Channel.pair() for _ in range(2)]
        self.channels = [channel for pair in pairs for channel in pair]
        for channel in self.channels:
            channel.socket.setblocking(False)
        self.processes: list[Any] = [
            SimpleNamespace(number=n, program="p", channel=ours) for n, (ours, _) in enumerate(pairs)
        ]
        self.lines = [ChannelCoordination(theirs) for _, theirs in pairs]
        self.orders: list[dict[str, Any]] = []
        self.heard = asyncio.Event()
        jobs: Any = _Jobs(self.processes)
        self.requests = Requests(jobs, RoundCount(max_messages=10), perform, self._tell, self._relay)
        for process, line, (ours, theirs) in zip(self.processes, self.lines, pairs, strict=True):
            loop.add_reader(ours.fileno(), self._up, process, ours)
            loop.add_reader(theirs.fileno(), self._down, line, theirs)

    def _tell(self, process: Any, message: Met | ActionDone) -> None:
        say(process.channel, message)

    def _relay(self, order: dict[str, Any]) -> None:
        self.orders.append(order)
        asyncio.get_running_loop().call_soon(self.requests.relay_done, order["number"])

    def _up(self, process: Any, channel: Channel) -> None:
        message = hear(channel, (Meet, AskAction, CountRound))
        if message is not None:
            self.requests.said(process, message)
            self.heard.set()

    def _down(self, line: ChannelCoordination, channel: Channel) -> None:
        message = hear(channel, (Met, ActionDone))
        if message is not None:
            line.heard(message)

    def close(self) -> None:
        for channel in self.channels:
            asyncio.get_running_loop().remove_reader(channel.fileno())
            channel.close()


async def _nothing(given: Mapping[str, Any]) -> None:
    return None


def _with_run(
    body: Callable[[_Run], Any], perform: Callable[[Mapping[str, Any]], Any] = _nothing, timeout_s: float = 5.0
) -> None:
    async def main() -> None:
        run = _Run(perform)
        try:
            async with asyncio.timeout(timeout_s):
                await body(run)
        finally:
            run.close()

    asyncio.run(main())


def test_all_who_meet_hear_the_same_sum() -> None:
    async def body(run: _Run) -> None:
        one, other = run.lines
        for round in range(20):
            answers = await asyncio.gather(one.meet(round, {"a": 1}), other.meet(round, {"a": 2, "b": round}))
            assert answers[0] == answers[1] == {"a": 3, "b": round}

    _with_run(body)


def test_who_has_died_is_not_waited_for() -> None:
    async def body(run: _Run) -> None:
        waiting = asyncio.ensure_future(run.lines[0].meet(0, {"a": 1}))
        await run.heard.wait()
        assert not waiting.done()
        run.requests.ended(run.processes[1])
        assert await waiting == {"a": 1}

    _with_run(body)


def test_an_action_returns_when_the_relay_has_obeyed() -> None:
    seen: list[Mapping[str, Any]] = []

    async def perform(given: Mapping[str, Any]) -> None:
        seen.append(given)

    async def body(run: _Run) -> None:
        await run.lines[0].act({"do": "link-down", "links": ["n0:n1"]})
        assert seen == [{"do": "link-down", "links": ["n0:n1"]}]
        assert [order["op"] for order in run.orders] == ["set"]

    _with_run(body, perform)


def test_a_late_answer_of_the_relay_opens_no_other_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(run: _Run) -> None:
        done = run.requests.relay_done
        monkeypatch.setattr(run.requests, "relay_done", lambda number: None)  # the relay hangs
        monkeypatch.setattr(requests, "FENCE_S", 0.0)
        with pytest.raises(SkyloomError, match="did not obey"):
            await run.lines[0].act({"do": "heal"})
        monkeypatch.setattr(requests, "FENCE_S", 5.0)
        run.heard.clear()
        second = asyncio.ensure_future(run.lines[0].act({"do": "heal"}))
        while len(run.orders) < 2:
            await run.heard.wait()
            run.heard.clear()
            await asyncio.sleep(0)
        late, new = (order["number"] for order in run.orders)
        assert late != new
        done(late)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not second.done()
        done(new)
        await second

    _with_run(body)


def test_an_action_on_what_is_not_there_is_refused() -> None:
    async def perform(given: Mapping[str, Any]) -> None:
        raise UsageError("no such link")

    async def body(run: _Run) -> None:
        with pytest.raises(UsageError, match="no such link"):
            await run.lines[0].act({"do": "link-down", "links": ["x"]})

    _with_run(body, perform)


def test_counts_are_summed_between_flushes_and_halt_the_run() -> None:
    async def body(run: _Run) -> None:
        line = run.lines[0]
        line.note_round(1, 4, 1, 1)
        line.note_round(2, 7, 1, 0)
        line.flush()
        await run.requests.halted.wait()
        assert (run.requests.count.messages, run.requests.count.received) == (11, 2)

    _with_run(body)


def test_a_full_channel_waits_for_room() -> None:
    """The kernel lets a few packets wait in a socket; what a line says beyond that comes later, in order."""

    async def body(run: _Run) -> None:
        line = run.lines[0]
        run.requests.count.max_messages = 299
        for round in range(300):
            line.note_round(round, 1, 0, 0)
            line.flush()
        await run.requests.halted.wait()
        assert run.requests.count.last == 299

    _with_run(body)


@pytest.mark.parametrize("tally", [{"a": "many"}, {"a": 1.5}, {"a": 2**70}, {"a" * 70_000: 1}])
def test_a_tally_that_cannot_be_said_raises_where_it_is_said_and_blocks_nothing(tally: Any) -> None:
    async def body(run: _Run) -> None:
        one, other = run.lines
        with pytest.raises((TypeError, OverflowError, EmulationError)):
            await one.meet(0, tally)
        answers = await asyncio.gather(one.meet(0, {"a": 1}), other.meet(0, {"a": 2}))
        assert answers[0] == {"a": 3}

    _with_run(body)


def test_an_action_that_cannot_be_said_blocks_nothing() -> None:
    async def body(run: _Run) -> None:
        with pytest.raises(TypeError):
            await run.lines[0].act({"do": "set", "links": object()})
        await run.lines[0].act({"do": "link-up", "links": ["a:b"]})

    _with_run(body)
