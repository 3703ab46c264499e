"""The value that the runtime hands to the live screen some four times a second: plain numbers and text, JSON-able.

Invariant: every key is optional and may be absent, and the screen then leaves that part out; times are scenario
seconds, numbers carry their unit in their name. The same value answers `skyloom watch --json`.
"""

from __future__ import annotations

from typing import Literal, TypedDict

Phase = Literal["schedule", "build", "start", "play", "analysis", "done"]
PHASES: tuple[Phase, ...] = ("schedule", "build", "start", "play", "analysis")  # the order in which a run goes


class Lateness(TypedDict):
    """How much later than asked packets left the relay, since the start of play; milliseconds."""

    p50: float
    p99: float
    max: float


class Nodes(TypedDict, total=False):
    """How many nodes have a namespace, how many live inside the relay, how many processes run."""

    live: int
    transit: int
    processes: int


class ProbeRow(TypedDict, total=False):
    """A probed pair; delays are round trips, `asked_ms` what the schedule says at the instant of the last probe."""

    pair: str  # "gs-tokyo → gs-paris"
    asked_ms: float
    seen_ms: float  # last measured
    error_ms: float  # seen - asked, of the last probe; absent where it was lost
    sent: int
    lost: int


class FlowRow(TypedDict, total=False):
    """A transfer between two nodes."""

    pair: str
    bytes: int
    now_bps: float  # over the last interval
    mean_bps: float  # since the flow started


class LinkRow(TypedDict, total=False):
    """A link end, over the last interval. The runtime sends the few that matter (busiest, latest, dropping)."""

    end: str  # "gs-tokyo:up"
    asked_ms: float  # mean delay asked of the packets delivered
    late_ms: float  # mean lateness beside it
    rate_bps: float  # delivered
    drops: int  # all causes


class HandoverRow(TypedDict, total=False):
    """A moving link changed its far end; "" for none."""

    t_s: float
    link: str
    before: str
    after: str


class EventRow(TypedDict, total=False):
    """One line of the event tail."""

    t_s: float
    node: str
    kind: str
    text: str


class Snapshot(TypedDict, total=False):
    """A running run at one instant."""

    scenario: str
    run_id: str
    seed: int
    folder: str  # run folder, as shown to people
    phase: Phase
    done: float  # progress within the phase: rows of the schedule, devices built, processes ready; play uses t_s
    total: float
    rate: float  # of `done` per second, where it is known
    label: str  # what is being done right now ("routes", "gs-tokyo"), shown beside the bar
    elapsed_s: float  # wall-clock seconds since the command began
    t_s: float  # scenario time; negative before play
    duration_s: float
    lateness_ms: Lateness
    nodes: Nodes
    probes: list[ProbeRow]
    flows: list[FlowRow]
    links: list[LinkRow]
    drops: dict[str, int]  # by cause, whole run
    handovers: int
    handover_tail: list[HandoverRow]  # the last few, oldest first
    events: list[EventRow]  # the last few, oldest first
    warnings: list[str]
