"""Bulk: TCP flows between nodes, as fast as they go or at a capped rate.

Samples of the receiver, with the sender as key: `goodput_bps` over each interval and `flow_bytes` so far. Samples of
the sender, with the receiver as key: `tcp_rtt_s` and `tcp_retransmits` so far, as the kernel has them. Events:
`flow` at the receiver when a flow ends (peer, flow, bytes, duration_s, mean_bps), `flow-sent` at the sender (peer,
flow, bytes, retransmits, rtt_ms), `flow-broken` where the connection failed; the sender then tries again.
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass, field
from math import inf

from emulator.model.units import Duration, Rate, Size
from emulator.sdk.node import Node
from emulator.sdk.streams import Stream, require_congestion_control
from nodes.traffic.core import Meter, Pacer, parse_pairs, require_bounds
from nodes.traffic.wire import Greeting

CHUNK_BYTES = 1 << 17
RETRY_S = 1.0


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

    async def setup(self) -> None:
        context = self.context
        names = {context.name, *context.members}
        pairs = enumerate(parse_pairs(self.config.flows, names))
        own = [(to, place * self.config.stagger_s) for place, (source, to) in pairs if source == context.name]
        self.targets = [target for target in own for _ in range(self.config.streams)]
        self._listener = context.listen(self.config.port, strangers=True)
        if self.config.congestion:
            require_congestion_control(self.config.congestion)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._listener.serve(self._receive))]
            tasks += [group.create_task(self._send(number, *target)) for number, target in enumerate(self.targets)]
            await self.context.stopping.wait()
            for task in tasks:
                task.cancel()

    async def _receive(self, stream: Stream) -> None:
        """One incoming flow, to its end."""
        context, sender = self.context, stream.peer
        buffer = bytearray(CHUNK_BYTES)
        meter = Meter(context.now(), self.config.interval_s)
        flow = -1
        ticking = asyncio.ensure_future(self._tick(meter, sender))
        try:
            flow = Greeting.decode(await stream.receive_exactly(Greeting.BYTES)).flow
            while count := await stream.receive_into(buffer):
                meter.count(count, context.now())
        except EOFError:
            pass  # it ended before it had said which flow it is
        except (OSError, ValueError) as error:
            context.emit("flow-broken", peer=sender, flow=flow, text=str(error))
        finally:
            ticking.cancel()
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
            try:
                stream = await context.connect(to, config.port, congestion=config.congestion)
                with closing(stream):
                    await self._send_over(stream, flow, pacer, start_s + config.duration_s)
            except OSError as error:
                context.emit("flow-broken", peer=to, flow=flow, text=str(error))
                await context.sleep(RETRY_S)

    async def _send_over(self, stream: Stream, flow: int, pacer: Pacer, until_s: float) -> None:
        context = self.context
        zeros = memoryview(bytes(CHUNK_BYTES))
        before = pacer.sent_bytes
        telling = asyncio.ensure_future(self._tell(stream))
        try:
            await stream.send(Greeting(flow).encode())
            while not pacer.done and (now_s := context.now()) < until_s:
                count = pacer.allowance(now_s, CHUNK_BYTES)
                if count > 0:
                    await stream.send(zeros[:count])
                    pacer.sent(count)
                if wait_s := pacer.wait_s():
                    await context.sleep(max(wait_s, 0.001))
        finally:
            telling.cancel()
            info = stream.info()
            context.emit(
                "flow-sent", peer=stream.peer, flow=flow, bytes=pacer.sent_bytes - before,
                retransmits=info.retransmits, rtt_ms=info.rtt_us / 1e3,
            )  # fmt: skip

    async def _tell(self, stream: Stream) -> None:
        """What the kernel knows of an outgoing connection, each interval."""
        context = self.context
        while True:
            info = stream.info()
            context.sample("tcp_rtt_s", info.rtt_us / 1e6, stream.peer)
            context.sample("tcp_retransmits", info.retransmits, stream.peer)
            await context.sleep(self.config.interval_s)
