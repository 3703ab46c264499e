"""The schedule of a run as its processes see it: the ring of rows, and the planner that keeps it ahead of play.

Invariant: the planner is forked before the fabric is built and has one SEQPACKET socket to its parent; its end is
noticed.
"""

from __future__ import annotations

import asyncio
import difflib
import select
from collections import defaultdict
from math import ceil, inf
from typing import TYPE_CHECKING, Any

from emulator.model.errors import EmulationError, SkyloomError, UsageError
from emulator.runtime.control.channel import Channel, Message
from emulator.runtime.programs.child import Child, return_freed_memory
from emulator.schedule.row_digest import Joined, KeptDigests

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emulator.model.network import Network
    from emulator.schedule.fib import FibCompiler
    from emulator.schedule.ring import RowRing

RING_BYTES = 48e6  # largest size of the ring for a large network; it holds at least MIN_ROWS rows
JOINED_KEPT = 64
PLANNER_BATCH = 4  # messages of the planner in one turn
MAX_ROWS, MIN_ROWS = 16, 4


class Planning:
    """Ring and planner of one run. `compared`: rows are held against those of other hosts."""

    def __init__(self, network: Network, duration_s: float, compared: bool = False) -> None:
        self.network = network
        self.number = {node.name: number for number, node in enumerate(network.nodes)}
        self.joined: dict[int, Joined] = {}  # of the last JOINED_KEPT rows by their step, where they are compared
        self._compared = compared
        self.steps = 0
        self.ring: RowRing | None = None
        self.planner: Child | None = None
        self.planner_channel: Channel | None = None
        self.planner_summary: Message = {}
        self.row_digests = KeptDigests()
        self.late_rows = 0
        self.failure = ""  # of the planner
        self._routes: dict[int, list[Any]] = defaultdict(list)  # kernel routes by the step that they begin with
        self._rows = 0
        if network.timeline is not None:
            self.steps = ceil(duration_s / network.timeline.step_s) + 2

    @property
    def step_s(self) -> float:
        assert self.network.timeline is not None
        return self.network.timeline.step_s

    def start_planner(self, close: list[int]) -> None:
        """Fork the planner, if the network has a timeline. `close`: descriptors that it must not keep."""
        timeline = self.network.timeline
        if timeline is None:
            return
        from emulator.schedule.planner import run_planner
        from emulator.schedule.ring import RowRing

        shape = 2 * len(self.network.links), len(self.network.nodes), len(self.network.live)
        substep = self.network.substep
        per_row = RowRing(*shape, MIN_ROWS, substep).bytes_per_row  # unused pages cost nothing
        ring = self.ring = RowRing(*shape, max(MIN_ROWS, min(MAX_ROWS, int(RING_BYTES / per_row))), substep)
        fibs = self._fibs()
        ours, theirs = Channel.pair()
        self.planner_channel = ours
        steps, compared = self.steps, self._compared

        def plan() -> None:
            return_freed_memory()
            run_planner(timeline, ring, theirs.socket, steps, fibs=fibs, compared=compared)

        self.planner = Child("planner", plan, close=[*close, ours.fileno()])
        theirs.close()

    def _fibs(self) -> Sequence[FibCompiler]:
        """The compilers of the kernel routes that are wanted here."""
        return ()

    def wait_for_rows(self, count: int, progress: Callable[[float, float], None]) -> None:
        """Wait until `count` of the planner's first rows are ready. EmulationError if the planner has failed."""
        count = min(count, self.steps)
        while self.planner is not None and self._rows < count:
            progress(self._rows, count)
            self._hear_planner(0.1)
            self.check_planner()

    def start(self, t0_ns: int) -> None:
        """Send the planner the start time of play."""
        if self.planner_channel is not None:
            self.planner_channel.socket.setblocking(False)
            try:
                self.planner_channel.send({"op": "start", "t0_ns": t0_ns})
            except OSError:  # it has ended, as the planner of a short run does after its last row
                pass

    def attach(self, broken: Callable[[SkyloomError], None]) -> None:
        """Serve the planner in the running event loop; `broken` hears why it failed."""
        loop = asyncio.get_running_loop()
        if self.planner is not None and self.planner_channel is not None:
            loop.add_reader(self.planner.fileno(), self._planner_ended, broken)
            loop.add_reader(self.planner_channel.fileno(), self._planner_said)

    def detach(self) -> None:
        """Serve it no longer."""
        loop = asyncio.get_running_loop()
        if self.planner is not None and self.planner_channel is not None:
            if self.planner.status is None:
                loop.remove_reader(self.planner.fileno())
            loop.remove_reader(self.planner_channel.fileno())

    def hear_planner(self) -> bool:
        """Process some messages of the planner, for the event loop, which calls again while there are more.

        Returns False after the planner has closed its socket.
        """
        return self._hear_planner(0.0, PLANNER_BATCH)

    def check_planner(self) -> None:
        """EmulationError if the planner has failed."""
        if self.failure:
            raise EmulationError(f"the schedule cannot be computed: {self.failure}")
        if self.planner is not None and self.planner.wait(0.0) and self.planner.status != 0:
            self._hear_planner(0.0)
            raise EmulationError(f"{self.planner.describe_end()}{': ' if self.failure else ''}{self.failure}")

    def live_node(self, name: str) -> int:
        """Number of a live node. UsageError if there is none of this name."""
        number = self.number.get(name)
        if number is None:
            near = difflib.get_close_matches(name, self.number, 1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"there is no node {name!r} in this run{meant} (`skyloom exec` lists the live ones)")
        if not self.network.nodes[number].live:
            raise UsageError(
                f"{name} is a transit node without a namespace; `materialise` in the scenario gives it one"
            )
        return number

    def close(self) -> None:
        """End the planner if it still runs."""
        if self.planner is not None:
            self.planner.kill()

    def _planner_said(self) -> None:
        if not self.hear_planner():
            assert self.planner_channel is not None
            asyncio.get_running_loop().remove_reader(self.planner_channel.fileno())

    def _planner_ended(self, broken: Callable[[SkyloomError], None]) -> None:
        assert self.planner is not None
        asyncio.get_running_loop().remove_reader(self.planner.fileno())
        try:
            self.check_planner()
        except EmulationError as error:
            broken(error)

    def _hear_planner(self, wait_s: float, most: float = inf) -> bool:
        channel = self.planner_channel
        if channel is None:
            return False
        poll = select.poll()
        poll.register(channel, select.POLLIN)
        ready = poll.poll(wait_s * 1e3)
        while ready:
            message, _ = channel.receive()
            if message is None:
                return False
            match message["op"]:
                case "routes":
                    self._routes[message["step"]] += message["deltas"]
                case "row":
                    self._rows = message["step"] + 1
                    self.late_rows += message["late_s"] > 0
                    self.row_digests.note(self._rows, message["digest"])
                    if "joined" in message:
                        self.joined[message["step"]] = Joined(*message["joined"])
                        self.joined.pop(message["step"] - JOINED_KEPT, None)
                case "failed":
                    self.failure = message["message"]
                case "summary":
                    self.planner_summary = message
            most -= 1
            ready = poll.poll(0) if most > 0 else []
        return True
