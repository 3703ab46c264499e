"""A terminal that has connected to a run, as coroutines of the supervisor's event loop.

Invariant: a caller that has gone, or does not read, costs its own connection and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from emulator.runtime.control.encoding import T
from emulator.runtime.control.messages import Answer
from emulator.runtime.control.transport import Transport, close_all, hear_with_descriptors, say


class Caller:
    """One connection, as coroutines."""

    def __init__(self, channel: Transport) -> None:
        self._channel = channel

    def send(self, message: Answer) -> None:
        try:
            say(self._channel, message)
        except OSError:  # gone, or not reading: it misses this
            pass

    async def send_all(self, message: Answer) -> None:
        """Send, waiting for the caller to read. OSError where it has gone."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                say(self._channel, message)
                return
            except BlockingIOError:
                await self._until(loop.add_writer, loop.remove_writer)

    async def hear(self, expected: tuple[type[T], ...]) -> T | None:
        """The next message; None where the caller has gone. BadMessage."""
        message, fds = await self.receive(expected)
        close_all(fds)
        return message

    async def receive(self, expected: tuple[type[T], ...]) -> tuple[T | None, list[int]]:
        """The next message and its descriptors. BadMessage."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return hear_with_descriptors(self._channel, expected)
            except BlockingIOError:
                await self._until(loop.add_reader, loop.remove_reader)

    def close(self) -> None:
        self._channel.close()

    async def _until(self, add: Callable[..., None], remove: Callable[[int], object]) -> None:
        """Wait until the channel is readable, or writable."""
        ready, fd = asyncio.Event(), self._channel.fileno()
        add(fd, ready.set)
        try:
            await ready.wait()
        finally:
            remove(fd)
