"""Commands that other terminals run on the nodes of a run (`skyloom exec`, `skyloom shell`).

Invariant: the end of the command ends the connection, and the end of the connection, or what nobody can have said,
ends the command.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from emulator.runtime.control.encoding import BadMessage
from emulator.runtime.control.messages import Execute, Exited, Signal, Started
from emulator.runtime.programs.launch import Launch
from emulator.runtime.programs.processes import Process, Processes

if TYPE_CHECKING:
    from emulator.runtime.supervisor.caller import Caller

HANGUP_S = 1.0  # from SIGHUP to SIGKILL, where the terminal has gone


class LiveCommands:
    """Runs commands of other terminals."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    async def run(self, caller: Caller, request: Execute, fds: list[int]) -> None:
        """Run a command on a node with the caller's own descriptors; its end, or the caller's, ends the other."""
        launch = Launch(
            0, "terminal", request.node, "exec", command=request.command, environment=request.environment,
            directory=request.directory, terminal=request.terminal,
        )  # fmt: skip
        streams = dict(zip(("stdin", "stdout", "stderr"), fds, strict=True))
        process = self._processes.launch(launch, streams, supervised=False)
        while fds:
            os.close(fds.pop())  # so that the reader of a pipe sees its end when the command has closed it
        caller.send(Started())
        listening = asyncio.ensure_future(self._pass_signals(caller, process))
        try:
            await process.ended.wait()
        finally:
            listening.cancel()
            if process.status is None:
                self._processes.kill([process], signal.SIGKILL)
        assert process.status is not None
        caller.send(Exited(process.status))

    async def _pass_signals(self, caller: Caller, process: Process) -> None:
        kill = self._processes.kill
        while True:
            try:
                message = await caller.hear((Signal,))
            except (OSError, BadMessage):
                message = None
            if message is None or message.signum not in signal.valid_signals():
                kill([process], signal.SIGHUP)
                await asyncio.sleep(HANGUP_S)
                kill([process], signal.SIGKILL)
                return
            kill([process], message.signum)
