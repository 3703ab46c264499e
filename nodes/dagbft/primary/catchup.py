"""How a validator that is late, or has lost its memory, comes back.

A validator far behind asks one peer after another for what was committed since its own last commit: certificates, each
of which proves itself. A validator whose disk was wiped does not know what it has voted for and proposed. It asks all
for the newest block they hold. Whatever it proposed or voted for in round r rested on q blocks of round r-1; q answers
come from at least one correct author of these, so the highest answer M is r-1 or more, and it stays quiet up to round
M + 1. Fewer answers are never enough: of q - 1, all those that an earlier header shares with them can be of liars. So a
validator without memory counts as one of the f faulty ones until it has caught up: with f others silent at the same
time it asks on, and the committee stands until one of these is back.

Invariant: that this validator has lost its memory is on disk before it asks, and what it has learnt before it acts; an
answer counts only with the nonce of the present life.
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
        self._next: int | None = None  # commit number to go on from, where a peer's answer ended
        self._asked = -1  # the peer
        self._first = 0  # and from which commit on

    @property
    def asking(self) -> bool:
        return self._due_s != NEVER

    @property
    def due_s(self) -> float:
        return self._due_s

    def note(self, round: int, held: int, now_s: float) -> None:
        """A sound certificate of this round came; `held` is the highest round of which a quorum is held."""
        self.seen = max(self.seen, round)
        if self.seen - held > self._sync_after and not self.asking:
            self._next, self._due_s = None, now_s

    def ask(self, commits: int, now_s: float) -> tuple[int, int] | None:
        """The peer to ask now, and from which commit on: where the last answer ended, else this validator's own."""
        if now_s < self._due_s:
            return None
        self._first, self._next = commits if self._next is None else self._next, None
        self._asked = self._others[self._turn % len(self._others)]
        self._turn += 1
        self._due_s = now_s + self._retry_s
        return self._asked, self._first

    def answered(self, peer: int, index: int, held: int, now_s: float) -> None:
        """A peer's answer is complete: go on where it ended, with the same peer, until nearly there.

        One that has nothing more is not asked again at once. One that lies about where costs a retry: then the next is
        asked, from this validator's own commits.
        """
        if self.seen - held <= self._sync_after:
            self._due_s = NEVER
        elif peer == self._asked and index > self._first:
            self._asked, self._next, self._due_s = -1, index, now_s
            self._turn -= 1


class Tail:
    """Whom to ask for all above the round that is held, when that round does not pass.

    What was sent once, and could not be used or was lost in a crash, comes so: also above the last commit.
    """

    def __init__(self, me: int, n: int, retry_s: float, now_s: float) -> None:
        self.due_s = now_s + retry_s
        self._others = [(me + step) % n for step in range(1, n)]
        self._retry_s = retry_s
        self._turn = 0

    def advanced(self, now_s: float) -> None:
        """The round has passed."""
        self.due_s = now_s + self._retry_s

    def ask(self, now_s: float) -> int | None:
        """The peer to ask now."""
        if now_s < self.due_s:
            return None
        self.due_s = now_s + self._retry_s
        self._turn += 1
        return self._others[self._turn % len(self._others)]

    def go_on(self, now_s: float) -> None:
        """An answer brought something, and there is more: ask the same peer again."""
        self.due_s = now_s
        self._turn -= 1


class Probe:
    """What a validator without memory must learn before it votes or proposes. `nonce` is of this life alone."""

    def __init__(self, quorum: int, retry_s: float, now_s: float) -> None:
        self.nonce = 1 + int(now_s * 1e6)
        self.due_s = 0.0
        self._quorum = quorum
        self._retry_s = retry_s
        self._answers: dict[int, int] = {}  # by peer: the round of its newest block

    def answer(self, peer: int, newest: int) -> None:
        """A peer holds a block of round `newest`."""
        self._answers.setdefault(peer, newest)

    def learnt(self) -> int | None:
        """The round up to which to be quiet; None while the answers are too few."""
        if len(self._answers) < self._quorum:
            return None
        return max(self._answers.values()) + 1

    def ask(self, now_s: float) -> bool:
        """Whether to ask everybody now."""
        if now_s < self.due_s:
            return False
        self.due_s = now_s + self._retry_s
        return True
