"""What a protocol package provides for observation: a panel of the live screen, figures, dissectors.

A package describes itself by one `Protocol`; its node programs name it (`Node.protocol`), and the entry-point group
`skyloom.protocols` lists it. Invariant: the inputs and outputs of a panel are plain values, so it runs in the
supervisor of a live run and over the tables of a finished one, and no module of `emulator` names a protocol.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from emulator.model.errors import UsageError

__all__ = [
    "Bars",
    "Chart",
    "Grid",
    "KeyValues",
    "Panel",
    "PanelContext",
    "PanelView",
    "Protocol",
    "Series",
    "Table",
    "Tone",
    "TrafficRecords",
    "Widget",
    "installed",
    "load",
    "protocol_of",
]

Tone = Literal["good", "bad", "warn", "dim", "plain"]


class KeyValues(TypedDict):
    """Names and values, a line each: [["round", "812"], …]."""

    kind: Literal["facts"]
    rows: list[list[str]]


class Series(TypedDict):
    """One line of a chart: a value for each x of the chart, None where there is none."""

    name: str
    values: list[float | None]


class Chart(TypedDict):
    """Lines over a common x, in ascending order."""

    kind: Literal["chart"]
    title: str
    x_label: str  # "scenario time in s", "round"
    y_label: str  # with the unit
    x: list[float]
    series: list[Series]


class Bars(TypedDict):
    """Shares of a whole or of the largest: [label, share from 0 to 1, text beside the bar]."""

    kind: Literal["bars"]
    title: str
    rows: list[tuple[str, float, str]]


class Table(TypedDict):
    """A table; cells are text, columns of numbers are aligned to the right."""

    kind: Literal["listing"]
    title: str
    columns: list[str]
    rows: list[list[str]]


class Grid(TypedDict):
    """A picture of characters, such as a space-time diagram: [label, cells], every cell one character.

    `tones` gives the colour of a character, `legend` its meaning. Later columns are to the right; if there is no room
    for all of them the screen shows the last.
    """

    kind: Literal["grid"]
    title: str
    rows: list[tuple[str, str]]
    tones: dict[str, Tone]
    legend: str


Widget = KeyValues | Chart | Bars | Table | Grid
MOST_POINTS = 120  # of a chart's x, so that a snapshot stays small
MOST_CELLS = 4_000  # of a grid


class PanelView(TypedDict):
    """The content of a panel at an instant; `protocol` is the protocol's name. At most some 8 kB as msgpack."""

    protocol: str
    title: str
    widgets: list[Widget]


@dataclass(frozen=True, slots=True)
class PanelContext:
    """The facts that a panel has before the first record."""

    nodes: tuple[str, ...]  # that run programs of the protocol, in the order of the scenario
    configs: Mapping[str, Mapping[str, Any]]  # by program name; SI values as the program's Config gets them
    parameters: Mapping[str, Any]  # of the scenario's recipe
    edges: tuple[tuple[str, str], ...]  # links between live nodes (none that move)
    duration_s: float
    prediction: Mapping[str, Any] = field(default_factory=dict)  # predicted figures of the scenario


class Panel:
    """Receives the records of a protocol's programs; subclasses define what is shown of them.

    Records are passed in order of arrival, up to thousands a second: keep sums and bounded windows, not records. An
    error raised here ends the panel, never the run.
    """

    def __init__(self, context: PanelContext) -> None:
        self.context = context

    def event(self, t_s: float, node: str, kind: str, data: Mapping[str, Any]) -> None:
        """`NodeContext.emit(kind, **data)` of a node."""

    def sample(self, t_s: float, node: str, name: str, value: float, key: str) -> None:
        """`NodeContext.sample(name, value, key)` of a node."""

    def widgets(self, t_s: float) -> list[Widget]:
        """The widgets to show now, most important first; the screen draws as many as there is room for."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class TrafficRecords:
    """The names of the records of a protocol's programs that report round trips and flows; None: there are none.

    The run compares round trips with its schedule, and shows both. Samples have the other node as their key. The
    defaults apply to programs that name no protocol, and to protocols that set nothing else.
    """

    round_trip: str | None = "rtt_s"  # sample: seconds, at the time of sending
    lost: str | None = "probe_lost"  # sample: a round trip that timed out, at the time of sending
    flow_rate: str | None = "goodput_bps"  # sample of the receiver: bit/s since the last one
    flow_size: str | None = "flow_bytes"  # sample of the receiver: bytes so far
    flow_end: str | None = "flow"  # event of the receiver, with `peer`, `bytes`, `duration_s`


@dataclass(frozen=True, slots=True)
class Protocol:
    """The description of a protocol package. Dotted names ("package.module:object") are imported on first use."""

    name: str  # "plurality"
    title: str  # "Plurality consensus"
    panel: str = ""  # a subclass of Panel
    figures: str = ""  # function (emulator.record.load.Run) -> list[emulator.report.drawing.Drawing]
    dissectors: str = ""  # function () -> list[emulator.sdk.wire.Dissector]
    quiet: frozenset[str] = field(default_factory=frozenset)  # event kinds that the event log leaves out
    traffic: TrafficRecords = TrafficRecords()


def load(name: str) -> Any:
    """The object of a dotted name, "package.module:object"."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def protocol_of(run: str | None) -> Protocol | None:
    """The protocol that the Node class `run` of a program names; None if it names none, or cannot be imported."""
    if not run:
        return None
    try:
        name = load(run).protocol
        protocol = load(name) if name else None
    except Exception as error:
        traceback.print_exception(error)
        return None
    return protocol if isinstance(protocol, Protocol) else None


def installed() -> Iterator[Protocol]:
    """Protocols of all installed packages: the entry points `skyloom.protocols`, in alphabetical order.

    UsageError for one that cannot be loaded.
    """
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group="skyloom.protocols"), key=lambda point: point.name):
        try:
            protocol = point.load()
            if not isinstance(protocol, Protocol):
                raise TypeError(f"{point.value} is a {type(protocol).__name__}; expected a Protocol")
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise UsageError(f"protocol {point.name}: {error}; repair its package or uninstall it") from error
        yield protocol
