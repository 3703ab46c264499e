"""The registry of names of a run of `xroute`: a chain of its own, the owners of the names, and what others know of it.

Invariant: each chain has a name, and those of weak ones are avoided as transits; the registry lets no message pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from emulator.model.units import show

__all__ = ["OWNERS", "PROGRAM", "REGISTRY", "ZONE", "name_of", "programs_of", "with_names"]

ZONE = "mesh"
REGISTRY, OWNERS = "names-0", "owners"  # nodes
PROGRAM = "chain-names"


def name_of(chain: str) -> str:
    """The name of a node's chain."""
    return f"{chain.removesuffix('-0')}.{ZONE}"


def with_names(policy: str, weak: Iterable[str]) -> str:
    """A policy that also keeps off these chains as transits, by their names, and off those that let nothing pass."""
    names = ", ".join(map(name_of, weak))
    return f"{policy}; require each transit transit_ok = true; require each transit not in {{{names}}}"


def programs_of(chains: Sequence[str], accounts: Sequence[str], block_s: float, renew_s: float) -> list[dict[str, Any]]:
    """The registry's chain, and who registers the names of these chains, and renews them at a time."""
    names = [name_of(chain) for chain in chains]
    return [
        {
            "name": PROGRAM,
            "nodes": REGISTRY,
            "run": "nodes.xroute.chain:Chain",
            "config": {
                "block": show(block_s, "duration"), "accounts": [*names, *accounts], "zones": [ZONE], "transit": "deny",
            },
            "ready": {"http": "http://127.0.0.1:26657/health"},
        },
        {
            "name": "owners",
            "nodes": OWNERS,
            "run": "nodes.xroute.names.process:Registrar",
            "after": [PROGRAM],
            "config": {
                "registry": REGISTRY,
                "names": [f"{name} {chain}" for name, chain in zip(names, chains, strict=True)],
                "renew": show(renew_s, "duration"),
            },
        },
    ]  # fmt: skip
