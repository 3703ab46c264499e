"""What relayers have at stake on each chain, as blocks say.

Invariant: who was slashed on one chain has no weight any more, whatever it has at stake elsewhere or later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from nodes.ibc.relayer.calls import Block

__all__ = ["Stakes"]


class Stakes:
    """Stakes by chain and by a relayer's public key. `weights` is what a relayer's word counts: all its stakes."""

    def __init__(self) -> None:
        self.weights: dict[bytes, int] = {}  # changed in place
        self._on: defaultdict[str, dict[bytes, int]] = defaultdict(dict)
        self._slashed: set[bytes] = set()

    def on(self, chain: str) -> Mapping[bytes, int]:
        """Those that count on a chain."""
        return self._on[chain]

    def is_slashed(self, key: bytes) -> bool:
        return key in self._slashed

    def saw(self, chain: str, block: Block) -> int:
        """A chain has made a block: how many of its events are out of form, and left out."""
        malformed = 0
        for result in block.results:
            for event in result.events if not result.code else ():
                if event.type in ("xroute_stake", "xroute_slash"):
                    try:
                        key, amount = bytes.fromhex(event["relayer"]), int(event["amount"])
                    except (StopIteration, ValueError):
                        malformed += 1
                        continue
                    if event.type == "xroute_slash":
                        self._slashed.add(key)
                        amount = 0
                    self._set(chain, key, amount)
        return malformed

    def _set(self, chain: str, key: bytes, amount: int) -> None:
        self._on[chain][key] = amount
        if not amount:
            del self._on[chain][key]
        weight = 0 if key in self._slashed else sum(each.get(key, 0) for each in self._on.values())
        self.weights[key] = weight
        if not weight:
            del self.weights[key]
