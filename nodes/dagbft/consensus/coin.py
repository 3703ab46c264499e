"""The coin without cryptography: it draws each wave's fallback leader once f + 1 blocks of its last round are held.

Invariant: every validator draws the same author for a wave. The seed determines all draws in advance, so it gives no
protection against a scheduler that knows the seed: it is for runs that must be repeatable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from emulator.model.errors import Unfit
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.dag import Block


class SeededCoin:
    """Draws by hash, and determines at which block a validator learns a value.

    A threshold coin would carry a share in each block of a wave's last round and need f + 1 of them; this one counts
    the same blocks, so that the value becomes known at the same block.
    """

    def __init__(self, committee: Committee, seed: int) -> None:
        self._n = committee.n
        self._shares = committee.faults + 1
        self._seed = seed
        self._held: dict[int, int] = {}  # by wave: the authors whose share is held

    def author(self, wave: int) -> int:
        """The fallback leader of a wave."""
        digest = hashlib.blake2b(f"coin/{self._seed}/{wave}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self._n

    def reveal(self, block: Block) -> tuple[int, int] | None:
        """The wave and its fallback leader, if this block brings the last missing share. Call once per block."""
        wave, rest = divmod(block.round, 4)
        if rest:
            return None
        held = self._held[wave] = self._held.get(wave, 0) | 1 << block.author
        return (wave, self.author(wave)) if held.bit_count() == self._shares else None

    def collect(self, floor: int) -> None:
        """Drop the waves up to and with the round `floor`."""
        for wave in [wave for wave in self._held if 4 * wave <= floor]:
            del self._held[wave]


class ListedCoin(SeededCoin):
    """A coin with values from a list, repeated cyclically from wave 1 on: for files and tests."""

    def __init__(self, committee: Committee, authors: Sequence[int]) -> None:
        super().__init__(committee, 0)
        if not authors or not all(0 <= author < committee.n for author in authors):
            raise Unfit(f"coin values {list(authors)}", f"one or more authors in 0..{committee.n - 1}")
        self._authors = tuple(authors)

    def author(self, wave: int) -> int:
        return self._authors[(wave - 1) % len(self._authors)]
