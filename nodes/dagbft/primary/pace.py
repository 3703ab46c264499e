"""When the next header is due: a quorum of blocks, something to carry, and the wait that gives leaders a chance.

Invariant: every wait has an end. With a quorum of blocks of a round, a header of the next one follows within the
longest of the three delays, whatever others do.
"""

from __future__ import annotations

from nodes.dagbft.consensus.asynchronous import Asynchronous, wave_of
from nodes.dagbft.consensus.core import Consensus
from nodes.dagbft.primary.config import PrimaryConfig

NEVER = float("inf")
TIMEOUT_ROUNDS = 2  # a leader is waited for as long as so many rounds take, from header to quorum
MOST_STRETCH = 8  # times the configured leader timeout
SMOOTH = 8


class Pace:
    """Watches which rounds have a quorum, and says when to go on from the highest."""

    def __init__(self, me: int, consensus: Consensus, config: PrimaryConfig, now_s: float) -> None:
        self.round = 0  # the highest with a quorum of blocks; genesis has one, and so has the floor where a life begins
        self._me = me
        self._consensus = consensus
        self._config = config
        self._quorum_s = now_s  # since when
        self._header_s = now_s  # time of the last own header
        self._made = 0  # its round
        self._round_s = 0.0  # from an own header to a quorum of blocks of its round, smoothed

    def note_block(self, round: int, now_s: float) -> bool:
        """A block of this round is in the DAG; whether its round is now the highest with a quorum."""
        if round <= self.round or self._held(round).bit_count() < self._consensus.committee.quorum:
            return False
        self.round, self._quorum_s = round, now_s
        if round == self._made:
            took_s = now_s - self._header_s
            self._round_s += (took_s - self._round_s) / SMOOTH
        return True

    @property
    def holds_quorum(self) -> bool:
        """Whether the blocks are here, and not at others only, on which a header of the next round rests."""
        return not self.round or self._held(self.round).bit_count() >= self._consensus.committee.quorum

    def note_header(self, now_s: float) -> None:
        """The own header of the next round was made."""
        self._header_s = now_s
        self._made = self.round + 1

    def due_s(self, batches: int) -> float:
        """When the header after `round` is due, if nothing more happens, with so many batches waiting."""
        config = self._config
        due = self._quorum_s
        if batches < config.header_batches:
            due = max(due, self._header_s + config.header_delay_s)
        if self.round:
            held = self._held(self.round)
            if held.bit_count() < self._consensus.committee.n:
                due = max(due, self._quorum_s + config.grace_s)
            if not self.leader_settled() or (self._made == self.round and not held >> self._me & 1):
                due = max(due, self._header_s + self.leader_timeout_s)
        return due

    @property
    def leader_timeout_s(self) -> float:
        """The configured one, or what a round took last where that is longer: a leader is no faster than others."""
        least_s = self._config.leader_timeout_s
        return max(least_s, min(TIMEOUT_ROUNDS * self._round_s, MOST_STRETCH * least_s))

    def _held(self, round: int) -> int:
        layer = self._consensus.dag.layers.get(round)
        return layer.held if layer is not None else 0

    def leader_settled(self) -> bool:
        """Whether waiting longer in this round could not help its leader, or that of the round before.

        In a leader's round: its block is held, or this validator votes for the fallback leader. In the round after: the
        votes are enough to commit, or so many are against that they never will be, or there is no block to vote for.
        """
        rule, committee = self._consensus.rule, self._consensus.committee
        leader = rule.leader(self.round)
        if leader is not None:
            return bool(self._held(self.round) >> leader & 1) or self._falls_back()
        before = self.round - 1
        leader = rule.leader(before)
        if leader is None or not self._held(before) >> leader & 1:
            return True
        votes = (self._consensus.dag.kids(before, leader) & self._held(self.round)).bit_count()
        against = self._held(self.round).bit_count() - votes
        enough = committee.quorum if isinstance(rule, Asynchronous) else committee.faults + 1
        return votes >= enough or against > committee.n - enough

    def _falls_back(self) -> bool:
        rule = self._consensus.rule
        if not isinstance(rule, Asynchronous):
            return False
        return rule.mode((4 * wave_of(self.round) - 3, self._me)) == "fallback"
