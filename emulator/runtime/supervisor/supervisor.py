"""The supervisor: the process that controls a run, from an empty sandbox to its verdict.

    schedule ─▶ build ─▶ start ─▶ play ─▶ analysis        planner, fabric, relay; zygote, nodes; T0; tables, verdict

Invariant: every process of the run descends from it. Whatever ends a stage early (an error, a stop), there is a verdict
of the stages that were reached, and the final message to the launching command.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.model.clock import MonotonicClock
from emulator.model.errors import EXIT_INTERNAL, SkyloomError
from emulator.observe.panels import Panels
from emulator.observe.snapshot_builder import About, opening
from emulator.record.verdict import Verdict
from emulator.runtime.actions import undone
from emulator.runtime.capture.writer import CaptureWriter, key_folder, writer_for
from emulator.runtime.control import session
from emulator.runtime.control.channel import Channel
from emulator.runtime.control.launcher_link import Interrupted, LauncherLink
from emulator.runtime.parts import OneMachine, Parts, RunHosts
from emulator.runtime.plane import Plane
from emulator.runtime.programs.jobs import READY_TIMEOUT_S, Jobs, introduction
from emulator.runtime.programs.processes import Processes
from emulator.runtime.running import Begun, Running
from emulator.runtime.supervisor import cpu_steal, ending, late, warnings
from emulator.runtime.supervisor.collector import Collector
from emulator.runtime.supervisor.live import LiveControl
from emulator.runtime.supervisor.live_captures import LiveCaptures
from emulator.runtime.supervisor.live_commands import LiveCommands
from emulator.runtime.supervisor.run_loop import RunLoop
from emulator.runtime.supervisor.schedule_steps import ScheduleSteps
from emulator.scenario.toml.writer import scenario_toml

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.record.folder import RunFolder
    from emulator.runtime.cluster.machines import Cluster
    from emulator.runtime.cluster.partition import Partition
    from emulator.scenario import Scenario

READY_ROWS = 2  # of the schedule before play begins: the first and the next


@dataclass(slots=True)
class Reached:
    """The results of the stages so far (None: not reached), and the error that ended them; input of the verdict."""

    data_plane: Plane | None = None
    collector: Collector | None = None
    hosts: RunHosts | None = None
    writer: CaptureWriter | None = None
    running: Running | None = None
    played_s: float = 0.0
    interrupted: bool = False
    error: str = ""
    error_code: int | None = None

    def note(self, error: BaseException) -> None:
        """Record the error that ended a stage. An error that was reported earlier takes precedence."""
        if isinstance(error, Interrupted):
            self.interrupted = True
            return
        if not isinstance(error, SkyloomError):
            traceback.print_exception(error)
        if self.error:
            return
        if isinstance(error, SkyloomError):
            self.error, self.error_code = str(error), error.exit_code
        else:
            self.error = f"internal error: {type(error).__name__}: {error}; the traceback is in {session.own_log()}"
            self.error_code = EXIT_INTERNAL


class Supervisor:
    """One run. `listener` is the socket of its live control, `channel` the connection to the command that started it.

    `root`: whether that command had root's rights; every process of the sandbox has. `partition`: which host each node
    is on, where there are several.
    """

    def __init__(
        self,
        scenario: Scenario,
        folder: RunFolder,
        network: Network,
        channel: Channel,
        listener: socket.socket,
        capture: Sequence[str] = (),
        root: bool = True,
        partition: Partition | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        self.scenario = scenario
        self.folder = folder
        self.network = network
        limit_ms = scenario.fidelity.lateness_p99_s * 1e3
        about = About(
            scenario.name, scenario.seed, folder.run_id, str(folder.path), scenario.duration_s, limit_ms
        )  # fmt: skip
        self.launcher = LauncherLink(channel, opening(about, network))
        self.listener = listener
        self.captured = [*scenario.capture.links, *capture]
        self._root = root
        self._partition = partition
        self._cluster = cluster
        self._keys = key_folder(folder.path, scenario.capture, self.captured)

    def run(self) -> int:
        """Run all stages; returns the exit code."""
        reached = Reached()
        try:
            self._stages(reached)
        except BaseException as error:  # code of a scenario may raise others too, such as SystemExit
            reached.note(error)
        code = self._conclude(reached)
        self.launcher.end(code, reached.error)
        return code

    # -- stages --------------------------------------------------------------------------------------------------------

    def _stages(self, reached: Reached) -> None:
        """All stages up to the end of play; `reached` gets the result of each."""
        session.begin("supervisor", self.folder.logs / session.RUN_LOG)
        signal.signal(signal.SIGTERM, lambda *_: self.launcher.stop())
        collector = reached.collector = Collector(
            self.folder, self.network, Panels.of(self.scenario, self.network)
        )  # fmt: skip
        keep_out = [self.launcher.channel.fileno(), self.listener.fileno()]  # not for forked processes
        parts = self._parts(keep_out)
        data_plane = reached.data_plane = parts.plane()
        self.launcher.progress("schedule", 0, 2, "planner")
        data_plane.start_planner(keep_out)
        processes, jobs, hosts = self._programs(parts)
        reached.hosts = hosts
        platform = self._describe()
        self._build(data_plane)
        hosts.prepare(lambda done, total: self.launcher.progress("build", done, total, "hosts"))
        writer = reached.writer = writer_for(
            self.scenario, self.folder, self.network, self.captured, data_plane.ring, keep_out
        )  # fmt: skip
        running = reached.running = Running(
            self.scenario, self.folder, self.network, self.launcher, data_plane, collector, processes, jobs,
            hosts, writer,
        )  # fmt: skip
        data_plane.start_relay(keep_out)
        _new_loop().run_until_complete(self._live(running, platform, reached))

    def _parts(self, keep_out: list[int]) -> Parts:
        """What the run consists of below this process, here or on several hosts."""
        if self._partition is None:
            return OneMachine(self.scenario, self.network, self.folder)
        from emulator.runtime.cluster.parts import SeveralHosts
        from emulator.runtime.cluster.pseudo_hosts import PseudoHosts

        cluster = self._cluster or PseudoHosts(self._partition.hosts, keep_out)
        return SeveralHosts(self.scenario, self.network, self.folder, self._partition, cluster, self._keys)

    def _programs(self, parts: Parts) -> tuple[Processes, Jobs, RunHosts]:
        """The zygotes, which import programs while the rest is built, and the jobs that they will start."""
        zygotes, hosts = parts.programs(self._keys)
        processes = Processes(zygotes, self.folder.logs)
        jobs = Jobs(self.scenario, self.network, processes)
        zygotes.prepare(introduction(self.scenario, self.network))
        return processes, jobs, hosts

    def _describe(self) -> dict[str, Any]:
        """Write scenario.toml and platform.json, so that even a failed run can be repeated and judged; returns the
        content of platform.json."""
        from emulator.record.folder import platform_facts

        self.folder.write_scenario(scenario_toml(self.scenario), sys.argv)
        platform = {**platform_facts(sys.argv), "root": self._root}
        self.folder.write_platform(platform)
        return platform

    def _build(self, data_plane: Plane) -> None:
        """Make namespaces, ports and the first routes."""
        progress = self.launcher.progress
        data_plane.build(lambda done, total: progress("build", done, total, "nodes"))
        data_plane.wait_for_rows(READY_ROWS, lambda done, total: progress("build", done, total, "first rows"))
        data_plane.apply_first_routes(lambda done, total: progress("build", done, total, "routes"))

    async def _live(self, running: Running, platform: dict[str, Any], reached: Reached) -> None:
        """Start the processes, play, and stop the processes."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self.launcher.channel.fileno(), self._hear_launcher)
        loop.add_signal_handler(signal.SIGTERM, self.launcher.stop)
        running.processes.attach()
        try:
            ahead_ns = await self._start(running)
            begun = running.begin(await running.data_plane.agree(ahead_ns))
            if running.writer is not None:
                running.data_plane.tell_relay(running.writer.order, (running.writer.write_end,))
                running.writer.start(begun.t0_utc_ns)
                running.action_listeners.append(running.writer.act)
            running.data_plane.start(begun.t0_ns)
            running.jobs.start_all(begun.t0_ns)
            self._tell_times(running, platform, begun)
            await self._play(running, begun)
        except BaseException as error:  # recorded before the stop below, which may fail too
            reached.note(error)
        reached.played_s = running.played_s
        reached.interrupted = reached.interrupted or running.stop_asked.is_set()
        await running.stop()
        loop.remove_reader(self.launcher.channel.fileno())

    async def _start(self, running: Running) -> int:
        """Start every program until all are ready; returns the time needed to send T0 to all."""
        spawned = running.jobs.spawn_all()
        total = len(spawned)
        await running.processes.wait_ready(
            spawned, READY_TIMEOUT_S, lambda done: self.launcher.progress("start", done, total, "processes")
        )
        return running.data_plane.ahead_ns + 100_000 * total

    def _tell_times(self, running: Running, platform: dict[str, Any], begun: Begun) -> None:
        """Record T0, after it was sent to all: an event at scenario time 0, and two keys of platform.json."""
        times = {"t0_monotonic_ns": begun.t0_ns, "t0_utc_ns": begun.t0_utc_ns}
        running.collector.event(0.0, "", "skyloom", "play", times)
        self.folder.write_platform({**platform, **times})

    async def _play(self, running: Running, begun: Begun) -> None:
        """From T0 to the end of play, with live control."""
        clock = MonotonicClock(begun.t0_ns)
        live = self._live_control(running, begun, clock)
        live.attach()
        self.launcher.on_fault = running.action_runner.perform_soon
        try:
            await self._run_loop(running, clock).until_end()
        finally:
            live.detach()

    def _live_control(self, running: Running, begun: Begun, clock: MonotonicClock) -> LiveControl:
        return LiveControl(
            self.listener,
            network=self.network,
            action_runner=running.action_runner,
            commands=LiveCommands(running.processes),
            captures=LiveCaptures(
                self.network, running.data_plane, clock, begun.t0_utc_ns, self._keys, running.action_listeners
            ),
            look=running.look,
            stop=self.launcher.stop,
        )

    def _run_loop(self, running: Running, clock: MonotonicClock) -> RunLoop:
        ends = [running.stop_asked, running.requests.halted]
        if self.scenario.ends == "programs":
            ends.append(running.programs_ended)
        steps = ScheduleSteps(
            clock=clock,
            network=self.network,
            data_plane=running.data_plane,
            schedule_view=running.schedule_view,
            faults=running.action_runner.faults,
            collector=running.collector,
            snapshot_builder=running.snapshot_builder,
        )
        return RunLoop(
            clock,
            self.scenario,
            data_plane=running.data_plane,
            steps=steps,
            processes=running.processes,
            jobs=running.jobs,
            lifecycle=running.lifecycle,
            action_runner=running.action_runner,
            collector=running.collector,
            launcher=self.launcher,
            look=running.look,
            ends=ends,
        )

    def _hear_launcher(self) -> None:
        self.launcher.hear()
        if self.launcher.gone:
            asyncio.get_running_loop().remove_reader(self.launcher.channel.fileno())

    # -- the end -------------------------------------------------------------------------------------------------------

    def _conclude(self, reached: Reached) -> int:
        """Tables, analysis, verdict; returns the exit code."""
        code = EXIT_INTERNAL
        if reached.hosts is not None:
            reached.hosts.close()
        for verdict_of in (self._judged, self._unjudged):
            try:
                verdict = verdict_of(reached)
                self.folder.write_verdict(verdict.to_json())
                code = verdict.exit_code
                break
            except BaseException as error:
                reached.note(error)
        self.folder.close()
        return code

    def _judged(self, reached: Reached) -> Verdict:
        """The verdict of the stages that were reached."""
        collector, data_plane, running = reached.collector, reached.data_plane, reached.running
        if data_plane is not None:
            data_plane.close()  # a relay that play did not stop would keep the capture open
        if collector is None or data_plane is None:
            return self._unjudged(reached)
        begun = running.begun if running is not None else None
        quick = self.launcher.stops >= 2

        def tell(done: int, label: str) -> None:
            self.launcher.tell("analysis", done, ending.STEPS, label)

        if running is not None and begun is not None:
            self.launcher.latest = running.look(self.launcher.view)  # with the last records
        tell(0, "capture")
        if reached.writer is not None:
            missed = int(collector.relay.get("captures_lost", {}).get(0, 0)) + data_plane.captures_lost()
            reached.writer.finish(missed)
        costs = {
            "planner": data_plane.planner_summary,
            "schedule_digests": data_plane.row_digests.digests,
            "relay_cpu_s": collector.relay.get("cpu_s", 0.0),
            "engine_cpu_s": collector.relay.get("engine_cpu_s", 0.0),
        }
        collector.event(reached.played_s, "", "skyloom", "machinery", costs)
        if begun is not None and not quick:
            ending.settle_qlogs(self.folder, begun.t0_utc_ns)
        spools = [collector.events, collector.samples, collector.links, *data_plane.tables()]
        figures, trouble = ending.figures_of(self.scenario, self.folder, spools, quick or begun is None, tell)
        if trouble and not reached.interrupted:
            reached.error = reached.error or trouble
        verdict = ending.observed(self.scenario, self.folder.run_id, reached.played_s, collector, figures)
        if reached.writer is not None:
            verdict.capture = reached.writer.row().copy()
        verdict.interrupted, verdict.error = reached.interrupted, reached.error
        data_plane.judged(verdict, collector.counters)
        outcomes = []
        if running is not None:
            verdict.rounds = ending.round_table(running.rounds, self.scenario, data_plane, running.jobs)
            if begun is not None and not reached.interrupted:
                outcomes += [*running.jobs.outcomes(), *running.executions.outcomes()]
                actions = running.action_runner
                left = (actions.missed(self.scenario), actions.failed, running.jobs.all)
                outcomes += undone.outcomes(*left)
                verdict.warnings += undone.warnings(*left)
                verdict.programs = running.jobs.failed()
            verdict.hosts = running.host_rows
            outcomes += ending.kill_switch(running.rounds)
        verdict.warnings += self.folder.warnings
        verdict.warnings += running.executions.warnings() if running is not None else []
        verdict.warnings += warnings.at_end(collector) if begun is not None else []
        verdict.warnings += cpu_steal.warnings(begun.ticks, cpu_steal.read()) if begun is not None else []
        verdict.warnings += warnings.large_logs(self.folder.logs)
        verdict.warnings += warnings.found(data_plane, collector, running.processes if running is not None else None)
        verdict.warnings += late.why_late(verdict, collector, self.network, self.scenario)
        tell(ending.STEPS - 1, "verdict")
        return ending.conclude(verdict, self.scenario, outcomes, reached.error_code)

    def _unjudged(self, reached: Reached) -> Verdict:
        """A verdict without figures, of a run that failed or was stopped before it had any."""
        verdict = Verdict(self.scenario.name, self.scenario.seed, self.folder.run_id, reached.played_s)
        verdict.interrupted, verdict.error = reached.interrupted, reached.error
        verdict.warnings = list(self.folder.warnings)
        return ending.conclude(verdict, self.scenario, [], reached.error_code)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
