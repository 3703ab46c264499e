"""The coin as a primary uses it: a share in each header of a wave's last round, a value when enough are there.

`consensus.threshold.ThresholdCoin` is one; `Seeded` makes one of the coin without cryptography.
"""

from __future__ import annotations

from typing import Protocol

from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.dag import Block


class Coin(Protocol):
    def share(self, round: int) -> bytes:
        """This validator's share, for its header of a round; empty where none is due."""
        ...

    def accepts(self, author: int, round: int, share: bytes) -> bool:
        """Whether a header's share is what it should be."""
        ...

    def reveal(self, block: Block, share: bytes) -> tuple[int, int] | None:
        """The wave and its fallback leader, where this block's share was the last that was missing."""
        ...

    def collect(self, floor: int) -> None:
        """Forget rounds up to and with `floor`."""
        ...


class Seeded:
    """The seeded coin, which has no shares."""

    def __init__(self, coin: SeededCoin) -> None:
        self._coin = coin

    def share(self, round: int) -> bytes:
        return b""

    def accepts(self, author: int, round: int, share: bytes) -> bool:
        return not share

    def reveal(self, block: Block, share: bytes) -> tuple[int, int] | None:
        return self._coin.reveal(block)

    def collect(self, floor: int) -> None:
        self._coin.collect(floor)
