"""The program of `benchmarks.nodes`, alone in its module: the zygote imports nothing else for it."""

from __future__ import annotations

from emulator.sdk.node import Node


class Idle(Node):
    """Binds a socket and waits."""

    async def setup(self) -> None:
        self.socket = self.context.datagrams(0, lambda data, address, t_s: None)

    async def close(self) -> None:
        self.socket.close()
