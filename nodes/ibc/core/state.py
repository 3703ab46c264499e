"""What a message acts on: stores, the block that it is in, and the events so far.

Invariant: a branch that is not committed leaves stores and events as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from operator import itemgetter
from typing import Protocol

from nodes.ibc.core.events import Event
from nodes.ibc.proto.ibc import Height


class Store(Protocol):
    """A sorted map of bytes. Of the store `ibc` a chain can prove each key."""

    def get(self, key: bytes) -> bytes | None: ...

    def set(self, key: bytes, value: bytes) -> None: ...

    def delete(self, key: bytes) -> None: ...

    def iterate(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Pairs whose key begins with the prefix, in order of keys."""


class Branch:
    """A store over another one, which it changes only when it is written."""

    def __init__(self, below: Store) -> None:
        self._below = below
        self._changes: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        return self._changes[key] if key in self._changes else self._below.get(key)

    def set(self, key: bytes, value: bytes) -> None:
        self._changes[key] = value

    def delete(self, key: bytes) -> None:
        self._changes[key] = None

    def iterate(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Of the store below only as many pairs are read as are taken here."""
        changes = {key: value for key, value in self._changes.items() if key.startswith(prefix)}
        kept: Iterator[tuple[bytes, bytes | None]] = (
            (key, value) for key, value in self._below.iterate(prefix) if key not in changes
        )
        merged = merge(kept, sorted(changes.items()), key=itemgetter(0)) if changes else kept
        yield from ((key, value) for key, value in merged if value is not None)

    def write(self) -> None:
        for key, value in self._changes.items():
            if value is None:
                self._below.delete(key)
            else:
                self._below.set(key, value)
        self._changes.clear()


def _unmetered(gas: int) -> None:
    """Work that nobody pays for: of queries, and of the chain itself."""


@dataclass
class Context:
    """One message's view of the chain.

    `height` and `time_ns` are of the block that the message is in. `stores` holds `ibc`, `transfer`,
    `packetfowardmiddleware` (so spelt by ibc-go) and whatever the client keeper and the bank keep their state in.
    `spend` counts gas for work beside the stores: signatures and proofs that are verified.
    """

    chain_id: str
    height: Height
    time_ns: int
    stores: Mapping[str, Store]
    events: list[Event] = field(default_factory=list)
    spend: Callable[[int], None] = _unmetered

    @property
    def ibc(self) -> Store:
        return self.stores["ibc"]

    @property
    def time_s(self) -> int:
        return self.time_ns // 1_000_000_000

    def emit(self, *events: Event) -> None:
        self.events.extend(events)

    def branch(self) -> BranchContext:
        stores = {name: Branch(store) for name, store in self.stores.items()}
        return BranchContext(self.chain_id, self.height, self.time_ns, stores, [], self.spend, self, stores)


@dataclass
class BranchContext(Context):
    """A context whose changes are kept on commit, and otherwise forgotten."""

    below: Context | None = None
    branches: Mapping[str, Branch] = field(default_factory=dict)

    def commit(self) -> None:
        for branch in self.branches.values():
            branch.write()
        if self.below is not None:
            self.below.emit(*self.events)
        self.events = []


def next_number(store: Store, key: bytes) -> int:
    """A counter that never goes back: its value, which it leaves by one."""
    value = read_number(store, key, 0)
    write_number(store, key, value + 1)
    return value


def read_number(store: Store, key: bytes, absent: int) -> int:
    value = store.get(key)
    return absent if value is None else int.from_bytes(value)


def write_number(store: Store, key: bytes, value: int) -> None:
    store.set(key, value.to_bytes(8))
