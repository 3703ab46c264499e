"""The parts of a run that stand on several hosts, with the interfaces of those that stand on one machine.

Invariant: nothing above these knows how many hosts there are; they decide nothing, and only say to hosts what is said
to them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emulator.fabric.host.cgroup import Usage
from emulator.model.clock import MonotonicClock
from emulator.model.errors import SkyloomError
from emulator.record.hosts import HostLog, TrunkLog
from emulator.runtime.cluster import figures
from emulator.runtime.cluster.lead import Lead
from emulator.runtime.cluster.streams import LeadStreams
from emulator.runtime.cluster.tees import LeadTee
from emulator.runtime.control.channel import Message
from emulator.runtime.control.cluster_messages import ActAt
from emulator.runtime.control.encoding import BadMessage
from emulator.runtime.control.messages import FromZygote, Kill, ProcessExited, Spawned
from emulator.runtime.control.remote import Kind
from emulator.runtime.control.transport import parts
from emulator.runtime.plane import Plane
from emulator.runtime.programs.hosts import rows
from emulator.runtime.programs.zygote_link import NUMBERS_PER_MESSAGE
from emulator.scenario.schema.host import host_of

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.record.folder import RunFolder
    from emulator.record.spool import Spool
    from emulator.record.verdict import HostRow, Verdict
    from emulator.record.verdict.schema import MachineRow, TrunkRow
    from emulator.runtime.programs.launch import Introduction, Launch
    from emulator.runtime.programs.processes import Process
    from emulator.scenario import Scenario

ACT_AHEAD_S = 0.03  # so that live actions begin at one instant everywhere
BEGIN_AHEAD_NS = 500_000_000
LOG_S = 1.0
OWN = 0  # capture of the run; others are of other terminals


class SpreadPlane(Plane):
    """The data planes of all hosts; the schedule is computed here too, for those who look at the run."""

    here = False

    def __init__(self, scenario: Scenario, network: Network, folder: RunFolder, lead: Lead) -> None:
        super().__init__(network, scenario.duration_s, compared=True)
        self._limit = scenario.fidelity.trunk_lost
        self._lead = lead
        self._host_log, self._trunk_log = HostLog(folder), TrunkLog(folder)
        self._logged_s = 0.0
        self._shown: tuple[list[MachineRow], list[TrunkRow]] = [], []
        self._told_s: dict[int, float] = {}  # by host: the report that was logged last
        self._clock = MonotonicClock(0)
        self._tees: dict[int, LeadTee] = {}
        lead.on_report = self._report
        lead.on_capture = self._captured
        lead.row = lambda step: self.joined.get(step)

    def start_planner(self, close: list[int]) -> None:
        self._lead.start()
        super().start_planner([*close, *(link.connection.fileno() for link in self._lead.hosts)])

    def build(self, progress: Callable[[int, int], None]) -> None:
        def also_hear_the_planner(done: int, total: int) -> None:
            self._hear_planner(0.0)
            progress(done, total)

        self._lead.wait_until_ready(also_hear_the_planner)

    def apply_first_routes(self, progress: Callable[[float, float], None]) -> None:
        pass  # the hosts have set them

    def start_relay(self, close: list[int]) -> None:
        pass  # they have started it

    def start(self, t0_ns: int) -> None:
        super().start(t0_ns)
        self._clock = MonotonicClock(t0_ns)
        self._lead.beginning.begin(t0_ns)

    async def agree(self, ahead_ns: int) -> int:
        return await self._lead.beginning.agree(ahead_ns)

    def attach(self, broken: Callable[[SkyloomError], None]) -> None:
        super().attach(broken)
        self._lead.on_failure.append(broken)
        if self._lead.failure is not None:
            broken(self._lead.failure)

    def tell_relay(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        if message["op"] == "capture":
            self._tees = {number: tee for number, tee in self._tees.items() if not tee.closed or number == OWN}
            self._tees[message["id"]] = LeadTee(os.dup(fds[0]), len(self._lead.hosts))
        self._lead.order(message)

    def alter(self, message: Message) -> None:
        pass  # each host does so by itself

    def act(self, action: Mapping[str, Any]) -> None:
        self._lead.say_all(ActAt(self._clock.now() + ACT_AHEAD_S, dict(action)))

    def switch_routes(self, step: int) -> Iterator[int]:
        return iter(())

    def stop_relay(self, quickly: bool = False) -> bool:
        complete = self._lead.finish(quickly)
        for tee in self._tees.values():
            tee.finish()
        finals = [link.final for link in self._lead.hosts if link.final is not None]
        self.refused_routes = [text for final in finals for text in final.refused_routes]
        self.late_rows += sum(final.late_rows for final in finals)
        return complete

    def packets_sent(self) -> Mapping[str, int]:
        sent: dict[str, int] = {}
        for link in self._lead.hosts:
            for total in link.totals:
                sent |= total.packets
        return sent

    @property
    def ahead_ns(self) -> int:
        return BEGIN_AHEAD_NS

    def captures_lost(self) -> int:
        return self._tees[OWN].lost if OWN in self._tees else 0

    def warnings(self) -> Sequence[str]:
        return self._lead.warnings

    def close(self) -> None:
        super().close()
        self._lead.close()

    @property
    def node_hosts(self) -> Sequence[str]:
        return self._lead.node_hosts

    def hosts(self) -> tuple[list[MachineRow], list[TrunkRow]]:
        return self._shown

    def tables(self) -> Sequence[Spool]:
        return self._host_log, self._trunk_log

    def judged(self, verdict: Verdict, counters: Mapping[int, list[float]]) -> None:
        lead, healths = self._lead, self._lead.merged.health
        verdict.machines = figures.machine_rows(lead.names, lead.node_counts, healths)
        verdict.trunks, verdict.trunk_lost_limit = figures.trunk_figures(healths), self._limit
        verdict.clock = lead.clocks.figures()
        verdict.warnings += figures.narrowed(lead.names, healths) + figures.late_queues(lead.names, healths)
        complete = all(link.final is not None and link.final.complete for link in lead.hosts)
        complete &= len(healths) == len(lead.hosts)
        if complete and (missing := figures.unaccounted(counters, healths)):
            verdict.warnings.append(f"conservation: {missing} packets of link ends are neither delivered nor dropped")

    def _log(self, t_s: float) -> None:
        """Rows of the hosts and trunks that have told something since, once a LOG_S."""
        healths = self._lead.merged.health
        fresh = {host for host, health in healths.items() if health["t_s"] != self._told_s.get(host)}
        self._told_s = {host: health["t_s"] for host, health in healths.items()}
        self._logged_s = t_s
        self._shown = (
            figures.machine_rows(self._lead.names, self._lead.node_counts, healths),
            figures.trunk_rows(self._lead.names, healths),
        )
        self._host_log.add_all(figures.host_interval(host, healths[host]) for host in sorted(fresh))
        trunks = figures.trunk_intervals(healths, self._lead.clocks)
        self._trunk_log.add_all(trunk for trunk in trunks if trunk.receiver in fresh)
        self._host_log.flush()
        self._trunk_log.flush()

    def _report(self, message: Message) -> None:
        if message["op"] == "stats" and (message["t_s"] >= self._logged_s + LOG_S or message.get("final")):
            self._log(message["t_s"])
        for tee in self._tees.values():
            for host, health in self._lead.merged.health.items():
                tee.sign(host, health["t_s"], self._clock.now())
        self.on_report(message)

    def _captured(self, host: int, capture: int, data: bytes) -> None:
        tee = self._tees.get(capture)
        if tee is None:
            return
        try:
            tee.feed(host, data, self._clock.now())
        except ValueError as error:
            raise BadMessage(f"capture {capture}: {error}") from None


class SpreadZygotes:
    """The zygotes of all hosts; a `processes.Zygotes`."""

    def __init__(self, plane: SpreadPlane, lead: Lead, owner: Sequence[int]) -> None:
        self.on_message: Callable[[FromZygote], None] = lambda message: None
        self.on_packet: Callable[[int, bytes], None] = lambda number, data: None
        self.on_lost: Callable[[SkyloomError], None] = lambda why: None
        self._plane = plane
        self._lead = lead
        self._owner = owner
        self._host_of: dict[int, int] = {}  # by process
        self._ended: set[int] = set()
        self._streams = LeadStreams(self._say)
        lead.on_zygote = self._zygote_said
        lead.on_packet = self._packet
        lead.on_stream = self._stream
        lead.on_not_launched = self._not_launched
        lead.on_failure.append(lambda why: self.on_lost(why))

    def prepare(self, introduction: Introduction) -> None:
        """Each host tells its own zygote."""

    def attach(self) -> None:
        self._lead.attach()

    def launch(self, launch: Launch, streams: Mapping[str, int], supervised: bool) -> None:
        host = int(self._owner[self._plane.live_node(launch.node)])
        self._host_of[launch.number] = host
        self._lead.say(host, launch)
        if streams:
            self._streams.open(launch, streams)

    def tell(self, number: int, data: bytes) -> None:
        self._lead.send(self._host_of[number], Kind.PACKET, number, data)

    def kill(self, numbers: Sequence[int], signum: int) -> None:
        by_host: dict[int, list[int]] = {}
        for number in numbers:
            by_host.setdefault(self._host_of[number], []).append(number)
        for host, theirs in by_host.items():
            for some in parts(theirs, NUMBERS_PER_MESSAGE):
                self._lead.say(host, Kill(some, signum))

    def _say(self, number: int, data: bytes) -> None:
        self._lead.send(self._host_of[number], Kind.STREAM, number, data)

    def _check(self, host: int, number: int) -> None:
        """BadMessage where this process was not started there."""
        if self._host_of.get(number) != host:
            raise BadMessage(f"speaks of process {number}, which was not started there")

    def _check_alive(self, host: int, number: int) -> None:
        self._check(host, number)
        if number in self._ended:
            raise BadMessage(f"speaks of process {number}, which has ended")

    def _packet(self, host: int, number: int, data: bytes) -> None:
        self._check(host, number)
        self.on_packet(number, data)

    def _stream(self, host: int, number: int, data: bytes) -> None:
        self._check(host, number)
        self._streams.write(number, data)

    def _zygote_said(self, host: int, message: FromZygote) -> None:
        if isinstance(message, Spawned | ProcessExited):
            self._check_alive(host, message.id)
        if isinstance(message, ProcessExited):
            self._ended.add(message.id)
            self._streams.close(message.id, lambda: self.on_message(message))
        else:
            self.on_message(message)

    def _not_launched(self, host: int, number: int, text: str) -> None:
        self._check_alive(host, number)
        self._ended.add(number)
        self.on_message(Spawned(number, 0))
        self._streams.refuse(number, text, lambda: self.on_message(ProcessExited(number, 127)))


class SpreadHosts:
    """What nodes with bounds were given, wherever they live."""

    def __init__(self, scenario: Scenario, network: Network, lead: Lead) -> None:
        names = [network.nodes[number].name for number in network.live]
        self._tables = {name: table for name in names if (table := host_of(scenario.hosts, name))}
        self._lead = lead

    def prepare(self, progress: Callable[[int, int], None]) -> None:
        pass  # each host has done so

    def rows(self, processes: Sequence[Process], now_s: float) -> list[HostRow]:
        totals = [total for link in self._lead.hosts for total in link.totals]
        used = {node: Usage(*usage) for total in totals for node, usage in total.used.items()}
        return rows(self._tables, used, processes, now_s)

    def close(self) -> None:
        pass  # hosts end by themselves
