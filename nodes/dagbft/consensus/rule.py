"""The interface of a consensus rule: it determines the leaders of the certified DAG, and when one is committed.

A rule is made from the DAG and the schedule of predetermined leaders (`RuleClass`). Certificates, the times of blocks,
the batch of a leader and early finality are the same under any rule. `Rules.protocol` names a rule: one of `BUILT_IN`,
one of an installed package with an entry point of the group `skyloom.consensus`, or "package.module:Class"
(docs/adding-a-consensus-rule.md).

Invariant, which each rule must keep: of the sequences of leaders that `chain` returns at any two validators, one is a
prefix of the other, whichever blocks they hold and in whichever causal order they received these. The rounds of leaders
rise, and each leader has in its past all earlier ones that are at least two rounds below it.
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
    """A consensus rule on one validator's DAG. `LeaderRule` has the parts that most rules share."""

    needs_coin: bool  # whether a coin draws leaders (`reveal`)
    last: int  # round of the last leader that `chain` returned; set by a restart

    def leader(self, round: int) -> int | None:
        """The predetermined leader of a round; None if the round has none."""
        ...

    def add(self, block: Block) -> Slot | None:
        """The leader that a block, new in the DAG, commits directly; None if it commits none."""
        ...

    def chain(self, leader: Slot) -> list[Slot]:
        """All leaders to order after `leader` was committed directly, oldest first. Sets `last` to the round of the
        latest; later calls return leaders of higher rounds only.
        """
        ...

    def may_lead(self, round: int, author: int) -> bool:
        """Whether `chain` may still return the block, judged by the blocks held here. Early finality rests on every
        False, which must stay true whichever blocks follow; a needless True only makes fewer blocks early.
        """
        ...

    def settled(self, round: int, me: int) -> bool:
        """Whether validator `me`, which holds a quorum of blocks of this round, need not wait for a leader any more."""
        ...

    def kind(self, slot: Slot) -> str:
        """The kind of a committed leader, one of `KINDS`."""
        ...

    def admit(self, block: Block) -> None:
        """Raises dag.Refused for a block that is too early for this rule, whatever its parents are."""
        ...

    def mode_for(self, block: Block) -> int | None:
        """The mode that the header of a block must have; its parents are held. None if its past is collected."""
        ...

    def mode(self, slot: Slot) -> str | None:
        """The kind of leader that a held block votes for, one of `KINDS`; None if it has no vote."""
        ...

    def reveal(self, wave: int, author: int) -> None:
        """Set the coin of a wave of four rounds. ValueError if the rule has no coin, or the wave another value."""
        ...

    def collect(self, floor: int) -> None:
        """Drop rounds up to and with `floor`."""
        ...


class LeaderRule:
    """A rule with predetermined leaders, each committed by `support` references of the round above; no coin.

    Subclasses define `leader`, `add` and `chain`, and may override the rest.
    """

    needs_coin = False

    def __init__(self, dag: Dag, schedule: Schedule) -> None:
        self.last = 0
        self._dag = dag
        self._schedule = schedule

    @property
    def support(self) -> int:
        """f + 1: so many references intersect the q parents of every block two rounds above the leader."""
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
        """The block of the round's leader is held, and further blocks cannot change the commit of the previous leader:
        it has enough references, or too many blocks do not reference it, or it is not held.
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
        """Accepts every block."""

    def mode_for(self, block: Block) -> int | None:
        """None: this rule has no modes."""
        return NONE

    def mode(self, slot: Slot) -> str | None:
        return None

    def reveal(self, wave: int, author: int) -> None:
        raise Unfit(f"a coin value of wave {wave}", f"none: {type(self).__name__} has no coin")

    def collect(self, floor: int) -> None:
        """Does nothing: there is no state by round."""


class RuleClass(Protocol):
    """A constructor of rules."""

    needs_coin: bool

    def __call__(self, dag: Dag, schedule: Schedule) -> Rule: ...


def rule_class(name: str) -> RuleClass:
    """The rule of this name. ValueError if there is none, or it cannot be imported."""
    reference = BUILT_IN.get(name) or _installed(name) or name
    if ":" not in reference:
        raise Unfit(f"protocol {name!r}", f"one of {', '.join(BUILT_IN)}, or package.module:Class of a rule")
    try:
        found = load(reference)
    except (ImportError, AttributeError) as error:
        raise Unfit(f"protocol {name!r}", f"a rule that can be imported: {error}") from None
    return found  # type: ignore[no-any-return]


def _installed(name: str) -> str | None:
    """The value of an installed package's entry point of this name; None if there is none."""
    from importlib.metadata import entry_points

    return next((point.value for point in entry_points(group=GROUP) if point.name == name), None)
