"""What a consensus rule is: it says which blocks of the certified DAG are leaders, and when one is committed.

A rule is made of the DAG and the schedule of the known leaders (`RuleClass`). Everything else is the same under any
rule: how blocks get certificates, when they are made, what a leader orders, and early finality. `Rules.protocol` names
a rule: one of `BUILT_IN`, one that an installed package brings by an entry point of the group `skyloom.consensus`, or
"package.module:Class" (docs/adding-a-consensus-rule.md).

Invariant, which each rule must keep: the leaders that `chain` gives in the course of time are at any two validators one
a prefix of the other, whichever blocks they hold and in whatever causal order these came; their rounds rise, and each
has in its past those that are two rounds below it or more.
"""

from __future__ import annotations

from typing import Protocol

from emulator.model.errors import Unfit
from emulator.sdk.protocol import load
from nodes.dagbft.consensus.committee import Schedule
from nodes.dagbft.consensus.dag import NONE, Block, Dag, Slot

GROUP = "skyloom.consensus"
BUILT_IN = {
    "asynchronous": "nodes.dagbft.consensus.asynchronous:Asynchronous",
    "psync": "nodes.dagbft.consensus.bullshark:Bullshark",
    "shoal": "nodes.dagbft.consensus.shoal:Shoal",
}
KINDS = ("steady", "fallback")


class Rule(Protocol):
    """A consensus rule at work on one validator's DAG. `LeaderRule` has the parts that most rules share."""

    needs_coin: bool  # whether a coin names leaders (`reveal`)
    last: int  # round of the last leader that `chain` gave; a restart sets it

    def leader(self, round: int) -> int | None:
        """The author that is known beforehand to lead a round; None where nobody does."""
        ...

    def add(self, block: Block) -> Slot | None:
        """The leader that a block, new in the DAG, commits directly; None where it commits none."""
        ...

    def chain(self, leader: Slot) -> list[Slot]:
        """All leaders to order now that `leader` is committed directly, oldest first. Sets `last` to the round of the
        latest; later calls give leaders of higher rounds only.
        """
        ...

    def may_lead(self, round: int, author: int) -> bool:
        """Whether the block could come out of `chain` later, for all that is known here. Early finality rests on
        every "no", which must stay true whatever blocks come; "yes" only makes fewer blocks early.
        """
        ...

    def settled(self, round: int, me: int) -> bool:
        """Whether validator `me`, which holds a quorum of blocks of this round, has no leader to wait for any more."""
        ...

    def kind(self, slot: Slot) -> str:
        """Which of `KINDS` a committed leader is of."""
        ...

    def admit(self, block: Block) -> None:
        """Raises dag.Refused for a block that comes too soon for this rule, whatever its parents are."""
        ...

    def mode_for(self, block: Block) -> int | None:
        """What the header of a block, whose parents are held, must say of its vote; None: its past is collected."""
        ...

    def mode(self, slot: Slot) -> str | None:
        """How a held block votes, in one of `KINDS`; None: not at all."""
        ...

    def reveal(self, wave: int, author: int) -> None:
        """The coin of a wave of four rounds. ValueError where there can be none, or another one."""
        ...

    def collect(self, floor: int) -> None:
        """Forget rounds up to and with `floor`."""
        ...


class LeaderRule:
    """A rule with leaders known beforehand, each committed by `support` references of the round above; no coin.

    Subclasses say `leader`, `add` and `chain`, and may refine the rest.
    """

    needs_coin = False

    def __init__(self, dag: Dag, schedule: Schedule) -> None:
        self.last = 0
        self._dag = dag
        self._schedule = schedule

    @property
    def support(self) -> int:
        """f + 1: they meet the q parents of every block two rounds above the leader."""
        return self._dag.committee.faults + 1

    def leader(self, round: int) -> int | None:
        raise NotImplementedError

    def add(self, block: Block) -> Slot | None:
        raise NotImplementedError

    def chain(self, leader: Slot) -> list[Slot]:
        raise NotImplementedError

    def may_lead(self, round: int, author: int) -> bool:
        return round > self.last and self.leader(round) == author

    def settled(self, round: int, me: int) -> bool:
        """The block of the round's leader is held, and more blocks could not change what happens to the leader before:
        it has enough references, or so many blocks do without it that it never will, or it is not held.
        """
        leader, held = self.leader(round), self._dag.held(round)
        if leader is not None and not held >> leader & 1:
            return False
        before = self.leader(round - 1) if round > 1 else None
        if before is None or not self._dag.holds(round - 1, before):
            return True
        references = (self._dag.kids(round - 1, before) & held).bit_count()
        without = held.bit_count() - references
        return references >= self.support or without > self._dag.committee.n - self.support

    def kind(self, slot: Slot) -> str:
        return "steady"

    def admit(self, block: Block) -> None:
        """Any block may come at any time."""

    def mode_for(self, block: Block) -> int | None:
        """There are no modes here."""
        return NONE

    def mode(self, slot: Slot) -> str | None:
        return None

    def reveal(self, wave: int, author: int) -> None:
        raise Unfit(f"a coin value of wave {wave}", f"none: {type(self).__name__} has no coin")

    def collect(self, floor: int) -> None:
        """There is nothing to forget."""


class RuleClass(Protocol):
    """What makes a rule."""

    needs_coin: bool

    def __call__(self, dag: Dag, schedule: Schedule) -> Rule: ...


def rule_class(name: str) -> RuleClass:
    """The rule of this name. ValueError where there is none, or it cannot be imported."""
    reference = BUILT_IN.get(name) or _installed(name) or name
    if ":" not in reference:
        raise Unfit(f"protocol {name!r}", f"one of {', '.join(BUILT_IN)}, or package.module:Class of a rule")
    try:
        found = load(reference)
    except (ImportError, AttributeError) as error:
        raise Unfit(f"protocol {name!r}", f"a rule that can be imported: {error}") from None
    return found  # type: ignore[no-any-return]


def _installed(name: str) -> str | None:
    """What an installed package's entry point of this name refers to."""
    from importlib.metadata import entry_points

    return next((point.value for point in entry_points(group=GROUP) if point.name == name), None)
