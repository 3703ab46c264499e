"""A node's line to the run, beside its records: barriers, actions on the network, counts of rounds.

Invariant: messages leave in order and none is lost. Where the channel is full they wait for room; few can wait (one
barrier at a time, counts summed up between two flushes). A message that cannot be encoded (a tally of texts, an action
of 100 kB) raises in the call that sends it, and stops no later one.
"""

from __future__ import annotations

import asyncio
import operator
from collections import deque
from collections.abc import Mapping
from typing import Any

from emulator.model.errors import UsageError
from emulator.runtime.control.encoding import encode
from emulator.runtime.control.messages import ActionDone, AskAction, CountRound, Meet, Met
from emulator.runtime.control.transport import Transport


class ChannelCoordination:
    """The `Line` of a context over the control channel, which must be non-blocking."""

    def __init__(self, channel: Transport) -> None:
        self._channel = channel
        self._outgoing: deque[bytes] = deque()
        self._meetings: dict[int, asyncio.Future[dict[str, int]]] = {}
        self._actions: dict[int, asyncio.Future[None]] = {}
        self._acted = 0
        self._round = -1
        self._sent = self._received = self._in_slot = 0
        self._writing = False

    async def meet(self, round: int, tally: Mapping[str, int]) -> dict[str, int]:
        if round in self._meetings:
            raise RuntimeError(f"this process is at the barrier of round {round} already")
        counts = {str(key): operator.index(value) for key, value in tally.items()}
        answer: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()
        self._meetings[round] = answer
        try:
            self.flush()
            self._say(Meet(round, counts))
            return await answer
        finally:
            del self._meetings[round]

    async def act(self, given: dict[str, Any]) -> None:
        self._acted += 1
        number = self._acted
        done = self._actions[number] = asyncio.get_running_loop().create_future()
        try:
            self._say(AskAction(number, given))
            await done
        finally:
            del self._actions[number]

    def note_round(self, round: int, sent: int, received: int, in_slot: int) -> None:
        self._round = max(self._round, round)
        self._sent += sent
        self._received += received
        self._in_slot += in_slot

    def flush(self) -> None:
        """Say what was counted since the last time."""
        if self._counted():
            self._push()

    def drain(self) -> None:
        """The last words of a process whose loop has ended, on a channel that may wait."""
        self._counted()
        while self._outgoing:
            try:
                self._channel.send_bytes(self._outgoing[0])
            except OSError:  # nobody listens any more
                return
            self._outgoing.popleft()

    def heard(self, message: Met | ActionDone) -> None:
        """An answer of the supervisor."""
        match message:
            case Met(round, totals):
                answer = self._meetings.get(round)
                if answer is not None and not answer.done():
                    answer.set_result(totals)
            case ActionDone(number, error):
                done = self._actions.get(number)
                if done is None or done.done():
                    return
                if error:
                    done.set_exception(UsageError(error))
                else:
                    done.set_result(None)

    def _counted(self) -> bool:
        """Put what was counted since the last time among what is to be said; whether there was anything."""
        if self._round < 0:
            return False
        self._outgoing.append(encode(CountRound(self._round, self._sent, self._received, self._in_slot)))
        self._round = -1
        self._sent = self._received = self._in_slot = 0
        return True

    def _say(self, message: Meet | AskAction) -> None:
        self._outgoing.append(encode(message))
        self._push()

    def _push(self) -> None:
        """Send what the channel takes, and come back when it takes more."""
        loop = asyncio.get_running_loop()
        while self._outgoing:
            try:
                self._channel.send_bytes(self._outgoing[0])
            except BlockingIOError:
                if not self._writing:
                    loop.add_writer(self._channel.fileno(), self._push)
                    self._writing = True
                return
            except OSError:  # the supervisor is gone
                self._outgoing.clear()
                break
            self._outgoing.popleft()
        if self._writing:
            loop.remove_writer(self._channel.fileno())
            self._writing = False
