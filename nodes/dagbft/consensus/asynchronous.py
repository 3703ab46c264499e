"""Asynchronous Bullshark: which leaders are committed (Spiegelman et al., arXiv 2201.05677, section 5).

Wave w is the rounds 4w-3 to 4w. It has a steady leader in its first and in its third round, known in advance, and a
fallback leader in its first round that the coin draws at the end of the wave. An author votes in a wave either for the
steady leaders or for the fallback leader; its first block of the wave decides which.

Invariant: the mode of a block, which says how it votes, follows from its own past alone, so all validators that hold
the block agree on it. If an author's first block of a wave is not in the past of its later one (it was down in
between), the later one has no vote. The public prototypes lack this clause, so their counts depend on which blocks they
hold.

A mode follows from the modes of the parents and so from the whole past, of which each validator has collected a part.
So the mode is a field of the header. A validator votes for a header only after it has derived the mode itself, from the
modes in the parents' headers and from four rounds of past; if it has collected these it does not vote. A certificate
holds f + 1 such votes of correct validators: its mode is the one that follows from its whole past, and commits are
derived from certified modes and from rounds above the last leader.
"""

from __future__ import annotations

from emulator.model.errors import Unfit
from nodes.dagbft.consensus.committee import Schedule
from nodes.dagbft.consensus.dag import FALLBACK, NONE, STEADY, Block, Dag, Refused, Slot, members
from nodes.dagbft.consensus.rule import LeaderRule


def wave_of(round: int) -> int:
    return (round + 3) // 4


class Asynchronous(LeaderRule):
    """Steady leaders in odd rounds, and a fallback leader a wave."""

    needs_coin = True

    def __init__(self, dag: Dag, schedule: Schedule) -> None:
        super().__init__(dag, schedule)
        self._n = dag.committee.n
        self._enough = dag.committee.faults + 1
        self._steady: dict[int, int] = {}  # by round: the authors whose block votes for steady leaders
        self._fallback: dict[int, int] = {}  # by round: the authors whose block votes for the fallback leader
        self._coin: dict[int, int] = {}  # by wave: the author of the fallback leader

    def leader(self, round: int) -> int | None:
        """The steady leader of a round; None in even rounds."""
        return self._schedule.author(round // 2) if round % 2 else None

    def kind(self, slot: Slot) -> str:
        return "steady" if self.leader(slot[0]) == slot[1] else "fallback"

    def admit(self, block: Block) -> None:
        """Raises Refused for a first block of a wave before the coin of the previous wave is known. Its parents are q
        blocks of that wave's last round, so a validator that holds these has enough shares for the coin.
        """
        wave = wave_of(block.round) - 1
        if block.round % 4 == 1 and wave and wave not in self._coin and block.round - 4 > self._dag.floor:
            raise Refused("coin", f"block {block.slot} before the coin of wave {wave}; expected the coin first")

    def reveal(self, wave: int, author: int) -> None:
        """The coin of a wave. A second, different value raises ValueError."""
        if wave < 1 or not 0 <= author < self._n or self._coin.setdefault(wave, author) != author:
            raise Unfit(f"coin {author} of wave {wave}", f"one author in 0..{self._n - 1} for a wave")

    @property
    def support(self) -> int:
        return self.direct_votes()

    def settled(self, round: int, me: int) -> bool:
        """As `LeaderRule.settled`; a validator that votes for a fallback leader does not wait for steady leaders."""
        if super().settled(round, me):
            return True
        return self.leader(round) is not None and self.mode((4 * wave_of(round) - 3, me)) == "fallback"

    def direct_votes(self) -> int:
        """The number of parents that must vote for a leader to commit it: q. Then at most f authors vote in the other
        mode, and every later leader has f + 1 of the q in its past. (With f + 1, two validators can commit different
        leaders of one wave.)
        """
        return self._dag.committee.quorum

    def votes_from_own_past(self, block: Block, first: int) -> bool:
        """The mode clause: the author's first block of the wave is in the past of its later block."""
        return self._dag.has_in_past(block, first, block.author)

    def add(self, block: Block) -> Slot | None:
        """The leader that a block, new in the DAG, commits directly. Notes the block's mode."""
        mode = block.mode if block.mode is not None else self.mode_for(block)
        if mode == STEADY:
            self._steady[block.round] = self._steady.get(block.round, 0) | 1 << block.author
        elif mode == FALLBACK:
            self._fallback[block.round] = self._fallback.get(block.round, 0) | 1 << block.author
        return self._committed_by(block)

    def mode_for(self, block: Block) -> int | None:
        """The mode that follows from the past of a block whose parents are held; None if some of it is collected.

        The block need not be in the DAG, and its own field `mode` is ignored.
        """
        round, floor = block.round, self._dag.floor
        first = 4 * wave_of(round) - 3
        if floor and floor >= (first if round > first else round - 4):
            return None
        if round > first:
            mine = 1 << block.author
            for mode, modes in ((STEADY, self._steady), (FALLBACK, self._fallback)):
                if modes.get(first, 0) & mine and self.votes_from_own_past(block, first):
                    return mode
            return NONE
        if round == 1:
            return STEADY
        enough = self.direct_votes()
        if self._steady_votes(block.parents, round - 2) >= enough:
            return STEADY
        return STEADY if self._fallback_votes(block.parents, round - 4) >= enough else FALLBACK

    def _committed_by(self, block: Block) -> Slot | None:
        """The leader for which q of the block's parents vote: steady two rounds before, or a wave's fallback."""
        round, enough = block.round, self.direct_votes()
        if round % 2 == 0 or round < 3:
            return None
        if self._steady_votes(block.parents, round - 2) >= enough:
            return self._new_leader(round - 2, self._schedule.author((round - 2) // 2))
        if round % 4 == 1 and self._fallback_votes(block.parents, round - 4) >= enough:
            return self._new_leader(round - 4, self._coin[wave_of(round) - 1])
        return None

    def _new_leader(self, round: int, author: int) -> Slot | None:
        return (round, author) if round > self.last else None

    def _steady_votes(self, voters: int, round: int) -> int:
        """The number of these authors whose block of the next round votes for the steady leader of a round."""
        children = self._dag.kids(round, self._schedule.author(round // 2))
        return (voters & children & self._steady.get(round + 1, 0)).bit_count()

    def _fallback_votes(self, voters: int, round: int) -> int:
        """The number of these authors whose block of a wave's last round votes for the fallback leader of its first."""
        voters &= self._fallback.get(round + 3, 0)
        author = self._coin.get(wave_of(round))
        if author is None:
            return 0
        return sum(self._dag.reaches((round + 3, voter), round, author) for voter in members(voters))

    def chain(self, leader: Slot) -> list[Slot]:
        """The leaders to commit with this one, oldest first: each had f + 1 votes of one mode, and not of the other,
        in the past of the next.
        """
        found, current, enough = [leader], leader, self._enough
        for round in range(leader[0] - 2, self.last, -2):
            steady = self._steady_votes(self._dag.seen(current, round + 1), round) >= enough
            fallback = round % 4 == 1 and self._fallback_votes(self._dag.seen(current, round + 3), round) >= enough
            if steady != fallback:
                author = self._schedule.author(round // 2) if steady else self._coin[wave_of(round)]
                current = (round, author)
                found.append(current)
        self.last = leader[0]
        found.reverse()
        return found

    def mode(self, slot: Slot) -> str | None:
        """How a held block votes: "steady", "fallback" or not at all."""
        round, author = slot
        if self._steady.get(round, 0) >> author & 1:
            return "steady"
        return "fallback" if self._fallback.get(round, 0) >> author & 1 else None

    def may_lead(self, round: int, author: int) -> bool:
        """Whether the block may still become a committed leader, judged by the blocks held here.

        If q authors are known to be steady in a wave, its fallback leader cannot get f + 1 votes.
        """
        if round <= self.last or round % 2 == 0:
            return False
        if self._schedule.author(round // 2) == author:
            return True
        if round % 4 == 3 or self._steady.get(round, 0).bit_count() >= self._dag.committee.quorum:
            return False
        return self._coin.get(wave_of(round), author) == author

    def collect(self, floor: int) -> None:
        """Drop modes and coins of rounds up to and with `floor`."""
        for modes in (self._steady, self._fallback):
            for round in [round for round in modes if round <= floor]:
                del modes[round]
        for wave in [wave for wave in self._coin if 4 * wave <= floor]:
            del self._coin[wave]
