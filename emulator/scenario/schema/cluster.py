"""The table [cluster]: how nodes are divided among hosts where a run has several. None of it changes what is emulated.

Invariant: a program has one figure of processor time, whoever asks.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from emulator.model.names import matches
from emulator.model.tables import Table
from emulator.scenario.schema.field_types import Glob, Globs, PositiveDuration
from emulator.scenario.schema.program import Program

PYTHON_CPU = 0.005  # cores of a process of a `run` program, unless something is said
COMMAND_CPU = 0.05


class Load(Table):
    """Packets that nodes are expected to send to others."""

    senders: Globs = Field(alias="from")
    """Names and globs of live nodes that send."""
    receivers: Globs = Field(alias="to")
    """Names and globs of live nodes to which they send."""
    packets: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Packets a second from each of them to each other one of these."""


class Cluster(Table):
    """How nodes are divided among hosts where a run has several; changes nothing of what is emulated."""

    min_cross_delay_s: PositiveDuration = 0.001
    """Shortest delay of a link between two hosts. Nodes joined by a link that is ever quicker share a host."""
    together: tuple[Globs, ...] = ()
    """Groups of names and globs of nodes; the nodes of a group share a host."""
    apart: tuple[Globs, ...] = ()
    """Groups of names and globs of nodes; no two nodes of a group share a host."""
    program_cpu: dict[Glob, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Cores that one process of a program takes, by name or glob of the program or of its `run`; the first that
    matches counts. By default 0.005 for a `run` and 0.05 for a `command`."""
    load: tuple[Load, ...] = ()
    """Who sends how much, each of which adds up; by default every end point sends 100 packets/s to each other one."""
    cores: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = ()
    """Cores of each host, in their order: the load is divided in proportion. By default those of a Ray cluster's
    machines, or hosts that are all alike."""
    owner_hash: Annotated[str, Field(pattern=r"^(\d+:[0-9a-f]{16})?$")] = ""
    """Number of hosts, and hash of which of them each node was on: in the scenario of a run folder, to tell whether
    a run over as many hosts has the same layout; changes nothing."""

    def cpu_of(self, program: Program) -> float:
        """Cores of one process of `program`."""
        for glob, cpu in self.program_cpu.items():
            if names_program(glob, program):
                return cpu
        return PYTHON_CPU if program.run is not None else COMMAND_CPU


def names_program(glob: str, program: Program) -> bool:
    """Whether a key of `program_cpu` means this program."""
    return matches((glob,), program.name) or (program.run is not None and matches((glob,), program.run))
