"""Random certified DAGs under bad weather, and random views of them: what tests and benchmarks feed the rules with.

Invariant: every DAG is one that at most f faulty validators and a hostile network can bring about: each block has q
parents or more, its author's last block among them where that is of the round before, and a block may be missing for
good.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.dag import Block, members


@dataclass(frozen=True, slots=True)
class Weather:
    """How the network treats the validators. All are chances."""

    change: float = 0.3  # that other validators become slow in a round
    reach: float = 0.1  # that a slow validator's block is referenced by another one of the next round in time
    away: float = 0.15  # that a validator makes no block in a round; at most f of them do not
    back: float = 0.5  # that one that was away makes a block again
    wide: float = 0.5  # that a block references all it could, rather than a random part


CALM = Weather(change=0.05, reach=0.8, away=0.02, back=0.5, wide=0.9)
HARSH = Weather()
CREEPING = Weather(reach=0.02, away=0.0)  # slow owners whose blocks surface leaders later
SCATTERED = Weather(change=1.0, reach=0.3, away=0.3, back=0.7, wide=0.2)
SPARSE = Weather(change=0.15, reach=0.25, away=0.0, wide=0.0)  # votes that some see and others do not
RETURNING = Weather(change=0.3, reach=0.05, away=0.2, back=0.7)  # blocks before and after a gap, without a link
WEATHERS = (CALM, HARSH, CREEPING, SCATTERED, SPARSE, RETURNING)


def random_dag(committee: Committee, rounds: int, weather: Weather, random: Random) -> list[Block]:
    """Blocks in the order (round, author). The last rounds are calm, so that most of what is early is ordered too."""
    n, faults, quorum = committee.n, committee.faults, committee.quorum
    chance = random.random
    blocks, below, away, slow = [], 0, 0, 0
    for round in range(1, rounds + 1):
        away = _away(committee, away, slow, weather, random)
        if chance() < weather.change:
            slow = sum(1 << author for author in random.sample(range(n), random.randint(0, faults)))
        held = 0
        for author in range(n):
            mine = 1 << author
            if away & mine:
                continue
            held |= mine
            parents = 0
            if round > 1:
                seen = below
                for laggard in members(slow & below & ~mine):
                    if chance() >= weather.reach:
                        seen &= ~(1 << laggard)
                parents = _parents(seen, below, mine, quorum, weather, random)
            blocks.append(Block(round, author, parents))
        below = held
    return blocks


def _away(committee: Committee, away: int, slow: int, weather: Weather, random: Random) -> int:
    """The validators that make no block in the next round: slow ones first, whose last block nobody may have seen."""
    for author in members(away):
        if random.random() < weather.back:
            away &= ~(1 << author)
    if away.bit_count() < committee.faults and random.random() < weather.away * committee.n:
        away |= 1 << random.choice(members(slow & ~away) or range(committee.n))
    return away


def _parents(seen: int, below: int, mine: int, quorum: int, weather: Weather, random: Random) -> int:
    """A random quorum or more of the blocks that are seen, filled up from the slow ones if too few."""
    parents = seen
    if random.random() >= weather.wide:
        others = list(members(seen & ~mine))
        random.shuffle(others)
        count = random.randint(min(quorum - 1, len(others)), len(others))
        parents = seen & mine
        for author in others[:count]:
            parents |= 1 << author
    if (lacking := quorum - parents.bit_count()) > 0:
        for author in random.sample(members(below & ~parents), lacking):
            parents |= 1 << author
    return parents


def random_view(blocks: Iterable[Block], n: int, faults: int, random: Random) -> list[Block]:
    """A random causally closed part of a DAG in a random causal order.

    Some authors' blocks arrive only when another block needs them, and not at all where none does; the others arrive in
    rounds that are blurred a little or a lot; and the view may end early.
    """
    chance = random.random
    hidden = sum(1 << author for author in random.sample(range(n), random.randint(0, faults)))
    blur = random.choice((0.9, 2.0, 5.0))
    by_slot = {block[:2]: block for block in blocks}
    end = 2 + max(by_slot)[0] * random.choice((0.5, 1.0, 1.0, 1.0)) * (0.5 + chance())
    due = sorted([(slot[0] + blur * chance(), slot) for slot in by_slot if not hidden >> slot[1] & 1])
    order: list[Block] = []
    for time, slot in due:
        if time > end:
            break
        if slot in by_slot:
            _fetch(slot, by_slot, order)
    return order


def _fetch(slot: tuple[int, int], waiting: dict[tuple[int, int], Block], order: list[Block]) -> None:
    """Deliver a block after its ancestors that have not been."""
    block = waiting.pop(slot)
    for parent in members(block.parents):
        if (below := (block.round - 1, parent)) in waiting:
            _fetch(below, waiting, order)
    order.append(block)
