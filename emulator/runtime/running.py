"""A run that is built: its parts, joined to each other, and the handling of reports from relay and processes.

Invariant: every part stands when the object is made; only `begun` comes later, with T0.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.link.overrides import Faults
from emulator.model.clock import both_clocks_ns, monotonic_ns
from emulator.observe.expected_rtt import ExpectedRtt
from emulator.observe.schedule_view import ScheduleView
from emulator.observe.snapshot_builder import Moment, SnapshotBuilder
from emulator.observe.usage import Usage
from emulator.runtime.actions.runner import ActionRunner
from emulator.runtime.control.requests import Requests
from emulator.runtime.control.rounds import RoundCount
from emulator.runtime.programs.executions import Executions
from emulator.runtime.programs.launch import Launch
from emulator.runtime.programs.lifecycle import Lifecycle
from emulator.runtime.supervisor import cpu_steal, warnings

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.observe.snapshot import Snapshot
    from emulator.observe.view import View
    from emulator.record.folder import RunFolder
    from emulator.record.verdict import HostRow
    from emulator.runtime.capture.writer import CaptureWriter
    from emulator.runtime.control.launcher_link import LauncherLink
    from emulator.runtime.parts import RunHosts
    from emulator.runtime.plane import Plane
    from emulator.runtime.programs.jobs import Job, Jobs
    from emulator.runtime.programs.processes import Process, Processes
    from emulator.runtime.supervisor.collector import Collector
    from emulator.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Begun:
    """The begin of play: T0 by the run's monotonic clock and by the time of day, and `cpu_steal.read()` of then."""

    t0_ns: int
    t0_utc_ns: int
    ticks: tuple[int, int]


class Running:
    """One built run. `writer`: the process of its own capture, if it has one."""

    def __init__(
        self,
        scenario: Scenario,
        folder: RunFolder,
        network: Network,
        launcher: LauncherLink,
        data_plane: Plane,
        collector: Collector,
        processes: Processes,
        jobs: Jobs,
        hosts: RunHosts,
        writer: CaptureWriter | None = None,
    ) -> None:
        self.scenario, self.folder, self.network = scenario, folder, network
        self.launcher, self.data_plane, self.collector = launcher, data_plane, collector
        self.processes, self.jobs, self.hosts = processes, jobs, hosts
        self.writer = writer
        self.live_nodes = [network.nodes[number].name for number in network.live]
        self.begun: Begun | None = None
        self.host_rows: list[HostRow] = []  # once play has stopped
        self.stop_asked = asyncio.Event()
        self.programs_ended = asyncio.Event()
        self.action_listeners: list[Callable[[float, dict[str, Any]], None]] = []
        self.rounds = RoundCount(scenario.rounds.max_rounds, scenario.rounds.max_messages)
        self.schedule_view = ScheduleView(network, data_plane.ring)
        self.schedule = self.schedule_view.schedule
        faults = Faults(network, data_plane.alter, lambda end: self.schedule.far_node(end, self.now_s()))
        self.executions = Executions(folder.logs, self._spawn_command, self.emit)
        self.action_runner = ActionRunner(
            faults, jobs, self.live_nodes, self.emit, self.executions.start, data_plane.act
        )
        self.lifecycle = Lifecycle(jobs, processes, self._emit_of_job)
        self.lifecycle.on_change = self._note_programs
        perform = self.action_runner.perform
        self.requests = Requests(jobs, self.rounds, perform, processes.tell, data_plane.tell_relay)
        usage = Usage() if data_plane.here else None
        self.snapshot_builder = SnapshotBuilder(network, self.schedule_view, jobs, processes, collector, usage)
        self.snapshot_builder.overrides = faults.overrides
        self.snapshot_builder.node_hosts = data_plane.node_hosts
        data_plane.on_report = self._relay_said
        processes.on_record = collector.record
        processes.on_dropped = collector.dropped
        processes.on_end = self._process_ended
        processes.on_request = self.requests.said
        if data_plane.ring is not None:
            expected_rtt = collector.metrics.expected_rtt = ExpectedRtt(network, data_plane.ring)
            collector.on_load = expected_rtt.load
        launcher.on_stop = self.stop_asked.set
        if launcher.stops:
            self.stop_asked.set()

    # -- time ----------------------------------------------------------------------------------------------------------

    def begin(self, t0_ns: int) -> Begun:
        """Set T0, a reading of the run's monotonic clock."""
        now_ns, utc_ns = both_clocks_ns()
        begun = self.begun = Begun(t0_ns, utc_ns + t0_ns - now_ns, cpu_steal.read())
        self.collector.t0_ns = t0_ns
        return begun

    def now_s(self) -> float:
        """Scenario time; -1 before T0 is set."""
        return (monotonic_ns() - self.begun.t0_ns) * 1e-9 if self.begun is not None else -1.0

    @property
    def played_s(self) -> float:
        """Scenario time up to now, within the scenario's duration; 0 before T0."""
        return min(self.scenario.duration_s, max(0.0, self.now_s()))

    # -- what play and live control ask for ----------------------------------------------------------------------------

    def look(self, view: View) -> Snapshot:
        """The run at this moment, with the rows that `view` asks for."""
        moment = Moment(
            min(self.now_s(), self.scenario.duration_s),
            self.begun.t0_utc_ns * 1e-9 if self.begun is not None else 0.0,
            self.warnings(),
            self.launcher.elapsed_s,
            self.writer.row() if self.writer is not None else None,
            *self.data_plane.hosts(),
        )
        return self.snapshot_builder.snapshot(self.launcher.latest, view, moment)

    def warnings(self) -> list[str]:
        """What a reader of the run must know so far."""
        return [*self.folder.warnings, *warnings.found(self.data_plane, self.collector, self.processes)]

    def emit(self, kind: str, data: dict[str, Any]) -> None:
        """An event of the runtime itself; captures hear of actions."""
        now_s = self.now_s()
        self.collector.event(now_s, "", "skyloom", kind, data)
        if kind == "action":
            for listener in self.action_listeners:
                listener(now_s, data)

    # -- reports -------------------------------------------------------------------------------------------------------

    def _relay_said(self, message: dict[str, Any]) -> None:
        match message["op"]:
            case "error":
                self.folder.warn(f"the relay refused an order: {message['message']}")
            case "done":
                self.requests.relay_done(message["number"])
            case "carrier":
                self.collector.carrier(message)
            case _:
                self.collector.relay_report(message)

    def _process_ended(self, process: Process) -> None:
        self.requests.ended(process)
        self.executions.ended(process)
        job = self.jobs.ended(process, self.now_s())
        if job is not None:
            data = {"status": process.status, "text": process.failure or process.describe_end()}
            self._emit_of_job(job, "program-ended", data)
            if self.begun is not None:
                self.lifecycle.ended(job, process)
        self._note_programs()

    def _emit_of_job(self, job: Job, kind: str, data: dict[str, Any]) -> None:
        self.collector.event(self.now_s(), job.node, job.program.name, kind, data)

    def _note_programs(self) -> None:
        if self.jobs.done:
            self.programs_ended.set()

    def _spawn_command(self, node: str, index: int, command: Sequence[str], output: int) -> Process:
        """A process of the action "exec"; it does not wait for a start."""
        launch = Launch(0, "exec", node, "exec", index=index, command=tuple(command))
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            streams = {"stdin": null, "stdout": output, "stderr": output}
            return self.processes.launch(launch, streams, supervised=False)
        finally:
            os.close(null)

    # -- the end of play -----------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Ask the nodes to end, then the relay. A second "stop" cuts it short."""
        stopping = asyncio.ensure_future(self._stop_processes())
        while not stopping.done() and self.launcher.stops < 2:
            await asyncio.wait([stopping], timeout=0.1)
        if not stopping.done():
            stopping.cancel()
            self.processes.kill(self.processes.alive(), signal.SIGKILL)
        else:
            stopping.result()
        ended_s = time.monotonic()
        final = self.data_plane.stop_relay(quickly=self.launcher.stops >= 2)
        if not final and self.launcher.stops < 2:
            self.folder.warn("the relay's last statistics did not come; counts of packets are a little low")
        self.host_rows = self.hosts.rows(self.processes.all, ended_s)

    async def _stop_processes(self) -> None:
        others = [process for process in self.processes.alive() if process.program == "exec"]
        for process in others:
            process.asked_to_end = True
        self.processes.kill(others, signal.SIGTERM)
        stubborn = await self.jobs.stop(self.jobs.all)
        self.processes.kill(self.processes.alive(), signal.SIGKILL)
        for job in stubborn:
            if job.program.run:
                self.folder.warn(f"{job.node}: program {job.program.name} did not end when asked, and was killed")
