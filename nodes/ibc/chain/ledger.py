"""What a node remembers of its chain: blocks, commits, results, and an index of events for searches.

Invariant: heights from `first` to `last` are all there. A block that is pruned takes its transactions and their places
in the index with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from nodes.ibc.chain.blocks import Block
from nodes.ibc.chain.query import Attributes, Condition, matches
from nodes.ibc.chain.results import TxResult
from nodes.ibc.chain.transactions import tx_hash
from nodes.ibc.proto.comet import Commit

__all__ = ["Entry", "Ledger", "Transacted"]


@dataclass(frozen=True)
class Transacted:
    """A transaction in a block, and what became of it."""

    height: int
    index: int  # in the block
    data: bytes
    result: TxResult

    @cached_property
    def hash(self) -> bytes:
        return tx_hash(self.data)

    def attributes(self) -> Attributes:
        """What searches and subscriptions see of it."""
        found: dict[str, list[str]] = {
            "tm.event": ["Tx"], "tx.hash": [self.hash.hex().upper()], "tx.height": [str(self.height)],
        }  # fmt: skip
        for event in self.result.events:
            for key, value in event.attributes:
                found.setdefault(f"{event.type}.{key}", []).append(value)
        return found


@dataclass(frozen=True)
class Entry:
    """A block, the commit for it, its results, and the state's root after it, which the next header names."""

    block: Block
    commit: Commit
    results: tuple[TxResult, ...]
    app_hash: bytes

    @cached_property
    def transactions(self) -> tuple[Transacted, ...]:
        pairs = enumerate(zip(self.block.txs, self.results, strict=True))
        return tuple(Transacted(self.block.height, index, data, result) for index, (data, result) in pairs)

    def attributes(self, kind: str = "NewBlock") -> Attributes:
        """What searches and subscriptions see of the block."""
        return {"tm.event": [kind], "block.height": [str(self.block.height)]}


class Ledger:
    """The last `keep` blocks of a chain; 0 keeps all."""

    def __init__(self, keep: int = 0) -> None:
        self._keep = keep
        self._entries: dict[int, Entry] = {}
        self._by_hash: dict[bytes, Transacted] = {}
        self._index: dict[tuple[str, str], deque[Transacted]] = {}
        self._unindexed: deque[Transacted] = deque()  # since the last search: many chains are never searched
        self.first = 1
        self.last = 0

    def __contains__(self, height: int) -> bool:
        return height in self._entries

    def __getitem__(self, height: int) -> Entry:
        return self._entries[height]

    @property
    def latest(self) -> Entry | None:
        return self._entries.get(self.last)

    def by_block_hash(self, hash: bytes) -> Entry | None:
        return next((entry for entry in self._entries.values() if entry.block.id.hash == hash), None)

    def transaction(self, hash: bytes) -> Transacted | None:
        return self._by_hash.get(hash)

    def add(self, entry: Entry) -> None:
        """The next block."""
        self.last = entry.block.height
        self._entries[self.last] = entry
        for transacted in entry.transactions:
            # A transaction that was in two blocks is remembered where it succeeded: a later, failed copy hides nothing.
            known = self._by_hash.get(transacted.hash)
            if known is None or known.result.code:
                self._by_hash[transacted.hash] = transacted
            self._unindexed.append(transacted)
        while self._keep and self.last - self.first >= self._keep:
            self._prune(self._entries.pop(self.first))
            self.first += 1

    def search(self, conditions: Sequence[Condition]) -> list[Transacted]:
        """The transactions that match, oldest first."""
        found = self._candidates(conditions)
        return [each for each in found if matches(conditions, each.attributes())]

    def search_blocks(self, conditions: Sequence[Condition]) -> list[Entry]:
        """The blocks that match, lowest first."""
        return [entry for entry in self._entries.values() if matches(conditions, entry.attributes())]

    def _candidates(self, conditions: Sequence[Condition]) -> Iterable[Transacted]:
        """A few transactions among which all matches are: the shortest list of those that an equality gives."""
        while self._unindexed:
            for place in _places(transacted := self._unindexed.popleft()):
                self._index.setdefault(place, deque()).append(transacted)
        lists = [
            self._index.get((condition.key, str(condition.operand)), deque())
            for condition in conditions
            if condition.operator == "=" and condition.key != "tm.event"
        ]
        if lists:
            return min(lists, key=len)
        return (each for entry in self._entries.values() for each in entry.transactions)

    def _prune(self, entry: Entry) -> None:
        for transacted in entry.transactions:
            if self._by_hash.get(transacted.hash) is transacted:
                del self._by_hash[transacted.hash]
            if self._unindexed and self._unindexed[0] is transacted:
                self._unindexed.popleft()
                continue
            for place in _places(transacted):
                self._index[place].popleft()
                if not self._index[place]:
                    del self._index[place]


def _places(transacted: Transacted) -> Iterator[tuple[str, str]]:
    """Where in the index a transaction is found."""
    for key, values in transacted.attributes().items():
        for value in dict.fromkeys(values):
            yield key, value
