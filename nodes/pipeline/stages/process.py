"""The program of a node that may run a stage: links, a clock, and a thread for the engine, around the core.

Events: `chunk`, for each that was computed (request, epoch, offset, tokens, bytes that leave, queue: the chunks that
wait, and scenario times received_s, begun_s, decoded_s, computed_s, encoded_s); `source-lost` (source), where the stage
ends because that node is gone; at the end `processor` (asked and delivered share of a core, cpu_s) and, where there
were some, `rejected` (counts by reason).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from math import inf

from emulator.model.errors import DataError, Unfit
from emulator.model.units import Share, Size
from emulator.sdk.node import Node
from emulator.sdk.transport.config import LinkConfig
from emulator.sdk.transport.links import Links
from nodes.pipeline.codecs import store
from nodes.pipeline.model.named import Name, load_cached, sha256_of
from nodes.pipeline.stages.core import Compute, Result, StageCore
from nodes.pipeline.stages.engine import Engine
from nodes.pipeline.stages.wire import CODEC, PORT, End, Message

SERVICE = "pipeline"
LINK = LinkConfig(retry_most_s=1.0, heartbeat_s=0.5, silence_s=2.0, queue_bytes=float(1 << 28))
"""A lost connection is noticed within 2 s; keys and values of a segment find room."""
SOURCE_LOST_S = 120.0  # without a connection to it; by default the source itself gives up after 100 s without nodes
LOOK_S = 1.0  # between two looks whether it is there


@dataclass(frozen=True, slots=True)
class Common:
    """Settings that all programs of a pipeline have."""

    nodes: list[str] = field(default_factory=lambda: ["*"])  # names and globs of all nodes of the pipeline
    model: Name = "smollm2"  # SmolLM2-135M-Instruct, or a tiny one with random weights
    cpu: Share = 1.0  # of one core: computing takes its processor time over this share
    memory_bytes: Size = inf  # for weights, keys and values; a segment that needs more is refused
    window: int = 3  # chunks between two stages, waiting or on the way
    port: int = PORT

    def __post_init__(self) -> None:
        if not 0 < self.cpu <= 1:
            raise Unfit(f"`cpu` of {self.cpu * 100:g} %", "more than 0 % and at most 100 %, of a core")
        if not 1 <= self.window <= 64:
            raise Unfit(f"`window` of {self.window}", "1 to 64 chunks")
        if not 1 <= self.port <= 65535:
            raise Unfit(f"`port` {self.port}", "1 to 65535")


class Stage(Node):
    """A node of a pipeline. Which blocks it runs, the source says: the node with `prompt`."""

    protocol = "nodes.pipeline.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(Common):
        source: str  # the node that asks; requests of other nodes are refused

    @property
    def source(self) -> str:
        """The node that asks."""
        return str(self.config.source)

    async def setup(self) -> None:
        context, config = self.context, self.config
        self.sha256 = sha256_of(config.model)
        self.gguf = load_cached(config.model)
        path = store.cached_path(self.sha256)
        statistics = store.load(path, self.sha256) if path.exists() else {}
        self.engine = Engine(
            self.gguf, statistics, share=config.cpu, memory_bytes=config.memory_bytes, now=context.clock.now
        )
        self.links = Links(
            context, CODEC, self.arrived, peers=[peer.name for peer in context.matching(config.nodes)],
            service=SERVICE, port=config.port, config=LINK,
        )  # fmt: skip
        if self.source not in (context.name, *self.links.peers):
            raise DataError(f"`source` {self.source!r}; expected a node that `nodes` match: {', '.join(config.nodes)}")
        context.exit_stack.callback(self.links.close)
        await self.links.open()
        self.core = StageCore(
            context.name, self.source, bytes.fromhex(self.sha256), config.window,
            lambda node: node in self.links.connected(),
        )  # fmt: skip
        self._ended = asyncio.Event()
        self._changed = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "engine")
        context.exit_stack.callback(self._thread.shutdown, wait=False, cancel_futures=True)

    async def run(self) -> None:
        await self.context.until_stopped(self.links.run(), self.compute(), self._ended.wait(), self.watch_source())
        self.report()

    async def compute(self) -> None:
        """Give the engine its jobs, one after another."""
        loop = asyncio.get_running_loop()
        while True:
            job = self.core.next_job()
            self.turn()
            if job is None:
                await self._changed.wait()
                self._changed.clear()
                continue
            result = await loop.run_in_executor(self._thread, self.engine.do, job)
            if isinstance(job, Compute):
                self._trace(job, result)
            self.core.done(result)

    async def watch_source(self) -> None:
        """Return when the source has been out of reach for too long: nothing replaces it."""
        context = self.context
        seen_s = context.now()
        while context.now() - seen_s < SOURCE_LOST_S:
            await context.sleep(LOOK_S)
            if self.source in self.links.connected():
                seen_s = context.now()
        context.emit("source-lost", source=self.source)

    def arrived(self, sender: str, message: Message) -> None:
        """A message of another node."""
        self.accept(sender, message)
        self.turn()

    def accept(self, sender: str, message: Message) -> None:
        """A message, also of this node itself."""
        if isinstance(message, End):
            if sender == self.source:
                self._ended.set()
            else:
                self.core.rejected["stranger"] += 1
        else:
            self.core.on_message(sender, message, self.context.now())
            self._changed.set()

    def messages(self) -> list[tuple[str, Message]]:
        """What there is to send now."""
        return self.core.take()

    def turn(self) -> None:
        """Send what there is. Where a link has no room a message is lost, and counted there."""
        while messages := self.messages():
            for node, message in messages:
                if node == self.context.name:
                    self.accept(node, message)
                elif node in self.links.peers:
                    self.links.send(node, message)
                else:
                    self.core.rejected["address"] += 1

    def report(self) -> None:
        """The last records."""
        used, rejected = self.engine.used, self.core.rejected + Counter({"links": sum(self.links.rejected.values())})
        delivered = used.cpu_s / used.busy_s if used.busy_s else self.config.cpu
        self.context.emit("processor", asked=self.config.cpu, delivered=delivered, cpu_s=used.cpu_s)
        if counted := +rejected:
            self.context.emit("rejected", **counted)

    def _trace(self, job: Compute, result: Result) -> None:
        chunk = job.chunk
        self.context.emit(
            "chunk", request=chunk.request, epoch=chunk.epoch, offset=chunk.offset, tokens=chunk.tokens,
            bytes=len(result) if isinstance(result, bytes) else 0, queue=len(self.core.queue),
            received_s=job.received_s, **asdict(self.engine.times),
        )  # fmt: skip
