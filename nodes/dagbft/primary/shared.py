"""The interfaces of a validator's core for its parts: the proposer, the voting, the sealing.

Invariant: parts access the core through these protocols only, so that each can be read and tested by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from nodes.dagbft.consensus.dag import Slot
from nodes.dagbft.identity import Roster
from nodes.dagbft.messages import Header
from nodes.dagbft.primary.ballot import VoteLog
from nodes.dagbft.primary.blocks import Blocks
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.primary.effects import Effects
from nodes.dagbft.primary.pace import Pace
from nodes.dagbft.primary.payload import Keys, Payload
from nodes.dagbft.primary.records import Archive


class Signer(Protocol):
    """Signs with a validator's key."""

    def sign(self, digest: bytes) -> bytes: ...


class SealingConfig(Protocol):
    """The settings of sealing, with certificates and without."""

    @property
    def inline_bytes(self) -> int: ...

    @property
    def seal_wait_s(self) -> float: ...


class Sealer(Protocol):
    """A core whose workers seal batches on request."""

    me: int
    roster: Roster
    payload: Payload
    effects: Effects

    @property
    def keys_of(self) -> Callable[[bytes], Keys]: ...

    @property
    def config(self) -> SealingConfig: ...


class Position(Protocol):
    """The round of a validator."""

    round: int  # of the last own header


class Shared(Protocol):
    """The core of a validator with certificates."""

    me: int
    roster: Roster
    config: PrimaryConfig
    payload: Payload
    effects: Effects
    keys_of: Callable[[bytes], Keys]
    archive: Archive
    blocks: Blocks
    votes: VoteLog
    pace: Pace
    counts: Counter[str]

    @property
    def proposer(self) -> Position: ...

    @property
    def probing(self) -> bool: ...

    @property
    def may_propose(self) -> bool: ...

    def reject(self, reason: str, peer: int) -> None: ...

    def header_at(self, slot: Slot) -> Header | None: ...
