"""The control messages: what terminals, the supervisor, the zygote and node processes say to each other.

Each direction has a union of what it carries, so that a type checker sees who handles what. How messages travel:
`encoding` (one encoding, with a version), over any `transport`. A change of any message here is a new VERSION there.
Orders to the packet engine and the planner are no messages of this kind: `link` and `schedule`, which read them, know
nothing of this room; both processes are forked from the supervisor, run the same code, and speak to nobody else. What
the capture writer says and hears is in `runtime.capture.messages`.

Invariant: plain frozen values. A field's annotation is what `decode` checks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_args

from emulator.model.errors import EXIT_INTERNAL
from emulator.observe.view import View
from emulator.runtime.control.encoding import MESSAGE_BYTES, ControlMessage

SNAPSHOT_BYTES = MESSAGE_BYTES - 100  # the rest is its message's own

# -- terminals to the supervisor: the command that launched the run, and others that found it --------------------------


@dataclass(frozen=True, slots=True)
class Stop(ControlMessage):
    """End the run (a second time: at once); to a node process: end."""


@dataclass(frozen=True, slots=True)
class Detach(ControlMessage):
    """The launching command leaves, and the run goes on."""


@dataclass(frozen=True, slots=True)
class SetView(ControlMessage):
    """Snapshots to come shall have the rows of this view."""

    view: View


@dataclass(frozen=True, slots=True)
class Act(ControlMessage):
    """Do this to the network; an action as the table of verbs has them."""

    action: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Watch(ControlMessage):
    """Send snapshots from now on."""

    view: View


@dataclass(frozen=True, slots=True)
class ListNodes(ControlMessage):
    """Which nodes are hosted? Answer: NodeNames."""


@dataclass(frozen=True, slots=True)
class DescribeNetwork(ControlMessage):
    """Which nodes and links are there? Answers: NodeRows, LinkRows, NetworkEnd."""


@dataclass(frozen=True, slots=True)
class Execute(ControlMessage):
    """Run a command on a node; stdin, stdout and stderr come as descriptors. Answers: Started, then Exited."""

    node: str
    command: tuple[str, ...]
    environment: dict[str, str]
    directory: str
    terminal: bool = False


@dataclass(frozen=True, slots=True)
class Signal(ControlMessage):
    """Pass a signal on to the command that this connection runs."""

    signum: int


@dataclass(frozen=True, slots=True)
class StartCapture(ControlMessage):
    """Copy packets of these link ends or nodes (globs) to the descriptor that comes along.

    Answers: Interfaces and AddressNames, Capturing, then Renamed and Remarks as they happen.
    """

    links: tuple[str, ...]
    snaplen: int = 0
    filter: str = ""


Request = Stop | Act | Watch | ListNodes | DescribeNetwork | Execute | StartCapture  # the first of a connection
FromScreen = Stop | Act | SetView
FromLauncher = Stop | Act | SetView | Detach
FIRST_REQUESTS: tuple[type[Request], ...] = get_args(Request)
FROM_SCREEN: tuple[type[FromScreen], ...] = get_args(FromScreen)
FROM_LAUNCHER: tuple[type[FromLauncher], ...] = get_args(FromLauncher)


# -- the supervisor to terminals ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refused(ControlMessage):
    """The request fails with this error."""

    text: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Done(ControlMessage):
    """The request is fulfilled."""


@dataclass(frozen=True, slots=True)
class ShowSnapshot(ControlMessage):
    """The run at this moment, packed by `observe.snapshot.encode` into SNAPSHOT_BYTES."""

    snapshot: bytes


@dataclass(frozen=True, slots=True)
class RunEnded(ControlMessage):
    """The last word of a run to the command that launched it."""

    exit_code: int
    error: str


@dataclass(frozen=True, slots=True)
class NodeNames(ControlMessage):
    """The hosted nodes."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeRows(ControlMessage):
    """Some nodes: name, role, hosted, IPv4 and IPv6 address, whether it is a bridge."""

    rows: tuple[tuple[str, str, bool, str, str, bool], ...]


@dataclass(frozen=True, slots=True)
class LinkRows(ControlMessage):
    """Some links: name, numbers of both nodes, both ports, moving, Ethernet, both addresses."""

    rows: tuple[tuple[str, int, int, str, str, bool, bool, str, str], ...]


@dataclass(frozen=True, slots=True)
class NetworkEnd(ControlMessage):
    """All nodes and links were told."""


@dataclass(frozen=True, slots=True)
class Started(ControlMessage):
    """The command runs."""


@dataclass(frozen=True, slots=True)
class Exited(ControlMessage):
    """The command has ended; a negative status is a signal."""

    status: int


@dataclass(frozen=True, slots=True)
class Interfaces(ControlMessage):
    """How some captured link ends are called: end, name, description, link type, snaplen."""

    rows: tuple[tuple[int, str, str, int, int], ...]


@dataclass(frozen=True, slots=True)
class AddressNames(ControlMessage):
    """Names of some addresses, which are in network order."""

    rows: tuple[tuple[bytes, str], ...]


@dataclass(frozen=True, slots=True)
class Capturing(ControlMessage):
    """Packets come from now on. T0 by the monotonic clock and by the time of day; the folder of TLS keys, or ""; the
    filter as a tree, which the other side applies."""

    t0_ns: int
    t0_utc_ns: int
    keys: str
    filter: Any


@dataclass(frozen=True, slots=True)
class Renamed(ControlMessage):
    """Captured link ends that lead elsewhere from a time on: scenario time, remark, and a row of Interfaces."""

    rows: tuple[tuple[float, str, int, str, str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Remarks(ControlMessage):
    """Remarks on captured link ends: scenario time, end, text."""

    rows: tuple[tuple[float, int, str], ...]


ToLauncher = ShowSnapshot | RunEnded
CaptureNews = Renamed | Remarks
ToCapture = Interfaces | AddressNames | CaptureNews
Answer = (
    Refused | Done | ShowSnapshot | NodeNames | NodeRows | LinkRows | NetworkEnd | Started | Exited
    | Capturing | ToCapture
)  # fmt: skip
TO_LAUNCHER: tuple[type[ToLauncher], ...] = get_args(ToLauncher)
ANSWERS: tuple[type[Answer], ...] = get_args(Answer)


# -- the supervisor and the zygote -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Peers(ControlMessage):
    """Some of those who live in the run: name, role, IPv4 and IPv6 address."""

    rows: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Members(ControlMessage):
    """Some of the nodes that run a program."""

    program: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Warm(ControlMessage):
    """Import these programs. Answer: Warmed or Cold."""

    programs: tuple[str, ...]
    path: tuple[str, ...]
    store: str


@dataclass(frozen=True, slots=True)
class Spawn(ControlMessage):
    """Fork a process: a program (`run`, `config`) or a command. `fds` names the descriptors that come along."""

    id: int
    node: str
    program: str
    seed: int
    log: str
    store: str
    key_log: str
    fds: tuple[str, ...]
    run: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)  # empty: as inherited
    variables: dict[str, str] = field(default_factory=dict)  # put over the environment
    limits: dict[str, int] = field(default_factory=dict)  # by the names of `resource`, in lower case, without RLIMIT_
    account: tuple[int, ...] = ()  # user, group and further groups; empty: as inherited
    directory: str = ""
    bin: str = ""  # a folder whose programs a command finds before all others
    terminal: bool = False
    start_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Kill(ControlMessage):
    """Signal the sessions of these processes."""

    ids: tuple[int, ...]
    signum: int


@dataclass(frozen=True, slots=True)
class Warmed(ControlMessage):
    """The programs are imported."""

    took_s: float


@dataclass(frozen=True, slots=True)
class Cold(ControlMessage):
    """A program cannot be imported."""

    program: str
    text: str


@dataclass(frozen=True, slots=True)
class Spawned(ControlMessage):
    """A process was forked."""

    id: int
    pid: int


@dataclass(frozen=True, slots=True)
class ProcessExited(ControlMessage):
    """A process has ended; a negative status is a signal. `cpu_s`: its processor time, with that of its children."""

    id: int
    status: int
    cpu_s: float = 0.0


ToZygote = Peers | Members | Warm | Spawn | Kill
FromZygote = Warmed | Cold | Spawned | ProcessExited
TO_ZYGOTE: tuple[type[ToZygote], ...] = get_args(ToZygote)
FROM_ZYGOTE: tuple[type[FromZygote], ...] = get_args(FromZygote)


# -- the supervisor and a node process, beside its records -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start(ControlMessage):
    """Play begins at T0 of the monotonic clock."""

    t0_ns: int


@dataclass(frozen=True, slots=True)
class Met(ControlMessage):
    """The barrier of a round has opened: the sum of what all brought."""

    round: int
    totals: dict[str, int]


@dataclass(frozen=True, slots=True)
class ActionDone(ControlMessage):
    """An action that was asked for is done; `error` says why it is not."""

    number: int
    error: str


@dataclass(frozen=True, slots=True)
class Ready(ControlMessage):
    """`setup` has ended."""


@dataclass(frozen=True, slots=True)
class Failed(ControlMessage):
    """The program has raised, in "setup" or in "run"; `exit_code` is that of the error."""

    stage: str
    text: str
    exit_code: int = EXIT_INTERNAL


@dataclass(frozen=True, slots=True)
class Dropped(ControlMessage):
    """So many records were lost since the last time."""

    count: int


@dataclass(frozen=True, slots=True)
class Meet(ControlMessage):
    """The process has come to the barrier of a round. Answer: Met."""

    round: int
    tally: dict[str, int]


@dataclass(frozen=True, slots=True)
class AskAction(ControlMessage):
    """Do this to the network. Answer: ActionDone of the same number."""

    number: int
    action: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CountRound(ControlMessage):
    """What was sent and received up to a round since the last time; `in_slot` of it in the round it was due in."""

    round: int
    sent: int
    received: int
    in_slot: int


ToNode = Start | Stop | Met | ActionDone
NodeRequest = Meet | AskAction | CountRound
FromNode = Ready | Failed | Dropped | NodeRequest
TO_NODE: tuple[type[ToNode], ...] = get_args(ToNode)
FROM_NODE: tuple[type[FromNode], ...] = get_args(FromNode)
