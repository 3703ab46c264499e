"""The coin as a primary uses it: a share in each header of a wave's last round, and a value from enough shares.

`consensus.threshold.ThresholdCoin` is one; `Seeded` makes one of the coin without cryptography.
"""

from __future__ import annotations

from typing import Protocol

from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.dag import Block


class Coin(Protocol):
    def share(self, round: int) -> bytes:
        """This validator's share, for its header of a round; empty if none is due."""
        ...

    def accepts(self, author: int, round: int, share: bytes) -> bool:
        """Whether a header's share is valid."""
        ...

    def reveal(self, block: Block, share: bytes) -> tuple[int, int] | None:
        """The wave and its fallback leader, if this block's share was the last missing one; else None."""
        ...

    def collect(self, floor: int) -> None:
        """Drop rounds up to and with `floor`."""
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
