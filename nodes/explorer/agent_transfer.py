"""Agent transfer: the agent moves to a neighbour over a TCP connection, and the neighbour answers with a receipt.

Invariant: the only route to a neighbour is the link between the two, so a link that is down carries no agent; and a
sender forgets its agent only after the receipt. What is no agent, or does not come from a neighbour, is refused and
counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from emulator.sdk.node import NodeContext
from emulator.sdk.streams import Listener, Stream
from nodes.explorer.core import Agent
from nodes.explorer.wire import HEADER, RECEIPT, Header, decode, frame, receipt

RECEIVE_S = 10.0  # how long a neighbour may take to send an agent
OnAgent = Callable[[Agent, int, int], bool]  # agent, step, node that sent it: whether it is accepted


class Unacknowledged(ConnectionError):
    """The agent was sent and no receipt came: the neighbour may have it or not."""


class AgentTransfer:
    """Sends and receives agents. `on_agent` accepts or refuses each agent that has arrived whole."""

    def __init__(self, context: NodeContext, port: int, neighbours: Iterable[int], on_agent: OnAgent) -> None:
        self._context = context
        self._port = port
        self._nodes = {f"n{node}": node for node in neighbours}
        self._on_agent = on_agent
        self._refused = 0
        self._listener: Listener | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def refused(self) -> int:
        """Connections that brought no agent, or one that was refused."""
        return self._refused + (self._listener.rejected.total() if self._listener is not None else 0)

    def open(self) -> asyncio.Task[None]:
        """Receive agents from now on. The task ends with an error only."""
        listener = self._listener = self._context.listen(self._port)
        self._serving = asyncio.ensure_future(listener.serve(self._receive))
        return self._serving

    def close(self) -> None:
        """Receive no more agents."""
        if self._serving is not None and self._listener is not None:
            self._serving.cancel()
            self._listener.close()

    async def send(self, agent: Agent, step: int, to: int, timeout_s: float) -> None:
        """Send the agent to a neighbour, and return when its receipt is here.

        OSError: there is no connection, and the neighbour certainly does not have the agent. Unacknowledged: it may.
        """
        deadline_s = self._context.now() + timeout_s
        async with asyncio.timeout(timeout_s):
            stream = await self._context.connect(f"n{to}", self._port, no_delay=True)
        try:
            async with asyncio.timeout(deadline_s - self._context.now()):
                await stream.send(frame(step, agent))
                answer = await stream.receive_exactly(RECEIPT.size)
        except (OSError, EOFError) as error:  # TimeoutError is an OSError
            raise Unacknowledged(f"no receipt: {error or type(error).__name__}") from error
        finally:
            stream.close()
        if answer != receipt(step):
            raise Unacknowledged(f"{answer!r}, expected the receipt {receipt(step)!r}")

    async def _receive(self, stream: Stream) -> None:
        """A peer has connected. A malformed or late frame ends the connection, which the listener counts."""
        async with asyncio.timeout(RECEIVE_S):
            header = Header.decode(await stream.receive_exactly(HEADER.size))
            agent = decode(await stream.receive_exactly(header.body_bytes))
        sender = self._nodes.get(stream.peer)
        if sender is None or not self._on_agent(agent, header.step, sender):
            self._refused += 1
            return
        with suppress(OSError):  # the sender has gone; it treats a missing receipt as such
            await stream.send(receipt(header.step))
