"""How a validator that is late, or has lost its memory, comes back.

A validator far behind asks one peer after another for what was committed since its own last commit: certificates, each
of which proves itself. A validator whose disk was wiped does not know what it has voted for and proposed. It asks all
for the newest block they hold. Whatever it proposed or voted for in round r rested on q blocks of round r-1; q answers
come from at least one correct author of these, so the highest answer M is r-1 or more, and it stays quiet up to round
M + 1.

Invariant: a wiped validator asks nobody for anything else before it has q answers, so that an answer to this question
cannot be mistaken for another.
"""

from __future__ import annotations

from nodes.dagbft.primary.pace import NEVER


class Catchup:
    """Whom to ask for state, when."""

    def __init__(self, me: int, n: int, retry_s: float, sync_after: int) -> None:
        self.seen = 0  # the highest round of a certificate, held or not
        self._others = [(me + step) % n for step in range(1, n)]
        self._retry_s = retry_s
        self._sync_after = sync_after
        self._turn = 0
        self._due_s = NEVER
        self._next = 0  # commit number to ask from

    @property
    def asking(self) -> bool:
        return self._due_s != NEVER

    @property
    def due_s(self) -> float:
        return self._due_s

    def note(self, round: int, held: int, commits: int, now_s: float) -> None:
        """A sound certificate of this round came; `held` is the highest round of which a quorum is held."""
        self.seen = max(self.seen, round)
        if self.seen - held > self._sync_after and not self.asking:
            self._next, self._due_s = commits, now_s

    def ask(self, now_s: float) -> tuple[int, int] | None:
        """The peer to ask now, and from which commit on."""
        if now_s < self._due_s:
            return None
        peer = self._others[self._turn % len(self._others)]
        self._turn += 1
        self._due_s = now_s + self._retry_s
        return peer, self._next

    def answered(self, index: int, held: int, now_s: float) -> None:
        """A peer's answer is complete: go on where it ended, the same peer first, until nearly there."""
        if self.seen - held <= self._sync_after:
            self._due_s = NEVER
        elif index > self._next:
            self._next, self._due_s = index, now_s
            self._turn -= 1


class Probe:
    """What a validator without memory must learn before it votes or proposes."""

    def __init__(self, quorum: int, retry_s: float) -> None:
        self._quorum = quorum
        self._retry_s = retry_s
        self._answers: dict[int, int] = {}
        self.due_s = 0.0

    def answer(self, peer: int, newest: int) -> int | None:
        """The round up to which to stay quiet, when there are enough answers."""
        self._answers.setdefault(peer, newest)
        if len(self._answers) < self._quorum:
            return None
        return max(self._answers.values()) + 1

    def ask(self, now_s: float) -> bool:
        """Whether to ask everybody now."""
        if now_s < self.due_s:
            return False
        self.due_s = now_s + self._retry_s
        return True
