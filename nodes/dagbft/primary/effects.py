"""The outputs of a core: records to keep, messages to send, and events.

Invariant: the process stores `persist` durably before it sends anything of `send` or `workers`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from emulator.sdk.disk import Record
from nodes.dagbft.consensus.core import Event
from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.messages import Header, Message

ALL = -1  # in place of a validator's number: all others


@dataclass(slots=True)
class Effects:
    """Order of execution: first `persist`, then `send`, then the rest in any order."""

    persist: list[Record] = field(default_factory=list)
    send: list[tuple[int, Message]] = field(default_factory=list)  # to validators' primaries (or workers)
    workers: list[tuple[int, Message]] = field(default_factory=list)  # of the primary: to own workers
    primary: list[Message] = field(default_factory=list)  # of a worker: to its own primary
    made: list[Header] = field(default_factory=list)  # own headers, new ones
    advanced: list[int] = field(default_factory=list)  # rounds of which a quorum of blocks is now held
    blocks: list[Block] = field(default_factory=list)  # that went into the DAG, replayed ones too
    found: list[Event] = field(default_factory=list)  # the events of these blocks, in order, replayed ones too
    events: list[Event] = field(default_factory=list)  # the same without replayed ones
    execute: list[Event] = field(default_factory=list)  # the same, replayed ones too, once all their batches are held
    forget: list[bytes] = field(default_factory=list)  # batches that are not needed any more
    floor: int | None = None  # rounds up to this one have been collected
    again: bool = False  # `persist` holds another validator's snapshot: replace this core by one that begins with it

    def __bool__(self) -> bool:
        return bool(
            self.persist or self.send or self.workers or self.primary or self.made or self.advanced or self.blocks
            or self.found or self.execute or self.forget or self.floor is not None or self.again
        )  # fmt: skip
