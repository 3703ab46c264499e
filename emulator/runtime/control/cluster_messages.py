"""The control messages between the lead of a run and the hosts on which its nodes live; `remote` says how they travel.

Beside these, hosts hear `Launch` and `Kill`, and pass on what their zygotes say.

Invariant: plain frozen values. A conversation begins with Hello and Welcome; after Final nothing comes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_args

from emulator.runtime.control.encoding import ControlMessage
from emulator.runtime.control.messages import FromZygote, Kill
from emulator.runtime.programs.launch import Launch


@dataclass(frozen=True, slots=True)
class Hello(ControlMessage):
    """Who the host is, its versions, which monotonic clock it has, and the ports at its address to which each other
    host sends by trunk."""

    host: int
    versions: dict[str, str]
    clock: str
    address: str
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Welcome(ControlMessage):
    """Address and port to which this host sends to each other one, in their order, and whether its monotonic clock is
    that of host 0, which is the run's."""

    trunks: tuple[tuple[str, int], ...]
    run_clock: bool


@dataclass(frozen=True, slots=True)
class HostProgress(ControlMessage):
    """How far the host has come in building."""

    done: float
    total: float
    label: str


@dataclass(frozen=True, slots=True)
class HostReady(ControlMessage):
    """Its nodes stand, and its relay waits for T0."""

    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AskClock(ControlMessage):
    """What does host 0's monotonic clock read? `asked_ns`: the lead's."""

    asked_ns: int


@dataclass(frozen=True, slots=True)
class ClockTold(ControlMessage):
    """What it read when the question was heard, and when this was told."""

    asked_ns: int
    heard_ns: int
    told_ns: int


@dataclass(frozen=True, slots=True)
class Propose(ControlMessage):
    """Could scenario time 0 be this reading of the run's clock?"""

    t0_ns: int


@dataclass(frozen=True, slots=True)
class Begin(ControlMessage):
    """Scenario time 0 is this reading of the run's clock."""

    t0_ns: int


@dataclass(frozen=True, slots=True)
class Armed(ControlMessage):
    """The host has heard of this T0 so long before it; after Begin relay and planner know it, too."""

    t0_ns: int
    margin_s: float


@dataclass(frozen=True, slots=True)
class Beat(ControlMessage):
    """Still here, from both sides. A host tells of its newest row: step, who is joined to whom, sum of delays."""

    step: int = -1
    joined: str = ""
    delays_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ActAt(ControlMessage):
    """Do this to links at a scenario time."""

    at_s: float
    action: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NotLaunched(ControlMessage):
    """A process could not be started."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class HostFailed(ControlMessage):
    """The host cannot go on."""

    text: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Finish(ControlMessage):
    """Stop the relay, say Final, and end. `quickly`: hardly wait."""

    quickly: bool = False


@dataclass(frozen=True, slots=True)
class NodeTotals(ControlMessage):
    """Of some nodes of a host that ends: what bounded ones used (seconds of processor time, seconds of waiting,
    bytes); packets that left their ports."""

    used: dict[str, tuple[float | None, float | None, int | None]] = field(default_factory=dict)
    packets: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Final(ControlMessage):
    """The last word of a host: whether its relay's last statistics came; routes that the kernel refused; rows of the
    schedule that were late."""

    complete: bool
    refused_routes: tuple[str, ...] = ()
    late_rows: int = 0
    warnings: tuple[str, ...] = ()


ToHost = Welcome | AskClock | Propose | Begin | Beat | ActAt | Finish | Launch | Kill
FromHost = (
    Hello
    | HostProgress
    | HostReady
    | ClockTold
    | Armed
    | Beat
    | NotLaunched
    | HostFailed
    | NodeTotals
    | Final
    | FromZygote
)
TO_HOST: tuple[type[ToHost], ...] = get_args(ToHost)
FROM_HOST: tuple[type[FromHost], ...] = get_args(FromHost)
