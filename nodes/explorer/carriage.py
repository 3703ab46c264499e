"""Carriage: the agent travels over a TCP connection to a neighbour, which says when it is there.

Invariant: the only route to a neighbour is the link between the two, so a link that is down carries no agent; and a
sender forgets its agent only after the receipt. What is no agent, or comes from nobody next door, is refused and
counted.
"""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Iterable

from emulator.sdk.node import NodeContext
from nodes.explorer.core import Agent
from nodes.explorer.wire import HEADER, RECEIPT, Header, decode, frame, receipt

RECEIVE_S = 10.0  # how long a neighbour may take to send an agent
OnAgent = Callable[[Agent, int, int], bool]  # agent, step, node that sent it: whether it is taken in


class Unanswered(ConnectionError):
    """The agent was sent and no receipt came: it may be there, and it may not."""


class Carriage:
    """Both sides of the journey. `on_agent` is asked about every agent that arrives whole."""

    def __init__(self, context: NodeContext, port: int, neighbours: Iterable[int], on_agent: OnAgent) -> None:
        self.refused = 0
        self._now = context.now
        self._host = context.address.ipv4
        self._port = port
        self._addresses = {node: context.peers[f"n{node}"].ipv4 for node in neighbours}
        self._nodes = {address: node for node, address in self._addresses.items()}
        self._on_agent = on_agent
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen for agents."""
        self._server = await asyncio.start_server(self._receive, self._host, self._port)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def carry(self, agent: Agent, step: int, to: int, timeout_s: float) -> None:
        """Send the agent to a neighbour, and return when it says that it has it.

        OSError where there is no connection, and the agent is certainly not there; else Unanswered.
        """
        deadline_s = self._now() + timeout_s
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(self._addresses[to], self._port, local_addr=(self._host, 0))
        try:
            writer.write(frame(step, agent))
            async with asyncio.timeout(deadline_s - self._now()):
                answer = await reader.readexactly(RECEIPT.size)
        except (OSError, EOFError) as error:  # TimeoutError is an OSError
            raise Unanswered(f"no receipt: {error or type(error).__name__}") from error
        finally:
            writer.close()
        if answer != receipt(step):
            raise Unanswered(f"{answer!r}, expected the receipt {receipt(step)!r}")

    async def _receive(self, reader: StreamReader, writer: StreamWriter) -> None:
        """A connection of somebody who wants to send an agent."""
        try:
            sender = self._nodes[writer.get_extra_info("peername")[0]]
            async with asyncio.timeout(RECEIVE_S):
                header = Header.decode(await reader.readexactly(HEADER.size))
                agent = decode(await reader.readexactly(header.body_bytes))
        except (OSError, EOFError, ValueError, KeyError, TypeError):  # TypeError: it has gone, and has no name
            self.refused += 1
        else:
            if self._on_agent(agent, header.step, sender):
                writer.write(receipt(header.step))
            else:
                self.refused += 1
        finally:
            writer.close()
