"""Bulk: TCP flows between nodes, as fast as they go or at a capped rate.

Samples of the receiver, with the sender as key: `goodput_bps` over each interval and `flow_bytes` so far. Events:
`flow` at the receiver when a flow ends (peer, flow, bytes, duration_s, mean_bps), `flow-sent` at the sender (peer,
flow, bytes, retransmits, rtt_ms), `flow-broken` where the connection failed; the sender then tries again.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from math import inf

from emulator.model.errors import EmulationError
from emulator.model.units import Duration, Rate, Size
from emulator.sdk.node import Node, NodeContext
from nodes.traffic.core import Meter, Pacer, parse_pairs, require_bounds
from nodes.traffic.wire import Greeting

CHUNK_BYTES = 1 << 17
RETRY_S = 1.0
_TCP_INFO_U32S = struct.Struct("=8x24I")
_RTT_US, _TOTAL_RETRANSMITS = 15, 23  # places of tcpi_rtt and tcpi_total_retrans in struct tcp_info


class Bulk(Node):
    """Receives flows on its port, and sends those whose source it is."""

    protocol = "nodes.traffic.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config:
        flows: list[str] = field(default_factory=list)  # "from -> to", names of nodes that run this program
        rate_bps: Rate = inf  # cap of what a flow offers
        total_bytes: Size = inf  # of a flow; by default until `duration` or the end
        duration_s: Duration = inf  # of a flow's sending
        streams: int = 1  # connections of each flow; "flow" and "flow-sent" are told for each
        stagger_s: Duration = 0.0  # each flow of the list begins so much after the one before it; the first at once
        interval_s: Duration = 1.0  # of goodput samples
        congestion: str = ""  # congestion control of the sender ("cubic", "bbr", "reno"); empty: the kernel's default
        port: int = 5001

        def __post_init__(self) -> None:
            require_bounds({"interval": self.interval_s, "streams": self.streams}, {"stagger": self.stagger_s})

    def __init__(self, config: Config, context: NodeContext) -> None:
        super().__init__(config, context)
        self._receiving: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._names = {peer.ipv4: peer.name for peer in context.peers.values()}

    async def setup(self) -> None:
        context = self.context
        names = {context.name, *context.members}
        pairs = enumerate(parse_pairs(self.config.flows, names))
        own = [(to, place * self.config.stagger_s) for place, (source, to) in pairs if source == context.name]
        self.targets = [target for target in own for _ in range(self.config.streams)]
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((context.address.ipv4, self.config.port))
        self._listener.listen(128)
        if self.config.congestion:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
                self._choose_congestion_control(trial)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            accepting = group.create_task(self._accept())
            senders = [group.create_task(self._send(number, *target)) for number, target in enumerate(self.targets)]
            await self.context.stopping.wait()
            for task in (accepting, *senders, *self._receiving):
                task.cancel()

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()

    def _choose_congestion_control(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self.config.congestion.encode())
        except OSError as error:
            with open("/proc/sys/net/ipv4/tcp_allowed_congestion_control") as file:
                allowed = file.read().strip()
            raise EmulationError(
                f"congestion control {self.config.congestion!r}: {error.strerror}; this kernel allows: {allowed}"
            ) from error

    async def _accept(self) -> None:
        assert self._listener is not None
        loop = asyncio.get_running_loop()
        while True:
            connection, address = await loop.sock_accept(self._listener)
            connection.setblocking(False)
            task = loop.create_task(self._receive(connection, self._names.get(address[0], address[0])))
            self._receiving.add(task)
            task.add_done_callback(self._receiving.discard)

    async def _receive(self, connection: socket.socket, sender: str) -> None:
        """One incoming flow, to its end."""
        loop, context = asyncio.get_running_loop(), self.context
        buffer = bytearray(CHUNK_BYTES)
        meter = Meter(context.now(), self.config.interval_s)
        flow = -1
        greeting = b""
        ticking = loop.create_task(self._tick(meter, sender))
        try:
            while len(greeting) < Greeting.BYTES:
                part = await loop.sock_recv(connection, Greeting.BYTES - len(greeting))
                if not part:
                    return
                greeting += part
            flow = Greeting.decode(greeting).flow
            while count := await loop.sock_recv_into(connection, buffer):
                meter.count(count, context.now())
        except (OSError, ValueError) as error:
            context.emit("flow-broken", peer=sender, flow=flow, text=str(error))
        finally:
            ticking.cancel()
            connection.close()
            context.sample("flow_bytes", meter.total_bytes, sender)
            context.emit(
                "flow", peer=sender, flow=flow, bytes=meter.total_bytes,
                duration_s=meter.last_s - meter.start_s, mean_bps=meter.mean_bps(),
            )  # fmt: skip

    async def _tick(self, meter: Meter, sender: str) -> None:
        while True:
            await self.context.sleep_until(meter.due_s())
            self.context.sample("goodput_bps", meter.cut(self.context.now()), sender)
            self.context.sample("flow_bytes", meter.total_bytes, sender)

    async def _send(self, flow: int, to: str, after_s: float) -> None:
        """One outgoing flow: connect, again where that fails, and send until all is sent or time is up."""
        context, config = self.context, self.config
        if after_s:
            await context.sleep(after_s)
        start_s = context.now()
        pacer = Pacer(config.rate_bps, config.total_bytes, start_s)
        while not pacer.done and context.now() < start_s + config.duration_s:
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                if config.congestion:
                    self._choose_congestion_control(connection)
                connection.bind((context.address.ipv4, 0))
                await self._send_over(connection, flow, to, pacer, start_s + config.duration_s)
            except OSError as error:
                context.emit("flow-broken", peer=to, flow=flow, text=str(error))
                await context.sleep(RETRY_S)
            finally:
                connection.close()

    async def _send_over(self, connection: socket.socket, flow: int, to: str, pacer: Pacer, until_s: float) -> None:
        loop, context = asyncio.get_running_loop(), self.context
        await loop.sock_connect(connection, (context.peers[to].ipv4, self.config.port))
        zeros = memoryview(bytes(CHUNK_BYTES))
        before = pacer.sent_bytes
        try:
            await loop.sock_sendall(connection, Greeting(flow).encode())
            while not pacer.done and (now_s := context.now()) < until_s:
                count = pacer.allowance(now_s, CHUNK_BYTES)
                if count > 0:
                    await loop.sock_sendall(connection, zeros[:count])
                    pacer.sent(count)
                if wait_s := pacer.wait_s():
                    await context.sleep(max(wait_s, 0.001))
        finally:
            info = _TCP_INFO_U32S.unpack(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104))
            context.emit(
                "flow-sent", peer=to, flow=flow, bytes=pacer.sent_bytes - before,
                retransmits=info[_TOTAL_RETRANSMITS], rtt_ms=info[_RTT_US] / 1e3,
            )  # fmt: skip
