"""What can be set of the scenario `ibc`: tables of its parameters.

Invariant: a parameter that another one makes meaningless is refused by the recipe, not ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from emulator.model.tables import Table
from emulator.model.units import Duration

MOST_CHAINS = 20
MOST_VALIDATORS = 40
MOST_TRANSFERS = 1000  # of a transaction: messages that a chain takes


class Load(Table):
    """ICS-20 transfers from each chain to its neighbours, or to those behind them, too."""

    packets_per_s: Annotated[float, Field(ge=0, le=1e5)] = Field(20.0, alias="packets_per_s")
    """Packets a second of all chains together. A transfer over several hops is a packet on each."""
    hops: Annotated[int, Field(ge=1, lt=MOST_CHAINS)] = 1
    """The farthest that transfers go. 1: to neighbours alone; with 2 and more, chains forward them, as often to each.
    A hop takes some five blocks, and so does its acknowledgement on the way back: `drain` must be long enough."""
    transfers_per_transaction: Annotated[int, Field(ge=1, le=MOST_TRANSFERS)] = 50
    """Transfers of one transaction, at most: fewer where fewer are due, twice a second."""
    drain_s: Duration = 25.0
    """How long before the end of the run the load stops, and the audit begins to read the chains."""


class Faults(Table):
    """What goes wrong, once."""

    relayers: Annotated[int, Field(ge=0)] = 0
    """Relayers that are killed: the first ones."""
    chains: Annotated[int, Field(ge=0)] = 0
    """Chains that halt: the first ones. Their RPC answers, but they make no block."""
    at_s: Duration = 20.0
    """When."""
    length_s: Duration = 5.0
    """How long they are away. Relayers come back with their disks."""


def _default(table: type[Table]) -> Any:
    return Field(default_factory=lambda: table.model_validate({}))


class Parameters(Table):
    """What can be set of the scenario `ibc`."""

    chains: Annotated[int, Field(ge=2, le=MOST_CHAINS)] = 2
    """How many chains, in a row: each has a path to the next one. They are a-1 on node a-0, b-1 on b-0, and so on."""
    relayers: Annotated[int, Field(ge=1, le=MOST_CHAINS)] = 1
    """How many relayers share the paths; where there are more of them than paths, several serve the same."""
    topology: Literal["wan", "leo"] = "wan"
    """Where the nodes are: in five regions of a cloud in turn, or ground stations under a moving constellation; their
    names have `gs-` before them then. A relayer is where the first chain of its paths is."""
    version: Literal["auto", "v1", "v2"] = "auto"
    """IBC version of the paths. "auto": v2, or v1 where transfers are forwarded, which v2 cannot do here."""
    block_s: Annotated[Duration, Field(gt=0)] = 1.0
    """Time between two blocks of a chain."""
    validators: Literal["one process", "processes"] = "one process"
    """Who signs a chain's blocks: one process for all of its validators, or each for itself, on nodes a-0, a-1 and so
    on, in regions in turn, which agree by the DAG-BFT of lemonshark. Each of them answers RPC."""
    validators_per_chain: Annotated[int, Field(ge=4, le=MOST_VALIDATORS)] = 4
    """How many validators a chain has. Of 3 f + 1 that are processes, f may be dead."""
    load: Load = _default(Load)
    """What is sent."""
    faults: Faults = _default(Faults)
    """What goes wrong."""
