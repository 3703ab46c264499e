"""What goes wrong in a run of `xroute`: keys of the chains that it hits, and actions on nodes.

Invariant: faults hit the first chains and relayers; a run without any has neither keys nor actions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from emulator.model.units import show
from scenarios.xroute.parameters import Faults

__all__ = ["LASTING", "actions_of_fault", "keys_of_fault"]

LASTING: dict[str, dict[str, Any]] = {
    "rate": {"request_rate": 40.0},
    "mempool": {"mempool_txs": 2},
    "churn": {"churn_blocks": 5, "churned": 3},
    "clock": {"clock_ahead": "2 s"},
}
"""Of kinds that last all the time: keys of a chain."""


def keys_of_fault(faults: Faults) -> dict[str, Any]:
    """What the config of a chain that is hit has beside what all have."""
    if faults.kind in ("halt", "slow"):
        return {faults.kind: show(faults.at_s, "duration"), f"{faults.kind}_for": show(faults.length_s, "duration")}
    return LASTING.get(faults.kind, {})


def actions_of_fault(
    faults: Faults, chains: Sequence[str], relayers: Sequence[str], program: Callable[[str], str]
) -> list[dict[str, Any]]:
    """What is done to nodes; `program` is the name of a chain's program."""
    when = {"at": show(faults.at_s, "duration"), "for": show(faults.length_s, "duration")}
    hit, others = [*chains[: faults.chains]], [*chains[faults.chains :], *relayers]
    done: list[dict[str, Any]] = []
    if hit and faults.kind == "crash":
        done += [{"do": "crash", "program": program(chain), **when} for chain in hit]
    if hit and faults.kind == "cut":
        done.append({"do": "partition", "groups": [hit, others], **when})
    if faults.relayers:
        done.append({"do": "crash", "nodes": [*relayers[: faults.relayers]], **when})
    if faults.apart:
        done.append({"do": "partition", "groups": [[each] for each in relayers], **when})
    return done
