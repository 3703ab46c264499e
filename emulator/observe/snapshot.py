"""The state of a run, four times a second, for terminal, replay, Prometheus and `skyloom watch --json`.

A snapshot is made in one place (`snapshot_builder`) and is never changed: its keys are read-only, which the type
checker holds, and a new moment is a new value. It is made of plain numbers, text, lists and tables, so that JSON and
msgpack carry it as it is; that is why it is a typed dictionary and no class. Frozen dataclasses would have to be turned
into tables and back, and absent keys into defaults: with 60 rows in three tables and 20 in the table of events, to
make, pack and unpack a snapshot takes 0.74 ms of processor time with dataclasses and 0.20 ms as it is. `version`
counts incompatible changes of the JSON: a key that is removed or changes its meaning. New keys are compatible.

Invariant: every key but `version` is optional, and a reader leaves out what is absent; times are scenario seconds,
numbers carry their unit in their name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

import msgpack

from emulator.observe.view import View
from emulator.record.capture_files import CaptureRow
from emulator.record.verdict.schema import MachineRow, TrunkRow
from emulator.sdk.protocol import PanelView, Widget

if TYPE_CHECKING:
    from typing_extensions import ReadOnly

VERSION = 1
LEFT_OUT = (  # in this order
    "map", "contacts", "panels", "events", "probes", "flows", "links", "node_rows", "trunks", "machines",
)  # fmt: skip
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
    """A link end, over the last interval (a second)."""

    end: str  # "gs-tokyo:up"
    far: str  # the node that receives now; "" for none
    up: bool
    asked_ms: float  # mean delay asked of the packets delivered; what the schedule says now where none was
    seen_ms: float  # asked and lateness
    late_ms: float  # mean lateness
    asked_bps: float  # offered by the sender
    rate_bps: float  # delivered
    capacity_bps: float  # what the schedule grants; absent where it is unlimited
    history: list[int]  # utilisation in percent of the last intervals, oldest first, the present one last
    drops: int  # all causes, in the interval
    causes: dict[str, int]  # drops by cause, whole run; only causes that occurred


class NodeRow(TypedDict, total=False):
    """A live node."""

    node: str
    role: str
    state: Literal["up", "ended", "failed"]  # of its programs; "up" too where it has none
    programs: list[str]
    host: str  # on which it lives; absent in a run on one
    cpu: float  # cores used by its processes over the last second or so
    memory_bytes: int  # that its processes share with nobody (forked ones share most of theirs)
    sent_bps: float  # over all its link ends
    received_bps: float


class ContactRow(TypedDict, total=False):
    """Who served a moving link, and who will: spans [from_s, until_s, node], in order, "" for nobody."""

    link: str
    node: str  # the fixed end, "gs-tokyo"
    spans: list[tuple[float, float, str]]


class Place(TypedDict):
    """A node at a fixed place."""

    node: str
    lat_deg: float
    lon_deg: float


class WorldMap(TypedDict, total=False):
    """The network on the Earth; absent where nodes have no places."""

    places: list[Place]
    satellites: list[int]  # latitude, longitude, latitude, … in whole degrees, of a sample where there are thousands
    paths: list[list[tuple[float, float]]]  # ways that traffic takes now: (latitude, longitude) from node to node


class Detail(TypedDict, total=False):
    """Everything about one node or link end that somebody looks at."""

    name: str
    kind: Literal["node", "link"]
    facts: list[tuple[str, str]]
    widgets: list[Widget]
    events: list[EventRow]  # that concern it, oldest first


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

    version: ReadOnly[int]  # VERSION
    scenario: ReadOnly[str]
    run_id: ReadOnly[str]
    seed: ReadOnly[int]
    folder: ReadOnly[str]  # run folder, as shown to people
    phase: ReadOnly[Phase]
    done: ReadOnly[
        float
    ]  # progress within the phase: rows of the schedule, devices built, processes ready; play uses t_s
    total: ReadOnly[float]
    rate: ReadOnly[float]  # of `done` per second, where it is known
    label: ReadOnly[str]  # what is being done right now ("routes", "gs-tokyo"), shown beside the bar
    elapsed_s: ReadOnly[float]  # wall-clock seconds since the command began
    t_s: ReadOnly[float]  # scenario time; negative before play
    duration_s: ReadOnly[float]
    lateness_ms: ReadOnly[Lateness]
    nodes: ReadOnly[Nodes]
    probes: ReadOnly[list[ProbeRow]]
    flows: ReadOnly[list[FlowRow]]
    links: ReadOnly[list[LinkRow]]
    drops: ReadOnly[dict[str, int]]  # by cause, whole run
    handovers: ReadOnly[int]
    handover_tail: ReadOnly[list[HandoverRow]]  # the last few, oldest first
    events: ReadOnly[list[EventRow]]  # the last few, oldest first
    warnings: ReadOnly[list[str]]
    lateness_limit_ms: ReadOnly[float]  # of `lateness_ms`' p99
    late_by: ReadOnly[
        str
    ]  # what most of the lateness came from: "engine", "scheduler", "capture"; nothing was late: left out
    t0_utc_s: ReadOnly[float]  # time of day (Unix) of scenario time 0; where the scenario names an epoch, of its epoch
    node_rows: ReadOnly[list[NodeRow]]  # those that the view asks for
    node_count: ReadOnly[int]  # how many fit the view's filter
    link_count: ReadOnly[int]
    contacts: ReadOnly[list[ContactRow]]
    map: ReadOnly[WorldMap]
    panels: ReadOnly[list[PanelView]]  # of the protocols, in the order of the scenario's programs
    capture: ReadOnly[CaptureRow]
    detail: ReadOnly[Detail]
    machines: ReadOnly[list[MachineRow]]  # hosts of a run on several, those with the latest packets first
    trunks: ReadOnly[list[TrunkRow]]  # between them, the slowest first
    view: ReadOnly[View]  # that this snapshot answers


def encode(snapshot: Snapshot, most_bytes: int) -> bytes:
    """The snapshot as a msgpack map of at most so many bytes: what is too much is left out, the least interesting
    first. Each part is packed once, however much is left out."""
    packer = msgpack.Packer()
    parts = {key: packer.pack(key) + packer.pack(value) for key, value in snapshot.items()}
    size = sum(map(len, parts.values())) + 3  # the head of a map of more than 15 keys
    for key in LEFT_OUT:
        if size <= most_bytes:
            break
        size -= len(parts.pop(key, b""))
    return bytes(packer.pack_map_header(len(parts))) + b"".join(parts.values())


def decode(data: bytes) -> Snapshot:
    """The snapshot that `encode` packed. ValueError where it is none, or one of another version."""
    try:
        found: Any = msgpack.unpackb(data, strict_map_key=False)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(f"{len(data)} bytes are no snapshot: {error}") from None
    if not isinstance(found, dict) or found.get("version") != VERSION:
        version = found.get("version") if isinstance(found, dict) else None
        raise ValueError(f"a snapshot of version {version}; expected version {VERSION}")
    snapshot: Snapshot = found  # type: ignore[assignment]
    return snapshot
