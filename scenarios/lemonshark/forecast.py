"""The forecast of a run: the consensus core and the pace of primaries, played over the links' delays alone.

Invariant: nothing but links takes time in it. A block is certified when the votes of a quorum could be back, and comes
to each validator one trip later; who proposes when, what is early and what is committed is decided by the same code as
in the run. Batches, processing, queues and losses are left out, so a run should come close from above.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from statistics import fmean

from emulator.model.errors import Unfit
from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.core import Commit, Consensus
from nodes.dagbft.consensus.dag import Block, Slot
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.primary.pace import Pace

MOST_BLOCKS = 12_000  # taken in by all validators together: half a second
LEAST_ROUNDS = 24
WARM = 4  # rounds at the beginning whose blocks do not count


@dataclass(frozen=True, slots=True)
class Forecast:
    """Means at the authors of the blocks, as in the summary."""

    round_s: float
    commit_s: float
    early_s: float
    early_share: float


class _Validator:
    """One validator's view: what it holds, and when its own blocks were final."""

    def __init__(self, me: int, committee: Committee, config: PrimaryConfig, seed: int) -> None:
        self.me = me
        self.round = 0  # of the last own header
        self.consensus = Consensus(committee, config.rules)
        self.pace = Pace(me, self.consensus, config, 0.0)
        self.early_s: dict[Slot, float] = {}
        self.committed_s: dict[Slot, float] = {}
        self._coin = SeededCoin(committee, seed) if config.rules.needs_coin else None
        self._parked: list[Block] = []

    def held(self, round: int) -> int:
        """The authors whose blocks of a round are held."""
        layer = self.consensus.dag.layers.get(round)
        return layer.held if layer is not None else 0

    def receive(self, block: Block, now_s: float) -> None:
        """A block has come; it is taken in once its parents are."""
        self._parked.append(block)
        while ready := [each for each in self._parked if not each.parents & ~self.held(each.round - 1)]:
            self._parked = [each for each in self._parked if each not in ready]
            for each in ready:
                self._take(each, now_s)

    def _take(self, block: Block, now_s: float) -> None:
        events = self.consensus.add(block)
        self.pace.note_block(block.round, now_s)
        if self._coin is not None and (drawn := self._coin.reveal(block)):
            events += self.consensus.coin(*drawn)
        for event in events:
            if isinstance(event, Commit):
                for slot in event.blocks:
                    if slot[1] == self.me:
                        self.committed_s.setdefault(slot, now_s)
            elif event.block[1] == self.me:
                self.early_s.setdefault(event.block, now_s)

    def due_s(self) -> float:
        """When the next header is due, if nothing more comes."""
        return self.pace.due_s(0) if self.pace.round >= self.round else float("inf")


def forecast(
    delay_s: Sequence[Sequence[float]],
    config: PrimaryConfig,
    seed: int,
    absent: frozenset[int] = frozenset(),
    duration_s: float = float("inf"),
) -> Forecast | None:
    """Play validators over `delay_s[a][b]`, the way from a to b, for so long, or until the mean has settled.

    None where too little was committed to tell.

    ValueError where fewer than a quorum are there.
    """
    n = len(delay_s)
    committee = Committee(n)
    there = [number for number in range(n) if number not in absent]
    if len(there) < committee.quorum:
        raise Unfit(f"{len(there)} validators of a quorum of {committee.quorum}", "a quorum at least")
    votes_s = {
        a: sorted(delay_s[a][b] + delay_s[b][a] if b != a else 0.0 for b in there)[committee.quorum - 1] for a in there
    }
    validators = {a: _Validator(a, committee, config, seed) for a in there}
    rounds = max(LEAST_ROUNDS, MOST_BLOCKS // len(there) ** 2)
    made_s: dict[Slot, float] = {}
    order = count()
    queue: list[tuple[float, int, int, Block | None]] = [(0.0, next(order), a, None) for a in there]
    while queue:
        now_s, _, place, block = heapq.heappop(queue)
        if now_s > duration_s:
            break
        validator = validators[place]
        if block is not None:
            validator.receive(block, now_s)
        due_s = validator.due_s()
        if due_s > now_s:
            if due_s < float("inf"):
                heapq.heappush(queue, (due_s, next(order), place, None))
            continue
        round = validator.round = validator.pace.round + 1
        if round > rounds:
            break
        validator.pace.note_header(now_s)
        made_s[round, place] = now_s
        new = Block(round, place, validator.held(round - 1))
        certified_s = now_s + votes_s[place]
        for b in there:
            heapq.heappush(queue, (certified_s + (delay_s[place][b] if b != place else 0.0), next(order), b, new))
    return _means(validators, made_s, rounds)


def _means(validators: dict[int, _Validator], made_s: dict[Slot, float], rounds: int) -> Forecast | None:
    pairs, lengths = [], []
    for slot, begun_s in made_s.items():
        validator = validators[slot[1]]
        committed_s = validator.committed_s.get(slot)
        if slot[0] > WARM and committed_s is not None:
            pairs.append((min(committed_s, validator.early_s.get(slot, committed_s)) - begun_s, committed_s - begun_s))
    for author in validators:
        own = sorted(slot for slot in made_s if slot[1] == author and slot[0] > WARM)
        if len(own) > 1:
            lengths.append((made_s[own[-1]] - made_s[own[0]]) / (own[-1][0] - own[0][0]))
    if not pairs or not lengths:
        return None
    early, commit = (fmean(column) for column in zip(*pairs, strict=True))
    return Forecast(fmean(lengths), commit, early, fmean(answer < commit for answer, commit in pairs))
