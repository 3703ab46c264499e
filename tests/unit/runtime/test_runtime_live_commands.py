"""Commands of other terminals: what a terminal may say of the one that it has started."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from emulator.runtime.control.channel import Channel
from emulator.runtime.control.messages import ANSWERS, Execute, Exited, Signal, Started
from emulator.runtime.control.transport import hear, say
from emulator.runtime.programs.processes import Process
from emulator.runtime.supervisor import live_commands
from emulator.runtime.supervisor.caller import Caller
from emulator.runtime.supervisor.live_commands import LiveCommands


class Processes:
    """One process, which dies of SIGKILL alone."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    def launch(self, launch: Any, streams: Any, supervised: bool) -> Process:
        return Process(0, launch.node, launch.name, Path(os.devnull))

    def kill(self, processes: Sequence[Process], signum: int) -> None:
        self.signals.append(signum)
        if signum == signal.SIGKILL:
            processes[0].status = -signum
            processes[0].ended.set()


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ([signal.SIGINT, signal.SIGKILL], [signal.SIGINT, signal.SIGKILL]),
        ([9999], [signal.SIGHUP, signal.SIGKILL]),
        ([-1], [signal.SIGHUP, signal.SIGKILL]),
        ([2**40], [signal.SIGHUP, signal.SIGKILL]),
    ],
)
def test_a_terminal_passes_signals_on_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, said: list[int], heard: list[int]
) -> None:
    monkeypatch.setattr(live_commands, "HANGUP_S", 0.0)
    ours, theirs = Channel.pair()
    ours.set_timeout(0.0)
    processes: Any = Processes()
    fds = [os.open(os.devnull, os.O_RDWR) for _ in range(3)]

    async def play() -> None:
        for signum in said:
            say(theirs, Signal(signum))
        async with asyncio.timeout(5):
            await LiveCommands(processes).run(Caller(ours), Execute("a", ("true",), {}, "/"), fds)

    asyncio.run(play())
    assert [hear(theirs, ANSWERS), hear(theirs, ANSWERS)] == [Started(), Exited(-signal.SIGKILL)]
    assert processes.signals == heard
    assert not fds
    ours.close()
    theirs.close()
