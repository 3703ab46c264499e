"""Random uncertified DAGs with equivocators, random views of them, and the decision rule word for word.

Independent of the product's bookkeeping: patterns are looked for anew in each view, by definition. Only `Vertex`, the
committee and the schedule are shared.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.uncertified.dag import Vertex


def random_dag(
    committee: Committee, rounds: int, random: Random, liars: int, *, calm_from: int = 10**9
) -> list[Vertex]:
    """Blocks in the order of rounds. Correct authors have one block a round, or none where they are away; liars up to
    three. A hostile scheduler keeps some authors' blocks from becoming parents; from `calm_from` on all goes well.
    """
    n, faults, quorum = committee.n, committee.faults, committee.quorum
    lying = set(random.sample(range(n), liars))
    away_share, reach = random.choice((0.0, 0.1, 0.3)), random.choice((0.05, 0.3, 0.7))
    found: list[Vertex] = []
    below: dict[int, list[Vertex]] = {}
    slow: set[int] = set()
    for round in range(1, rounds + 1):
        calm = round >= calm_from
        if random.random() < 0.4:
            slow = set(random.sample(range(n), random.randint(0, faults)))
        away = set(random.sample(range(n), faults)) if not calm and random.random() < away_share else set()
        held: dict[int, list[Vertex]] = {}
        for author in range(n):
            if author in away:
                continue
            for twin in range(random.choice((1, 1, 2, 3)) if author in lying and not calm else 1):
                parents = _parents(below, author, slow, reach, calm, quorum, random) if round > 1 else frozenset()
                held.setdefault(author, []).append(Vertex(round, author, f"{round}.{author}.{twin}".encode(), parents))
        found += [vertex for vertices in held.values() for vertex in vertices]
        below = held
    return found


def _parents(
    below: dict[int, list[Vertex]], author: int, slow: set[int], reach: float, calm: bool, quorum: int, random: Random
) -> frozenset[bytes]:
    chosen = {other for other in below if calm or other == author or other not in slow or random.random() < reach}
    if not calm and random.random() < 0.5:
        others = sorted(chosen - {author})
        chosen = set(random.sample(others, random.randint(min(quorum - 1, len(others)), len(others)))) | (
            chosen & {author}
        )
    rest = sorted(set(below) - chosen)
    chosen |= set(random.sample(rest, max(quorum - len(chosen), 0)))
    return frozenset(random.choice(below[other]).digest for other in chosen)


def random_view(blocks: Iterable[Vertex], n: int, faults: int, random: Random) -> list[Vertex]:
    """A random causally closed part of a DAG, in a random causal order."""
    hidden = set(random.sample(range(n), random.randint(0, faults)))
    by_digest = {block.digest: block for block in blocks}
    blur = random.choice((0.9, 2.0, 5.0))
    end = max(block.round for block in by_digest.values()) * random.choice((0.4, 0.8, 1.2, 1.2, 1.2))
    due = sorted(
        (block.round + blur * random.random(), block) for block in by_digest.values() if block.author not in hidden
    )
    order: list[Vertex] = []

    def fetch(block: Vertex) -> None:
        if by_digest.pop(block.digest, None) is not None:
            for parent in sorted(block.parents):
                if parent in by_digest:
                    fetch(by_digest[parent])
            order.append(block)

    for time, block in due:
        if time > end:
            break
        fetch(block)
    return order


class Paper:
    """Section 3 of arXiv 2310.14821, with the first leader of a round drawn and the others next to it."""

    def __init__(self, committee: Committee, schedule, leaders: int, view: Iterable[Vertex]) -> None:
        self.n, self.q, self.schedule, self.count = committee.n, committee.quorum, schedule, leaders
        self.view = {vertex.digest: vertex for vertex in view}
        self.top = max((vertex.round for vertex in self.view.values()), default=0)
        self._pasts: dict[bytes, frozenset[bytes]] = {}

    def past(self, block: Vertex) -> frozenset[bytes]:
        """With itself."""
        if block.digest not in self._pasts:
            own = frozenset((block.digest,))
            self._pasts[block.digest] = own.union(*(self.past(self.view[parent]) for parent in block.parents))
        return self._pasts[block.digest]

    def slots(self) -> list[tuple[int, int]]:
        return [
            (round, (self.schedule.author(round - 1) + rank) % self.n)
            for round in range(1, self.top + 1)
            for rank in range(self.count)
        ]

    def blocks(self, round: int, author: int | None = None) -> list[Vertex]:
        return [v for v in self.view.values() if v.round == round and author in (None, v.author)]

    def is_certificate(self, block: Vertex, leader: Vertex) -> bool:
        past = self.past(block)
        supporters = [
            v for v in self.blocks(leader.round + 1) if v.digest in block.parents and leader.digest in v.parents
        ]
        return leader.digest in past and len({v.author for v in supporters}) >= self.q

    def direct(self, slot: tuple[int, int]) -> Vertex | str | None:
        leaders = self.blocks(*slot)
        for leader in leaders:
            if len({v.author for v in self.blocks(slot[0] + 2) if self.is_certificate(v, leader)}) >= self.q:
                return leader
        above = self.blocks(slot[0] + 1)
        without = [{v.author for v in above if leader.digest not in v.parents} for leader in leaders]
        if all(len(authors) >= self.q for authors in [*without, {v.author for v in above}]):
            return "skip"
        return None

    def decisions(self) -> list[tuple[tuple[int, int], bytes | None]]:
        """Slots in their order, up to the first that is open."""
        slots = self.slots()
        verdicts: dict[tuple[int, int], Vertex | str | None] = {}
        for place, slot in reversed(list(enumerate(slots))):
            verdict = self.direct(slot)
            if verdict is None:
                above = [other for other in slots[place:] if other[0] >= slot[0] + 3]
                anchor = next((verdicts[other] for other in above if verdicts[other] != "skip"), None)
                if isinstance(anchor, Vertex):
                    seen = [self.view[digest] for digest in self.past(anchor)]
                    certified = [
                        leader
                        for leader in self.blocks(*slot)
                        if any(v.round == slot[0] + 2 and self.is_certificate(v, leader) for v in seen)
                    ]
                    verdict = certified[0] if certified else "skip"
                    assert len(certified) <= 1
            verdicts[slot] = verdict
        found: list[tuple[tuple[int, int], bytes | None]] = []
        for slot in slots:
            verdict = verdicts[slot]
            if verdict is None:
                break
            found.append((slot, verdict.digest if isinstance(verdict, Vertex) else None))
        return found
