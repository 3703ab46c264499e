"""The consensus of one validator: its inputs are blocks and coin values, its outputs commits and early-final blocks.

Invariant: of the commit sequences of any two validators one is a prefix of the other, whichever blocks they hold and in
whichever order they received these. If `check.wrong` is not 0, this or a rule of early finality has been violated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from emulator.model.errors import Unfit
from nodes.dagbft.consensus.committee import Committee, Schedule, Turns
from nodes.dagbft.consensus.dag import Block, Dag, Slot
from nodes.dagbft.consensus.early import Early, EarlyRule
from nodes.dagbft.consensus.ordering import CausalOrder
from nodes.dagbft.consensus.rule import BUILT_IN, Rule, rule_class
from nodes.dagbft.consensus.selfcheck import SelfCheck
from nodes.dagbft.consensus.support_gated import GatedEarlyRule, GatedOrder

PROTOCOLS = tuple(BUILT_IN)
ORDERS = ("causal", "support-gated")


class Commit(NamedTuple):
    """A leader was committed: the blocks that it orders, in order. `number` counts from 0."""

    number: int
    leader: Slot
    kind: str  # "steady" or "fallback"
    blocks: tuple[Slot, ...]


Event = Commit | Early


class Past(NamedTuple):
    """The summary of earlier commits with which consensus can resume."""

    commits: int  # their number
    leader: int  # round of the last leader; 0 if there is none
    ordered: tuple[Slot, ...]  # ordered blocks above the floor of the order
    lengths: tuple[int, ...]  # by shard: number of ordered blocks
    latest: tuple[Slot | None, ...]  # by shard: the last ordered block


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a committee, equal on all validators but for `early` and `keep`."""

    protocol: str = "asynchronous"  # the rule's name, see `rule.py`
    schedule: Schedule | None = None  # of the predetermined leaders; None: round-robin from author 0
    order: str = "causal"
    look_back: int = 50  # rounds below the leader before, that a leader may still order; causal order only
    early: bool = True
    keep: int = 50  # rounds below the last leader that stay in the DAG; never fewer than look_back + 8
    least_parents: int | None = None  # None: a quorum

    @property
    def needs_coin(self) -> bool:
        """Whether the rule has fallback leaders that a coin draws."""
        return rule_class(self.protocol).needs_coin

    def __post_init__(self) -> None:
        rule_class(self.protocol)
        if self.order not in ORDERS:
            raise Unfit(f"order {self.order!r}", f"one of {', '.join(ORDERS)}")
        if self.look_back < 2:
            raise Unfit(f"a look-back of {self.look_back} rounds", "at least 2")


class Consensus:
    """One validator's DAG, with the commits and early-final blocks that follow from it."""

    def __init__(self, committee: Committee, rules: Rules | None = None) -> None:
        rules = rules or Rules()
        self.committee = committee
        self.rules = rules
        self.dag = Dag(committee, rules.least_parents)
        self.rule: Rule = rule_class(rules.protocol)(self.dag, rules.schedule or Turns(range(committee.n)))
        self.order: CausalOrder | GatedOrder
        self.early: EarlyRule | GatedEarlyRule | None
        if rules.order == "causal":
            self.order = CausalOrder(self.dag, rules.look_back)
            self.early = EarlyRule(self.dag, self.rule, self.order) if rules.early else None
        else:
            self.order = GatedOrder(self.dag)
            self.early = GatedEarlyRule(self.dag, self.rule, self.order) if rules.early else None
        self.check = SelfCheck(committee)
        self.commits = 0
        self.events_emitted = 0
        self._keep = max(rules.keep, rules.look_back + 8)

    def add(self, block: Block) -> list[Event]:
        """Add a block whose ancestors were added. A repeated block changes nothing. Raises dag.Refused."""
        self.rule.admit(block)
        if not self.dag.add(block):
            return []
        events: list[Event] = []
        if leader := self.rule.add(block):
            events += self._commit(leader)
        if self.early is not None:
            events += self._promise(self.early.on_round(block.round))
        self.events_emitted += len(events)
        return events

    def floor_after(self, commit: Commit) -> int:
        """The floor of the DAG after this commit, without later ones."""
        return self.floor_below(commit.leader[0])

    def floor_below(self, leader: int) -> int:
        """The floor of the DAG after the commit of a leader of this round."""
        return max(leader - self._keep, 0)

    def resume(self, commits: Sequence[Commit], floor: int, past: Past | None = None) -> None:
        """Continue after a restart, after these commits and with this floor.

        `commits` are all commits since `past`; without one, from number 0 on. Blocks above the floor are then to be
        added; their commits follow these.
        """
        n = self.committee.n
        past = past or Past(0, 0, (), (0,) * n, (None,) * n)
        blocks = [slot for commit in commits for slot in commit.blocks]
        last = commits[-1].leader[0] if commits else past.leader
        self.dag.resume(floor, (*past.ordered, *blocks))
        self.rule.last = last
        self.order.resume(last)
        self.check.resume(past.lengths, blocks)
        if self.early is not None:
            self.early.resume(past.lengths, past.latest, blocks)
        self.commits, self.events_emitted = past.commits + len(commits), len(commits)

    def coin(self, wave: int, author: int) -> list[Event]:
        """Set the fallback leader of a wave, drawn by the coin. Needed before the first block of the next wave."""
        self.rule.reveal(wave, author)
        events: list[Event] = []
        if self.early is not None:
            events += self._promise(self.early.on_round(4 * wave - 3))
        self.events_emitted += len(events)
        return events

    def _commit(self, leader: Slot) -> list[Event]:
        """Order the batches of this leader and of earlier leaders that are committed with it."""
        events: list[Event] = []
        for each in self.rule.chain(leader):
            commit = Commit(self.commits, each, self.rule.kind(each), tuple(self.order.batch(each)))
            self.commits += 1
            events.append(commit)
            self.check.ordered(commit.blocks)
            if self.early is not None:
                # Early events after each leader would be outdated at once: find them after all leaders are ordered.
                self.early.note_ordered(commit.blocks)
        self.check.lost(self.order.floor)
        if self.early is not None:
            events += self._promise(self.early.on_commit())
        if (floor := self.rule.last - self._keep) > self.dag.floor:
            self.dag.collect(floor)
            self.rule.collect(floor)
            if self.early is not None:
                self.early.collect(floor)
        return events

    def _promise(self, events: list[Early]) -> list[Early]:
        self.check.early(events)
        return events
