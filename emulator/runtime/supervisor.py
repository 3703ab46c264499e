"""The supervisor: the process that leads a run, from an empty sandbox to its verdict.

    schedule ─▶ build ─▶ start ─▶ play ─▶ analysis        planner, fabric, relay; zygote, nodes; T0; tables, verdict

Invariant: it is the parent of every process of the run, and whatever happens (an error, "stop" in any stage) it goes on
to the end: nodes asked to stop, tables closed, verdict written, last word said.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from emulator.errors import EXIT_INTERNAL, SkyloomError
from emulator.runtime import ending, late, session, stolen, warnings
from emulator.runtime.capturing import CaptureWriter, key_folder, writer_for
from emulator.runtime.channel import Channel
from emulator.runtime.collector import Collector
from emulator.runtime.director import Director
from emulator.runtime.faults import Faults
from emulator.runtime.fidelity import Asked
from emulator.runtime.front import Front, Interrupted
from emulator.runtime.jobs import READY_TIMEOUT_S, Jobs
from emulator.runtime.live import LiveControl
from emulator.runtime.machine import Machine
from emulator.runtime.outlook import Outlook
from emulator.runtime.panels import Panels
from emulator.runtime.play import Play
from emulator.runtime.processes import Process, Processes
from emulator.runtime.requests import Requests
from emulator.runtime.rounds import RoundCount
from emulator.runtime.scene import WARNING_LENGTH, WARNINGS, Scene, counts

if TYPE_CHECKING:
    from emulator.network import Network
    from emulator.record.folder import RunFolder
    from emulator.record.snapshot import Snapshot, View
    from emulator.scenario import Scenario

RELAY_STOP_S = 3.0
RELAY_BATCH = 4  # messages of the relay in one turn of the event loop: some 5 ms
READY_ROWS = 2  # of the schedule before play begins: the one that plays and the next
OWN_LOG = "_skyloom.txt"  # what the run's own processes write to standard error


class Supervisor:
    """One run. `listener` is the socket of its live control, `channel` leads to the command that started it.

    `root`: whether that command had root's rights; in here everybody has.
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
    ) -> None:
        self.scenario = scenario
        self.folder = folder
        self.network = network
        self.front = Front(channel)
        self.listener = listener
        self.machine = Machine(
            network, scenario.seed, scenario.duration_s,
            threads=scenario.engine.threads, realtime=scenario.fidelity.realtime,
        )  # fmt: skip
        self.live_nodes = [network.nodes[number].name for number in network.live]
        self.interrupted = False
        self.error = ""
        self.error_code: int | None = None
        self.played_s = 0.0
        self.t0_ns = self.t0_utc_ns = 0
        self.warnings: list[str] = []
        self.stop_asked = asyncio.Event()
        self.programs_ended = asyncio.Event()
        self.rounds = RoundCount(scenario.rounds.max_rounds, scenario.rounds.max_messages)
        self.capture_writer: CaptureWriter | None = None
        self.action_listeners: list[Callable[[float, dict[str, Any]], None]] = []
        self.processes: Processes
        self.jobs: Jobs
        self.director: Director
        self.requests: Requests
        self.outlook: Outlook
        self.scene: Scene
        self.collector: Collector
        self.captured = [*scenario.capture.links, *capture]
        self._platform: dict[str, Any] = {"root": root}
        self._begun = time.monotonic()

    def run(self) -> int:
        """Live through the run; returns its exit code."""
        self._settle_in()
        try:
            self._build()
            _new_loop().run_until_complete(self._live())
        except Interrupted:
            self.interrupted = True
        except SkyloomError as error:
            self.error, self.error_code = str(error), error.exit_code
        except Exception as error:
            traceback.print_exc()
            self.error = f"internal error: {type(error).__name__}: {error}; the traceback is in logs/{OWN_LOG}"
            self.error_code = EXIT_INTERNAL
        try:
            code = self._conclude()
        except Exception as error:
            traceback.print_exc()
            code = EXIT_INTERNAL
            self.error = self.error or f"no verdict: {type(error).__name__}: {error}; see logs/{OWN_LOG}"
        self.front.end(code, self.error)
        return code

    # -- stages --------------------------------------------------------------------------------------------------------

    def _settle_in(self) -> None:
        """A session of our own, and what everybody may ask of the run from now on."""
        session.begin("supervisor", self.folder.logs / OWN_LOG)
        signal.signal(signal.SIGTERM, lambda *_: self.ask_to_stop())
        self.collector = Collector(self.folder, self.network, Panels.of(self.scenario, self.network))
        self.front.latest = {
            "scenario": self.scenario.name,
            "run_id": self.folder.run_id,
            "seed": self.scenario.seed,
            "folder": str(self.folder.path),
            "duration_s": self.scenario.duration_s,
            "lateness_limit_ms": self.scenario.fidelity.lateness_p99_s * 1e3,
            "nodes": {**counts(self.network), "processes": 0},  # type: ignore[typeddict-item]
        }

    def _build(self) -> None:
        """Everything below the node processes, while the zygote warms up beside it."""
        front, machine, keep_out = self.front, self.machine, [self.front.channel.fileno(), self.listener.fileno()]
        front.progress("schedule", 0, 2, "planner")
        machine.start_planner(keep_out)
        keys = key_folder(self.folder.path, self.scenario.capture, self.captured)
        self.processes = Processes(self.scenario.seed, self.folder.logs, self.folder.path / "store", keys)
        self.jobs = Jobs(self.scenario, self.network, self.processes, self.netns)
        live = [self.network.nodes[number] for number in self.network.live]
        self.processes.prepare(
            [(node.name, node.role, node.ipv4, node.ipv6) for node in live],
            self.jobs.programs(),
            [self.scenario.directory],
            self.jobs.members(),
        )
        self._describe()
        machine.build(lambda done, total: front.progress("build", done, total, "nodes"))
        machine.wait_for_rows(READY_ROWS, lambda done, total: front.progress("build", done, total, "first rows"))
        machine.apply_first_routes(lambda done, total: front.progress("build", done, total, "routes"))
        faults = Faults(self.network, machine.tell_relay, lambda end: machine.peer(end, self.now_s()))
        self.director = Director(faults, self.jobs, self.live_nodes, self.emit, self._execute)
        self.requests = Requests(self.jobs, self.rounds, self.director.perform, machine.tell_relay)
        self.outlook = Outlook(self.network, machine.ring)
        self.scene = Scene(self.network, self.outlook, self.jobs, self.processes, self.collector)
        self.scene.given = faults.given
        self.capture_writer = writer_for(
            self.scenario, self.folder, self.network, self.captured, machine.ring, keep_out
        )
        machine.start_relay(keep_out)
        if machine.ring is not None:
            asked = self.collector.board.asked = Asked(self.network, machine.ring)
            self.collector.on_load = asked.load

    def _describe(self) -> None:
        """scenario.toml and platform.json, so that the run can be repeated and judged even if it does not end well."""
        from emulator.record.folder import platform_facts

        self.folder.write_scenario(self.scenario.to_toml(), sys.argv)
        self._platform = {**platform_facts(sys.argv), **self._platform}
        self.folder.write_platform(self._platform)

    async def _live(self) -> None:
        """Processes up, play, processes down."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self.front.channel.fileno(), self._hear_front)
        loop.add_signal_handler(signal.SIGTERM, self.ask_to_stop)
        self.processes.attach()
        self.processes.on_record = self.collector.record
        self.processes.on_dropped = self.collector.dropped
        self.processes.on_end = self._process_ended
        self.processes.on_request = self.requests.said
        live = LiveControl(self.listener, self)
        play = Play(self)
        try:
            spawned = self.jobs.spawn_all()
            total = len(spawned)
            await self.processes.wait_ready(
                spawned, READY_TIMEOUT_S, lambda done: self.front.progress("start", done, total, "processes")
            )
            ahead_ns = 50_000_000 + 100_000 * total
            self.t0_ns = self.collector.t0_ns = time.monotonic_ns() + ahead_ns
            self.t0_utc_ns = time.time_ns() + ahead_ns
            if self.capture_writer is not None:
                writer = self.capture_writer
                self.machine.tell_relay(writer.order, (writer.write_end,))
                writer.start(self.t0_utc_ns)
                self.action_listeners.append(writer.act)
            self._ticks = stolen.read()
            self.machine.start(self.t0_ns)
            self.jobs.start_all(self.t0_ns)
            self._tell_times()
            live.attach()
            self.front.on_fault = self.director.perform_soon
            await play.until_end()
        finally:
            self.played_s = min(self.scenario.duration_s, max(0.0, self.now_s())) if self.t0_ns else 0.0
            self.interrupted = self.interrupted or self.stop_asked.is_set()
            live.detach()
            await self._stop()
            loop.remove_reader(self.front.channel.fileno())

    def _tell_times(self) -> None:
        """Put T0 on record, now that everybody knows it: an event at scenario time 0, and two keys of platform.json."""
        times = {"t0_monotonic_ns": self.t0_ns, "t0_utc_ns": self.t0_utc_ns}
        self.collector.event(0.0, "", "skyloom", "play", times)
        self.folder.write_platform({**self._platform, **times})

    async def _stop(self) -> None:
        """Ask the nodes to end, then the relay. A second "stop" cuts it short."""
        stopping = asyncio.ensure_future(self._stop_processes())
        while not stopping.done() and self.front.stops < 2:
            await asyncio.wait([stopping], timeout=0.1)
        if not stopping.done():
            stopping.cancel()
            self.processes.kill(self.processes.alive(), signal.SIGKILL)
        else:
            stopping.result()
        if self.machine.relay_channel is not None:
            asyncio.get_running_loop().remove_reader(self.machine.relay_channel.fileno())
            final = self.machine.stop_relay(self._relay_said, RELAY_STOP_S if self.front.stops < 2 else 0.1)
            if not final and not self.error and self.front.stops < 2:
                self.folder.warn("the relay's last statistics did not come; counts of packets are a little low")

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

    # -- the end -------------------------------------------------------------------------------------------------------

    def _conclude(self) -> int:
        """Tables, analysis, verdict."""
        collector = self.collector
        quick = self.front.stops >= 2

        def tell(done: int, label: str) -> None:
            self.front.tell("analysis", done, ending.STEPS, label)

        if self.t0_ns:
            self.look(self.front.latest, self.front.view)  # with the last records
        tell(0, "capture")
        if self.capture_writer is not None:
            self.capture_writer.finish(missed=int(collector.relay.get("captures_lost", {}).get(0, 0)))
        costs = {
            "planner": self.machine.planner_summary,
            "relay_cpu_s": collector.relay.get("cpu_s", 0.0),
            "engine_cpu_s": collector.relay.get("engine_cpu_s", 0.0),
        }
        collector.event(self.played_s, "", "skyloom", "machinery", costs)
        figures, trouble = ending.figures_of(self.scenario, self.folder, collector, quick or not self.t0_ns, tell)
        if trouble and not self.interrupted:
            self.error = self.error or trouble
        verdict = ending.observed(self.scenario, self.folder.run_id, self.played_s, collector, figures)
        verdict.rounds = ending.round_table(self.rounds, self.scenario, self.machine, self.jobs)
        verdict.capture = dict(self.capture_writer.row()) if self.capture_writer is not None else {}
        verdict.interrupted, verdict.error = self.interrupted, self.error
        self.warnings += stolen.warnings(self._ticks, stolen.read()) if self.t0_ns else []
        verdict.warnings = self.all_warnings()
        outcomes = self.jobs.outcomes() if self.t0_ns and not self.interrupted else []
        outcomes += ending.kill_switch(self.rounds)
        verdict.warnings += late.why_late(verdict, collector, self.network, self.scenario)
        tell(ending.STEPS - 1, "verdict")
        ending.conclude(verdict, self.scenario, outcomes, self.error_code)
        self.folder.write_verdict(verdict.to_json())
        self.folder.close()
        self.machine.close()
        return verdict.exit_code

    def all_warnings(self) -> list[str]:
        """What a reader of the run must know."""
        return [*self.folder.warnings, *self.warnings, *warnings.found(self.machine, self.collector)]

    # -- what play and live control ask for ----------------------------------------------------------------------------

    def look(self, snapshot: Snapshot, view: View) -> Snapshot:
        """Bring a snapshot up to this moment, with the rows that `view` asks for."""
        now_s = min(self.now_s(), self.scenario.duration_s)
        snapshot.update({"phase": "play", "label": "", "t_s": now_s, "elapsed_s": time.monotonic() - self._begun})
        snapshot["t0_utc_s"] = self.t0_utc_ns * 1e-9
        snapshot["warnings"] = [text[:WARNING_LENGTH] for text in self.all_warnings()[:WARNINGS]]
        if self.capture_writer is not None:
            snapshot["capture"] = self.capture_writer.row()
        return self.scene.fill(snapshot, view, now_s)

    def now_s(self) -> float:
        """Scenario time."""
        return (time.monotonic_ns() - self.t0_ns) * 1e-9 if self.t0_ns else -1.0

    def emit(self, kind: str, data: dict[str, Any]) -> None:
        """An event of the runtime itself; captures hear of actions."""
        now_s = self.now_s()
        self.collector.event(now_s, "", "skyloom", kind, data)
        if kind == "action":
            for listener in self.action_listeners:
                listener(now_s, data)

    def netns(self, node: str) -> int:
        """Descriptor of a live node's namespace. UsageError where there is none."""
        return self.machine.netns(node)

    def times(self) -> dict[str, int]:
        """T0 by the monotonic clock and by the time of day."""
        return {"t0_ns": self.t0_ns, "t0_utc_ns": self.t0_utc_ns}

    def ask_to_stop(self) -> None:
        """As Ctrl-C does."""
        self.front.stops += 1
        self.stop_asked.set()

    def _hear_front(self) -> None:
        self.front.hear()
        if self.front.stops:
            self.stop_asked.set()
        if self.front.gone:
            asyncio.get_running_loop().remove_reader(self.front.channel.fileno())

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

    def hear_relay(self) -> None:
        """Some reports of the relay, for the event loop, which calls again while there are more."""
        channel = self.machine.relay_channel
        assert channel is not None
        for _ in range(RELAY_BATCH):
            try:
                message, _fds = channel.receive()
            except BlockingIOError:
                return
            if message is None:
                asyncio.get_running_loop().remove_reader(channel.fileno())
                return
            self._relay_said(message)

    def _process_ended(self, process: Process) -> None:
        self.requests.ended(process)
        if self.jobs.done:
            self.programs_ended.set()
        job = self.jobs.ended(process, self.now_s())
        if job is not None:
            data = {"status": process.status, "text": process.failure or process.describe_end()}
            self.collector.event(self.now_s(), process.node, process.program, "program-ended", data)

    def _execute(self, node: str, command: list[str]) -> None:
        """The action "exec": a command on a node, its output in the node's log."""
        self.processes.spawn(
            node, "exec", self.netns(node), {"command": command, "directory": self.scenario.directory}, supervised=False
        )


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
