"""The keys of verdict.json, with their types. verdict.json is stable.

Invariant: keys may be added within a schema version, never renamed or removed. docs/run-folder.md describes each.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypedDict, get_args

from emulator.model.errors import EXIT_INTERNAL
from emulator.model.inputs import check_kinds, parse_json
from emulator.record.capture_files import CaptureRow
from emulator.record.spool import plain

SCHEMA_VERSION = 1
LateCause = Literal["engine", "scheduler", "capture"]  # keys of `lateness_budget`
LATE_CAUSES: tuple[LateCause, ...] = get_args(LateCause)


class Quantiles(TypedDict, total=False):
    """Of some values, in milliseconds; empty where there were none."""

    p50: float
    p99: float
    max: float


class LatenessBudget(TypedDict, total=False):
    """Packets that left more than 1 ms late, and the parts that each cause has in their lateness (they add up to 1)."""

    late_packets: int
    late_share: float  # of all packets handed to nodes
    engine: float
    scheduler: float
    capture: float
    engine_cpu_share: float  # processor time of the packet engine, in cores
    realtime_share: float  # of the run, in a real-time class
    overloaded_s: float  # without reading ports, because due packets lagged
    late_handovers: int  # packets that came too late from one thread of the engine to another


class ProbeLoss(TypedDict, total=False):
    """Losses of probes that met no busy link."""

    share: float
    lost: int
    judged: int
    queued: int  # probes left out, because a link on their way was busy


class ProbeRow(TypedDict):
    """A probed pair of nodes; round trips are means."""

    pair: str  # "a → b"
    asked_ms: float | None  # scheduled
    seen_ms: float | None
    error_ms: Quantiles
    sent: int
    lost: int


class FlowRow(TypedDict):
    """A transfer between two nodes."""

    pair: str  # "a → b"
    program: str
    bytes: int
    duration_s: float
    mean_bps: float


class FailedProgram(TypedDict):
    """A program on a node that did not start, get ready or end as the scenario expects."""

    node: str
    program: str
    reason: str
    last_lines: list[str]  # of what it printed


class HostRow(TypedDict):
    """What a node with bounds was given. None: not asked, or not counted here."""

    node: str
    cores_asked: float | None
    cores_delivered: float  # processor time of its processes / time since the first of them started
    throttled_s: float | None  # for which processes that wanted to run had to wait for the bound
    memory_asked_bytes: float | None
    memory_peak_bytes: int | None
    bounded: bool  # False: this machine has no control groups for the run


class MachineRow(TypedDict):
    """One host of a run on several."""

    name: str
    nodes: int
    lateness_ms: Quantiles
    engine_cpu_s: float
    relay_cpu_s: float  # the engine's with it
    late_rows: int  # of the schedule, for which its engine had to wait
    memory_bytes: int  # that its processes shared with nobody at the end


class TrunkRow(TypedDict):
    """One direction between two hosts, since the beginning of play."""

    pair: str  # "host 0 → host 1"
    packets: int
    late: int  # of them: came after they were due
    lost: int
    repaired: int  # datagrams that were sent again
    latency_p50_ms: float
    latency_p99_ms: float


class TrunkFigures(TypedDict, total=False):
    """Packets between the hosts of a run; what trunks lose is in no drop of a link."""

    crossings: int
    late_share: float  # of them: came after they were due
    lost: int
    repaired: int  # datagrams that were sent again
    worst_latency_ms: float  # p99 of the slowest trunk
    mtu: int  # of the path that carries the smallest packets whole, of the sizes that were tried


class ClockFigures(TypedDict, total=False):
    """The clocks of the hosts of a run beside that of host 0, by two-way probes; the worst host's."""

    offset_us: float
    bound_us: float  # what an asymmetric path could hide
    spread_us: float  # of probes around the estimate
    check_us: float  # by which pairs without host 0 contradict those with it
    stepped_us: float  # the largest step by which one was found to be stepped in play
    slewed: int  # times that a clock was found to be slewed


class RoundFigures(TypedDict, total=False):
    """What programs counted in rounds, beside what the interfaces of their nodes counted."""

    rounds: int  # begun
    messages: int  # sent over links
    received: int
    in_slot: int  # received in the round they were due in
    fidelity: float  # in_slot / received
    stopped: str  # the bound that ended the run, or ""
    interface_packets: int
    counts_agree: bool  # interface_packets == messages
    fidelity_at_least: float  # what the scenario asks


@dataclass(frozen=True, slots=True)
class Outcome:
    """One expectation: the figure, what was asked of it, what it was, and why it does not hold where it does not."""

    figure: str  # dotted path into verdict.json, or what the runtime checked ("program probe on gs-tokyo")
    asked: str  # "at least 3"
    observed: Any
    holds: bool
    reason: str = ""


@dataclass(slots=True)
class Verdict:
    """The content of verdict.json. Times in milliseconds where the name says so."""

    scenario: str
    seed: int
    run_id: str = ""
    duration_s: float = 0.0  # scenario time that was played
    expectations: list[Outcome] = field(default_factory=list)
    lateness_ms: Quantiles = field(default_factory=Quantiles)
    lateness_limit_ms: float | None = None  # the p99 past which the run cannot be trusted
    lateness_budget: LatenessBudget = field(default_factory=LatenessBudget)
    probe_error_ms: Quantiles = field(default_factory=Quantiles)
    probe_loss: ProbeLoss = field(default_factory=ProbeLoss)
    drops: dict[str, int] = field(default_factory=dict)  # by cause
    probes: list[ProbeRow] = field(default_factory=list)
    flows: list[FlowRow] = field(default_factory=list)
    programs: list[FailedProgram] = field(default_factory=list)
    hosts: list[HostRow] = field(default_factory=list)
    machines: list[MachineRow] = field(default_factory=list)
    trunks: TrunkFigures = field(default_factory=TrunkFigures)
    clock: ClockFigures = field(default_factory=ClockFigures)
    trunk_lost_limit: float | None = None  # share of crossings past which the run cannot be trusted
    warnings: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)  # the scenario's headline figures by name
    prediction: dict[str, Any] = field(default_factory=dict)  # figures known before the run, named as in `summary`
    rounds: RoundFigures = field(default_factory=RoundFigures)
    capture: CaptureRow = field(default_factory=CaptureRow)
    interrupted: bool = False
    error: str = ""  # what broke, where the emulation itself failed
    verdict: str = "fail"
    exit_code: int = EXIT_INTERNAL

    def figures(self) -> dict[str, Any]:
        """The verdict as plain values: what expectations look into and what verdict.json holds."""
        document = {"schema_version": SCHEMA_VERSION, "verdict": self.verdict, "exit_code": self.exit_code}
        for name, value in asdict(self).items():
            document.setdefault(name, value)
        values: dict[str, Any] = plain(document)
        return values

    def to_json(self) -> str:
        return json.dumps(self.figures(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Read verdict.json; fields of later minor versions are left out. ValueError where it is not one."""
        try:
            document = parse_json(text)
        except ValueError as error:
            raise ValueError(f"not a verdict: {error}") from None
        if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"not a verdict of schema version {SCHEMA_VERSION}")
        known = {name: value for name, value in document.items() if name in cls.__dataclass_fields__}
        check_kinds(known, _KINDS)
        try:
            known["expectations"] = [Outcome(**outcome) for outcome in known.get("expectations", [])]
            return cls(**known)
        except TypeError as error:
            raise ValueError(f"not a verdict: {error}") from None


_NUMBERS = {"": 0.0}
_KINDS = {  # of values in verdict.json
    "scenario": "", "seed": 0, "run_id": "", "duration_s": 0.0, "expectations": [{}], "lateness_ms": _NUMBERS,
    "lateness_limit_ms": 0.0, "lateness_budget": _NUMBERS, "probe_error_ms": _NUMBERS, "probe_loss": {},
    "drops": _NUMBERS, "probes": [{}], "flows": [{}], "programs": [{}], "hosts": [{}], "machines": [{}],
    "trunks": _NUMBERS, "clock": _NUMBERS, "trunk_lost_limit": 0.0, "warnings": [""], "summary": {},
    "prediction": {}, "rounds": {},
    "capture": {}, "interrupted": False, "error": "", "verdict": "", "exit_code": 0,
}  # fmt: skip
