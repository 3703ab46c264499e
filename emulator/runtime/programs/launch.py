"""What processes of a run are to be started.

Invariant: a Launch is plain values that mean the same on every machine of a run; descriptors, accounts and paths come
in where the node lives (`launches`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from emulator.runtime.control.encoding import ControlMessage

PROBE = f"{__package__}.probe:ReadinessProbe"


@dataclass(frozen=True, slots=True)
class Introduction:
    """What the zygotes of a run know before its programs.

    `peers`: name, role, IPv4 and IPv6 address of all live nodes. `programs`: dotted names, to import. `path`: folders
    where modules are looked for. `members`: by a program's name, the nodes that run it.
    """

    peers: Sequence[tuple[str, str, str, str]]
    programs: Sequence[str]
    path: Sequence[str]
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Launch(ControlMessage):
    """Start a process on a node.

    `kind`: a program of the scenario; the probe of its readiness; the command of an action, with placeholders; or the
    command of a terminal, as it stands. `name`: of the process in records and logs. `log`: within the folder of logs,
    "" where its streams lead elsewhere.
    """

    number: int
    kind: str
    node: str
    name: str
    program: str = ""  # the scenario's
    index: int = 0  # of the node among those of the program or the action
    log: str = ""
    start_s: float = 0.0
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    directory: str = ""
    terminal: bool = False
