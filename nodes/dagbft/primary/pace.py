"""When the next header is due: after a quorum of blocks, with batches to include, and a wait for leaders.

Invariant: every wait is bounded. After a quorum of blocks of a round, a header of the next one follows within the
longest of the three delays, whatever other validators do.
"""

from __future__ import annotations

from nodes.dagbft.consensus.core import Consensus
from nodes.dagbft.primary.config import PrimaryConfig

NEVER = float("inf")
TIMEOUT_ROUNDS = 2  # wait for a leader, in durations of a round from header to quorum
MOST_STRETCH = 8  # largest wait for a leader, in configured leader timeouts
SMOOTH = 8


class Pace:
    """Tracks which rounds have a quorum, and when to make a header after the highest of them."""

    def __init__(self, me: int, consensus: Consensus, config: PrimaryConfig, now_s: float) -> None:
        self.round = 0  # the highest with a quorum of blocks; genesis counts, and the floor after a restart
        self._me = me
        self._consensus = consensus
        self._config = config
        self._quorum_s = now_s  # time at which that quorum was complete
        self._header_s = now_s  # time of the last own header
        self._made = 0  # its round
        self._round_s = 0.0  # from an own header to a quorum of blocks of its round, smoothed

    def note_block(self, round: int, now_s: float) -> bool:
        """A block of this round was added to the DAG; returns whether its round is now the highest with a quorum."""
        if round <= self.round or self._consensus.dag.held(round).bit_count() < self._consensus.committee.quorum:
            return False
        self.round, self._quorum_s = round, now_s
        if round == self._made:
            took_s = now_s - self._header_s
            self._round_s += (took_s - self._round_s) / SMOOTH
        return True

    @property
    def holds_quorum(self) -> bool:
        """Whether this validator itself holds a quorum of blocks of `round`, the parents of its next header."""
        return not self.round or self._consensus.dag.held(self.round).bit_count() >= self._consensus.committee.quorum

    def note_header(self, now_s: float) -> None:
        """The own header of the next round was made."""
        self._header_s = now_s
        self._made = self.round + 1

    def due_s(self, batches: int) -> float:
        """When the header after `round` is due without further input, with `batches` waiting batches."""
        config = self._config
        due = self._quorum_s
        if batches < config.header_batches:
            due = max(due, self._header_s + config.header_delay_s)
        if self.round:
            held = self._consensus.dag.held(self.round)
            if held.bit_count() < self._consensus.committee.n:
                due = max(due, self._quorum_s + config.grace_s)
            lacks_own = self._made == self.round and not held >> self._me & 1
            if lacks_own or not self._consensus.rule.settled(self.round, self._me):
                due = max(due, self._header_s + self.leader_timeout_s)
        return due

    @property
    def leader_timeout_s(self) -> float:
        """The configured timeout, or longer if rounds take longer: a leader is no faster than other validators."""
        least_s = self._config.leader_timeout_s
        return max(least_s, min(TIMEOUT_ROUNDS * self._round_s, MOST_STRETCH * least_s))
