"""Captures of other terminals (`skyloom capture`, Wireshark): the relay copies packets straight into their descriptors.

Invariant: a capture ends with its terminal; a terminal that does not read loses packets of its capture only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.model.errors import UsageError
from emulator.runtime.capture.announcements import Announcements
from emulator.runtime.capture.writer import captured_ends, resolved
from emulator.runtime.control.encoding import BadMessage
from emulator.runtime.control.messages import Capturing, StartCapture, Stop

if TYPE_CHECKING:
    from emulator.model.clock import MonotonicClock
    from emulator.model.network import Network
    from emulator.runtime.plane import Plane
    from emulator.runtime.supervisor.caller import Caller

ROWS_PER_MESSAGE = 200
NEWS_S = 0.1  # between two looks at what a capture should be told


class LiveCaptures:
    """Serves captures. `keys`: the folder of the programs' TLS keys, if they log any; `action_listeners`: whom the run
    tells of actions on the network."""

    def __init__(
        self,
        network: Network,
        data_plane: Plane,
        clock: MonotonicClock,
        t0_utc_ns: int,
        keys: Path | None,
        action_listeners: list[Callable[[float, dict[str, Any]], None]],
    ) -> None:
        self._network, self._data_plane = network, data_plane
        self._clock, self._t0_utc_ns = clock, t0_utc_ns
        self._keys = keys
        self._action_listeners = action_listeners
        self._captures = 1  # 0 is the run's own

    async def serve(self, caller: Caller, request: StartCapture, fds: list[int]) -> None:
        """Let the relay tee records of link ends into the caller's descriptor until the caller leaves."""
        network, links, expression = self._network, request.links, request.filter
        try:
            tree = resolved(expression, network)
        except ValueError as error:
            raise UsageError(f"filter: {error}") from None
        ends = captured_ends(network, links, tree)
        if not ends:
            where = f" that {expression!r} leaves" if tree is not None and captured_ends(network, links) else ""
            raise UsageError(f"{', '.join(links)}: no such link end or node{where}; link ends are named 'node:port'")
        if len(fds) != 1:
            raise UsageError(f"a capture with {len(fds)} descriptors; expected one to write to")
        number, self._captures = self._captures, self._captures + 1
        snaplen = request.snaplen
        announcements = Announcements(network, self._data_plane.ring, ends, snaplen, self._clock.now())
        self._action_listeners.append(announcements.act)
        self._data_plane.tell_relay({"op": "capture", "id": number, "ends": ends, "snaplen": snaplen}, (fds[0],))
        try:
            for names in announcements.first(ROWS_PER_MESSAGE):
                await caller.send_all(names)
            await caller.send_all(Capturing(self._clock.t0_ns, self._t0_utc_ns, str(self._keys or ""), tree))
            leaving = asyncio.ensure_future(self._has_left(caller))
            try:
                while not leaving.done():
                    for news in announcements.news(ROWS_PER_MESSAGE):
                        await caller.send_all(news)
                    await asyncio.wait([leaving], timeout=NEWS_S)
            finally:
                leaving.cancel()
        finally:
            self._action_listeners.remove(announcements.act)
            self._data_plane.tell_relay({"op": "uncapture", "id": number})

    async def _has_left(self, caller: Caller) -> None:
        try:
            while await caller.hear((Stop,)) is not None:
                pass
        except (OSError, BadMessage):
            pass
