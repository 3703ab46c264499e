"""State sync alone: f + 1 must agree, and what liars and silent peers cost."""

from __future__ import annotations

from collections import Counter

from nodes.dagbft.execution.snapshot import snapshot_digest
from nodes.dagbft.messages import SnapshotOffer, SnapshotPart, SnapshotRequest, StateRequest
from nodes.dagbft.primary.effects import ALL
from nodes.dagbft.primary.pace import NEVER
from nodes.dagbft.primary.statesync import MOST_ASKED, PATIENCE, StateSync

PARTS = [b"one", b"two", b"three"]
TRUE = SnapshotOffer(50, snapshot_digest(b"".join(PARTS)), 3)
FALSE = SnapshotOffer(90, bytes(32), 1)


class Stage:
    def __init__(self) -> None:
        self.rejected: Counter[tuple[str, int]] = Counter()
        self.counts: Counter[str] = Counter()
        self.sync = StateSync(2, 1.0, self._reject, self.counts)

    def _reject(self, reason: str, peer: int) -> None:
        self.rejected[reason, peer] += 1

    def agreed(self) -> Stage:
        self.sync.offered(1, TRUE, 7, 0.0)
        assert self.sync.ask(7, 0.0) == [(ALL, StateRequest(7))]
        self.sync.offered(2, TRUE, 7, 0.1)
        return self

    def fetch(self, peer: int, parts: list[bytes], now_s: float, first: int = 0) -> bytes | None:
        found = None
        for number, body in enumerate(parts, first):
            assert self.sync.ask(7, now_s) == [(peer, SnapshotRequest(50, number))]
            found = self.sync.part(peer, SnapshotPart(50, number, body), now_s)
        return found


def test_what_f_plus_one_have_named_is_fetched_part_by_part():
    stage = Stage().agreed()
    assert stage.fetch(1, PARTS, 0.1) == b"onetwothree"
    assert stage.sync.due_s == NEVER
    assert not stage.rejected


def test_one_alone_is_not_believed_and_costs_some_questions():
    stage = Stage()
    for _ in range(5):
        stage.sync.offered(3, FALSE, 7, 0.0)
    asked = [stage.sync.ask(7, float(second)) for second in range(MOST_ASKED + 2)]
    assert asked == [[(ALL, StateRequest(7))]] * MOST_ASKED + [[], []]
    assert stage.sync.due_s == NEVER


def test_what_is_no_newer_than_what_is_held_is_not_looked_at():
    stage = Stage()
    stage.sync.offered(1, TRUE, 50, 0.0)
    stage.sync.offered(2, TRUE, 50, 0.0)
    assert stage.sync.due_s == NEVER


def test_false_parts_cost_a_fetch_and_are_counted_by_peer():
    stage = Stage().agreed()
    stage.sync.offered(3, TRUE, 7, 0.1)
    assert stage.fetch(1, [b"one", b"lie", b"three"], 0.1) is None
    assert stage.rejected == {("snapshot", 1): 1}
    assert stage.fetch(2, PARTS, 0.2) == b"onetwothree"


def test_silence_costs_the_wait_for_a_part():
    stage = Stage().agreed()
    assert stage.sync.ask(7, 0.1) == [(1, SnapshotRequest(50, 0))]
    assert stage.sync.ask(7, 0.1 + PATIENCE - 0.01) == []
    assert stage.fetch(2, PARTS, 0.1 + PATIENCE) == b"onetwothree"


def test_parts_that_are_not_waited_for_are_counted_and_nobodys_fault():
    """Whoever is slow, or answers a former life, has done nothing wrong."""
    stage = Stage().agreed()
    assert stage.sync.ask(7, 0.1) == [(1, SnapshotRequest(50, 0))]
    assert stage.sync.ask(7, 0.1 + PATIENCE) == [(2, SnapshotRequest(50, 0))]
    late = [(1, SnapshotPart(50, 0, b"one")), (2, SnapshotPart(50, 1, b"two")), (2, SnapshotPart(9, 0, b""))]
    for peer, part in late:
        assert stage.sync.part(peer, part, 0.2 + PATIENCE) is None
    assert stage.counts == {"unawaited parts": 3}
    assert not stage.rejected
    assert stage.sync.part(2, SnapshotPart(50, 0, b"one"), 0.3 + PATIENCE) is None
    assert stage.fetch(2, PARTS[1:], 0.3 + PATIENCE, 1) == b"onetwothree"


def test_where_none_is_left_all_are_asked_anew():
    stage = Stage().agreed()
    assert stage.fetch(1, [b"x", b"y", b"z"], 0.1) is None
    assert stage.fetch(2, [b"x", b"y", b"z"], 0.2) is None
    assert stage.sync.ask(7, 0.2) == [(ALL, StateRequest(7))]


def test_it_ends_where_the_validator_goes_on_without():
    stage = Stage().agreed()
    assert stage.sync.ask(8, 0.1) == []
    assert stage.sync.due_s == NEVER
