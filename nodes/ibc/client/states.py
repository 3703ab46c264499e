"""Stored states of one client: the client state, a consensus state for each height, and when each came.

Invariant: keys and values are those of ibc-go 10 (`modules/light-clients/07-tendermint/store.go`); a height has a
consensus state exactly where it has both metadata and an entry in the index of heights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nodes.ibc.core import paths
from nodes.ibc.core.state import Store
from nodes.ibc.proto.ibc import ClientState, ConsensusState, Height
from nodes.ibc.proto.well_known import Any

_INDEX = b"iterateConsensusStates"


class Processed(NamedTuple):
    """When a consensus state was stored: time and height of this chain."""

    time_ns: int
    height: Height


def rank(height: Height) -> tuple[int, int]:
    """What heights are compared by: revision, then number."""
    return height.revision_number, height.revision_height


def written(height: Height) -> str:
    """A height as keys and events have it."""
    return f"{height.revision_number}-{height.revision_height}"


class ClientStates:
    """The states of the client of one name."""

    def __init__(self, store: Store, client: str) -> None:
        self._store = store
        self._own = paths.client_state(client)
        self._prefix = self._own.removesuffix(b"clientState")

    @property
    def client_state(self) -> ClientState | None:
        """None where there is no such client."""
        raw = self._store.get(self._own)
        return None if raw is None else Any.recall(raw).opened_as(ClientState)

    @client_state.setter
    def client_state(self, state: ClientState) -> None:
        self._store.set(self._own, Any.of(state).encode())

    def consensus_state(self, height: Height) -> ConsensusState | None:
        """What is known of a height of the other chain."""
        raw = self._store.get(self._key(height))
        return None if raw is None else Any.recall(raw).opened_as(ConsensusState)

    def processed(self, height: Height) -> Processed | None:
        """When the state of a height came."""
        time = self._store.get(self._key(height) + b"/processedTime")
        here = self._store.get(self._key(height) + b"/processedHeight")
        if time is None or here is None:
            return None
        revision, _, number = here.decode().partition("-")
        return Processed(int.from_bytes(time), Height(int(revision), int(number)))

    def put(self, height: Height, state: ConsensusState, processed: Processed) -> None:
        """Store what is known of a height."""
        key = self._key(height)
        self._store.set(key, Any.of(state).encode())
        self._store.set(key + b"/processedTime", processed.time_ns.to_bytes(8))
        self._store.set(key + b"/processedHeight", written(processed.height).encode())
        self._store.set(self._index(height), key.removeprefix(self._prefix))

    def drop(self, height: Height) -> None:
        """Forget a height."""
        key = self._key(height)
        for each in (key, key + b"/processedTime", key + b"/processedHeight", self._index(height)):
            self._store.delete(each)

    def heights(self) -> Iterator[Height]:
        """Heights that are known, lowest first."""
        start = len(self._prefix) + len(_INDEX)
        for key, _ in self._store.iterate(self._prefix + _INDEX):
            yield Height(int.from_bytes(key[start : start + 8]), int.from_bytes(key[start + 8 :]))

    def neighbours(self, height: Height) -> tuple[Height | None, Height | None]:
        """The nearest known heights below and above one."""
        below = None
        for each in self.heights():
            if rank(each) > rank(height):
                return below, each
            if rank(each) < rank(height):
                below = each
        return below, None

    def _key(self, height: Height) -> bytes:
        return self._prefix + f"consensusStates/{written(height)}".encode()

    def _index(self, height: Height) -> bytes:
        return self._prefix + _INDEX + height.revision_number.to_bytes(8) + height.revision_height.to_bytes(8)
