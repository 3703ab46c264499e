"""What the core of a validator without certificates shares with its proposer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from nodes.dagbft.identity import Roster
from nodes.dagbft.messages import Header
from nodes.dagbft.primary.effects import Effects
from nodes.dagbft.primary.payload import Keys, Payload
from nodes.dagbft.uncertified.config import UncertifiedConfig
from nodes.dagbft.uncertified.consensus import UncertifiedConsensus


class Shared(Protocol):
    """The core, as its proposer sees it."""

    me: int
    roster: Roster
    config: UncertifiedConfig
    payload: Payload
    effects: Effects

    @property
    def keys_of(self) -> Callable[[bytes], Keys]: ...

    counts: Counter[str]
    consensus: UncertifiedConsensus
    equivocators: set[int]
    newest: list[int]

    @property
    def may_propose(self) -> bool: ...

    def deliver(self, block: Header, now_s: float) -> None: ...
