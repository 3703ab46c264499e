"""Transactions that wait for a block.

Invariant: they leave in the order in which they came; never more than `most` transactions or `most_bytes` wait, and
none comes in that is waiting already or was in one of the last blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nodes.ibc.chain.transactions import tx_hash

__all__ = ["Mempool", "MempoolRefusal"]

SEEN = 10_000  # hashes of transactions that were committed


class MempoolRefusal(Exception):
    """A transaction that the mempool does not take, in CometBFT's words."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A transaction and what it may use."""

    data: bytes
    gas_wanted: int


class Mempool:
    """The mempool of one chain."""

    def __init__(self, most: int, most_bytes: int, most_tx_bytes: int) -> None:
        self._most, self._most_bytes, self._most_tx_bytes = most, most_bytes, most_tx_bytes
        self._waiting: dict[bytes, Waiting] = {}
        self._seen: dict[bytes, None] = {}
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[bytes]:
        return (waiting.data for waiting in self._waiting.values())

    def require_room(self, data: bytes) -> None:
        """MempoolRefusal where this transaction may not come in now."""
        if len(data) > self._most_tx_bytes:
            raise MempoolRefusal(f"Tx too large. Max size is {self._most_tx_bytes}, but got {len(data)}")
        if len(self._waiting) >= self._most or self.size_bytes + len(data) > self._most_bytes:
            raise MempoolRefusal(
                f"mempool is full: number of txs {len(self._waiting)} (max: {self._most}), "
                f"total txs bytes {self.size_bytes} (max: {self._most_bytes})"
            )
        if (name := tx_hash(data)) in self._waiting or name in self._seen:
            raise MempoolRefusal("tx already exists in cache")

    def add(self, data: bytes, gas_wanted: int) -> None:
        """Let in a transaction for which there is room."""
        self._waiting[tx_hash(data)] = Waiting(data, gas_wanted)
        self.size_bytes += len(data)

    def first(self, most_bytes: int, most_gas: int, may: Callable[[bytes], bool] = lambda data: True) -> list[bytes]:
        """The transactions of the next block: as many as fit of the first that may. A `most_gas` of -1 is no limit."""
        chosen: list[bytes] = []
        for waiting in self._waiting.values():
            if not may(waiting.data):
                continue
            most_bytes -= len(waiting.data) + TX_OVERHEAD_BYTES
            if most_gas >= 0:
                most_gas -= waiting.gas_wanted
                if most_gas < 0:
                    break
            if most_bytes < 0:
                break
            chosen.append(waiting.data)
        return chosen

    def committed(self, txs: Iterable[bytes], still_good: Callable[[bytes], bool]) -> None:
        """Take out what is in a block, and what the block has made invalid."""
        for data in txs:
            name = tx_hash(data)
            self._drop(name)
            self._seen[name] = None
            if len(self._seen) > SEEN:
                del self._seen[next(iter(self._seen))]
        for name in [name for name, waiting in self._waiting.items() if not still_good(waiting.data)]:
            self._drop(name)

    def _drop(self, name: bytes) -> None:
        if (waiting := self._waiting.pop(name, None)) is not None:
            self.size_bytes -= len(waiting.data)


TX_OVERHEAD_BYTES = 6  # tag and length of a transaction in a block
