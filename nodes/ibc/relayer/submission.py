"""Transactions of one account on their way into blocks.

Invariant: the sequences of those under way follow each other. A transaction that the mempool refuses or drops as
redundant takes none of those behind it along: they are signed again, with the sequences that are free then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from nodes.ibc.proto.ibc import MsgUpdateClient
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer.calls import Admission, TxResult

WRONG_SEQUENCE = ("sdk", 32)
REDUNDANT = ("channel", 22)  # another relayer was faster, and its transaction may still wait for its block
UNKNOWN = -2  # code of a transaction of which nothing is known
_KNOWN = "tx already exists in cache"  # CometBFT's words: it waits in the mempool, or a block has it
_FULL = "mempool is full"
_EXPECTED = re.compile(r"account sequence mismatch, expected (\d+)")  # the SDK's words


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a group of messages. `lost`: nobody knows; it may still come.

    `admitted_ns`: when the mempool had taken it, 0 where it did not.
    """

    code: int
    codespace: str = ""
    log: str = ""
    result: TxResult | None = None
    lost: bool = False
    admitted_ns: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """The transaction of one group."""

    place: int  # of the group
    group: Sequence[Message]
    sequence: int
    data: bytes
    admitted_ns: int = 0  # when the mempool took it first


class Submission:
    """Groups of messages, each in a transaction of its own, in their order."""

    def __init__(
        self, groups: Iterable[Sequence[Message]], sequence: int, sign: Callable[[Sequence[Message], int], bytes]
    ) -> None:
        """`sign` makes the transaction of a group with a sequence."""
        self.sequence: int | None = sequence  # the next one of the account; None where only the chain knows
        self.outcomes: dict[int, Outcome] = {}  # by place
        self.waiting: list[Sent] = []  # in the mempool, as far as is known
        self.admitted = 0
        self._sign = sign
        self.unsent = [
            Sent(place, group, sequence + place, sign(group, sequence + place)) for place, group in enumerate(groups)
        ]

    @property
    def is_over(self) -> bool:
        return not self.unsent and not self.waiting

    def handed_over(self, admissions: Sequence[Admission], now_ns: int) -> bool:
        """The mempool's answers to all that was `unsent`. False where it has no room for what is `unsent` now."""
        taken = sum(1 for _ in takewhile(_is_taken, admissions))
        self.admitted += sum(not each.admitted_ns for each in self.unsent[:taken])
        self.waiting += [replace(each, admitted_ns=each.admitted_ns or now_ns) for each in self.unsent[:taken]]
        self.unsent = self.unsent[taken:]
        if self.waiting:
            self.sequence = self.waiting[-1].sequence + 1
        if not self.unsent:
            return True
        if _FULL in admissions[taken].log:
            return False
        self._refused(admissions[taken:])
        return True

    def confirmed(self, spent: Container[int]) -> list[Sent]:
        """Those that are in blocks, by the sequences that blocks have."""
        found = [each for each in self.waiting if each.sequence in spent]
        self.waiting = [each for each in self.waiting if each.sequence not in spent]
        return found

    def doubt(self) -> None:
        """Hand the last transaction over again: the mempool has it only where it has all before it."""
        if self.waiting and not self.unsent:
            self.unsent.append(self.waiting.pop())

    def _refused(self, admissions: Sequence[Admission]) -> None:
        """The first one that is `unsent` was refused, and all behind it for its sake."""
        first, *behind = self.unsent
        refusal = admissions[0]
        kind = refusal.codespace, refusal.code
        expected = _EXPECTED.search(refusal.log) if kind == WRONG_SEQUENCE else None
        if kind == REDUNDANT:
            self.outcomes[first.place] = Outcome(refusal.code, refusal.codespace, refusal.log, lost=True)
            self._sign_again(first.sequence, _with_updates(first.group, behind))
        elif expected is not None and int(expected[1]) < first.sequence:  # above it others of the account wait
            free = int(expected[1])
            dropped = [each for each in self.waiting if each.sequence >= free]
            self.waiting = [each for each in self.waiting if each.sequence < free]
            self._sign_again(free, [*dropped, *self.unsent])
        else:
            for each, admission in zip(self.unsent, admissions, strict=True):
                is_lost = admission.code < 0 or (admission.codespace, admission.code) == WRONG_SEQUENCE
                self.outcomes[each.place] = Outcome(
                    admission.code, admission.codespace, admission.log, lost=is_lost, admitted_ns=each.admitted_ns
                )
            self.sequence, self.unsent = None, []

    def _sign_again(self, sequence: int, transactions: Iterable[Sent]) -> None:
        self.sequence = sequence
        self.unsent = [
            replace(each, sequence=number, data=self._sign(each.group, number))
            for number, each in enumerate(transactions, sequence)
        ]


def _is_taken(admission: Admission) -> bool:
    return not admission.code or _KNOWN in admission.log


def _with_updates(redundant: Sequence[Message], behind: Sequence[Sent]) -> list[Sent]:
    """Transactions behind one that is redundant, with its updates of clients, which they may need."""
    updates = [message for message in redundant if isinstance(message, MsgUpdateClient)]
    return [replace(each, group=[*updates, *each.group]) for each in behind[:1]] + list(behind[1:])
