"""Recovery of a validator that is behind, or has lost its disk.

A validator far behind asks one peer after another for the commits since its own last one; the answers are certificates,
which prove themselves. A validator whose disk was wiped does not know its own votes and headers. It asks all validators
for the newest block that they hold. Each header or vote of its own in round r rested on q blocks of round r-1; among q
answers is one of a correct author of these, so the highest answer M is at least r-1, and it neither votes nor proposes
up to round M + 1. Fewer answers are never enough: with q - 1, all validators that both answered and are authors of
those blocks may be faulty. So a validator without its disk counts as one of the f faulty ones until it has caught up:
if f others are down at the same time it keeps asking, and the committee makes no progress until one of these is back.

Invariant: the loss is recorded on disk before the first request, and the round M + 1 before the first vote; an answer
counts only with the nonce of the present start.
"""

from __future__ import annotations

from nodes.dagbft.primary.pace import NEVER


class Catchup:
    """Chooses the peer to ask for commits, and the time."""

    def __init__(self, me: int, n: int, retry_s: float, sync_after: int) -> None:
        self.seen = 0  # the highest round of a certificate, held or not
        self._others = [(me + step) % n for step in range(1, n)]
        self._retry_s = retry_s
        self._sync_after = sync_after
        self._turn = 0
        self._due_s = NEVER
        self._next: int | None = None  # commit number at which the last answer ended
        self._asked = -1  # the peer of the last request
        self._first = 0  # the first commit of the last request

    @property
    def asking(self) -> bool:
        return self._due_s != NEVER

    @property
    def due_s(self) -> float:
        return self._due_s

    def note(self, round: int, held: int, now_s: float) -> None:
        """A valid certificate of this round was received; `held` is the highest round with a quorum of blocks."""
        self.seen = max(self.seen, round)
        if self.seen - held > self._sync_after and not self.asking:
            self._next, self._due_s = None, now_s

    def ask(self, commits: int, now_s: float) -> tuple[int, int] | None:
        """The peer to ask now and the first commit to request: where the last answer ended, else the next own one."""
        if now_s < self._due_s:
            return None
        self._first, self._next = commits if self._next is None else self._next, None
        self._asked = self._others[self._turn % len(self._others)]
        self._turn += 1
        self._due_s = now_s + self._retry_s
        return self._asked, self._first

    def answered(self, peer: int, index: int, held: int, now_s: float) -> None:
        """A peer's answer is complete: continue with the same peer where it ended, until less than `sync_after` behind.

        A peer without further commits is not asked again at once. A false end costs one retry: then the next peer is
        asked, from this validator's own commits on.
        """
        if self.seen - held <= self._sync_after:
            self._due_s = NEVER
        elif peer == self._asked and index > self._first:
            self._asked, self._next, self._due_s = -1, index, now_s
            self._turn -= 1


class Tail:
    """Chooses the peer to ask for all certificates above the held round, if that round makes no progress.

    This recovers certificates that were sent once and could not be used, or were lost in a crash.
    """

    def __init__(self, me: int, n: int, retry_s: float, now_s: float) -> None:
        self.due_s = now_s + retry_s
        self._others = [(me + step) % n for step in range(1, n)]
        self._retry_s = retry_s
        self._turn = 0

    def advanced(self, now_s: float) -> None:
        """The round has advanced."""
        self.due_s = now_s + self._retry_s

    def ask(self, now_s: float) -> int | None:
        """The peer to ask now; None if no request is due."""
        if now_s < self.due_s:
            return None
        self.due_s = now_s + self._retry_s
        self._turn += 1
        return self._others[self._turn % len(self._others)]

    def go_on(self, now_s: float) -> None:
        """An answer was useful and there is more: ask the same peer again."""
        self.due_s = now_s
        self._turn -= 1


class Probe:
    """Finds the round up to which a validator that lost its disk must not vote. `nonce` differs at each start."""

    def __init__(self, quorum: int, retry_s: float, now_s: float) -> None:
        self.nonce = 1 + int(now_s * 1e6)
        self.due_s = 0.0
        self._quorum = quorum
        self._retry_s = retry_s
        self._answers: dict[int, int] = {}  # by peer: the round of its newest block

    def answer(self, peer: int, newest: int) -> None:
        """A peer has answered: its newest block is of round `newest`."""
        self._answers.setdefault(peer, newest)

    def learnt(self) -> int | None:
        """The round up to which not to vote or propose; None while there are fewer than a quorum of answers."""
        if len(self._answers) < self._quorum:
            return None
        return max(self._answers.values()) + 1

    def ask(self, now_s: float) -> bool:
        """Whether to ask all validators now."""
        if now_s < self.due_s:
            return False
        self.due_s = now_s + self._retry_s
        return True
