"""Reads piece by piece: what answers prove together, what a validator answers of locked keys, and what it signs."""

from __future__ import annotations

import pytest
from dagbft_script import Script, alpha, gamma

from nodes.dagbft.client.messages import ReadReply, ReadRequest, SignedResults, Status
from nodes.dagbft.client.reads import Read, Reads
from nodes.dagbft.execution.transactions import Code, key_of
from nodes.dagbft.execution.witness import WINDOW
from nodes.dagbft.field_types import Cause
from nodes.dagbft.identity import Identity, Roster
from nodes.dagbft.messages import Subscribe
from nodes.dagbft.primary.client_service import ClientService

NAMES = [f"v{number}" for number in range(4)]
KEYS = [Identity.of(1, name) for name in NAMES]
ROSTER = Roster.of(1, NAMES)
KEY, OTHER = key_of(1, 1), key_of(2, 1)
ADD, TRANSFER = int(Code.ADD), int(Code.TRANSFER)
Said = tuple[int, int, int]  # at, value, since


def reply(me: int, number: int, said: Said | Status) -> ReadReply:
    """What a validator signs."""
    at, value, since = (7, 0, 0) if isinstance(said, Status) else said
    status = said if isinstance(said, Status) else Status.OK
    values = ((KEY, value, since),) if status == Status.OK else ()
    fields = (me, ROSTER.run, number, 2, int(status), at, at, bytes(32), values)
    return ReadReply(*fields, KEYS[me].sign(ReadReply(*fields, bytes(64)).digest))


def read(need: int, least: int, *said: Said | Status) -> Read | None:
    """What comes of answers that arrive in this order."""
    reads = Reads(ROSTER)
    reads.saw(least)
    number = reads.read([KEY], 0.0, need=need)
    assert number is not None
    for me, each in enumerate(said):
        reads.on_reply(me, reply(me, number, each), 1.0)
    assert not reads.rejected
    done = reads.take()[1]
    return done[0] if done else None


@pytest.mark.parametrize(
    ("need", "least", "said", "at", "voters"),
    [
        (2, 0, [(9, 5, 3), (9, 5, 3)], 9, (0, 1)),
        (2, 0, [(9, 5, 3), (7, 5, 0)], 7, (0, 1)),  # both had it after 7 commits
        (2, 0, [(9, 6, 9), (8, 5, 3), (8, 5, 8)], 8, (1, 2)),  # one is further
        (3, 0, [(9, 5, 3), (8, 5, 3), (7, 5, 3)], 7, (0, 1, 2)),
        (2, 8, [(9, 5, 3), (7, 5, 3), (8, 5, 8)], 8, (0, 2)),  # one answered though it was not there
    ],
)  # fmt: skip
def test_enough_answers_confirm_the_freshest_state_that_they_have_in_common(
    need: int, least: int, said: list[Said], at: int, voters: tuple[int, ...]
) -> None:
    found = read(need, least, *said)
    assert found is not None
    assert (found.at, found.values, found.voters, found.why) == (at, {KEY: 5}, voters, "")


@pytest.mark.parametrize(
    ("need", "least", "said"),
    [
        (2, 0, [(9, 5, 3)]),
        (2, 0, [(9, 5, 9), (4, 5, 0)]),  # the second may lie: that it was 5 after 4 commits nobody else says
        (2, 0, [(9, 5, 3), (9, 6, 3)]),
        (2, 8, [(7, 5, 0), (7, 5, 0)]),  # older than what this client has seen
        (3, 0, [(9, 5, 3), (9, 5, 3), Status.BEHIND]),
    ],
)  # fmt: skip
def test_answers_that_prove_nothing_are_waited_with(need: int, least: int, said: list[Said | Status]) -> None:
    assert read(need, least, *said) is None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([Status.BEHIND] * 3, "behind"),
        ([(9, 5, 3), Status.UNSETTLED, Status.UNSETTLED, Status.UNSETTLED], "unsettled"),
        ([(9, 1, 3), (9, 2, 3), (9, 3, 3), (9, 4, 3)], "disagreement"),
    ],
)
def test_a_read_that_cannot_be_confirmed_any_more_ends_and_says_why(said: list[Said | Status], why: str) -> None:
    found = read(2, 0, *said)
    assert found is not None
    assert (found.why, found.values) == (why, {})


class Counter:
    """A service over a ledger that a script drives."""

    def __init__(self) -> None:
        self.script = Script()
        self.service = ClientService(0, ROSTER, KEYS[0])
        self.service.follow(self.script.ledger)
        self.service.on_message("client", Subscribe(0), 0.0)

    def read(self, kind: Cause, key: int) -> tuple[Status, int, tuple[tuple[int, int, int], ...]]:
        self.service.on_message("client", ReadRequest(1, kind, 0, (key,)), 0.0)
        (found,) = [message for _, message in self.service.take(0.0) if isinstance(message, ReadReply)]
        return Status(found.status), found.at, found.values

    def signed(self) -> list[SignedResults]:
        return [message for _, message in self.service.take(0.0) if isinstance(message, SignedResults)]


def test_early_reads_tell_no_value_of_a_key_that_somebody_has_locked() -> None:
    counter = Counter()
    script = counter.script
    first = script.block(2, 1, alpha(1, (ADD, KEY, 0, 10)))
    script.early(first, 0)
    assert counter.read(Cause.EARLY, KEY) == (Status.OK, 1, ((KEY, 10, 1),))
    parts = gamma(20, (ADD, KEY, 0, 5), (ADD, OTHER, 0, 1))
    second = script.block(3, 1, parts[1], alpha(1, (ADD, key_of(1, 9), 0, 1)))
    script.early(second, 1, first)
    assert counter.read(Cause.EARLY, KEY)[0] == Status.UNSETTLED
    assert counter.read(Cause.EARLY, key_of(1, 9)) == (Status.OK, 2, ((key_of(1, 9), 1, 2),))
    assert counter.read(Cause.COMMITTED, KEY) == (Status.OK, 0, ((KEY, 0, 0),)), "nothing is committed"
    script.commit(first)
    script.commit(second)
    assert counter.read(Cause.EARLY, KEY)[0] == Status.UNSETTLED, "the other part is not there"
    assert counter.read(Cause.COMMITTED, KEY) == (Status.OK, 2, ((KEY, 10, 1),))
    script.commit(script.block(4, 2, parts[2]))
    assert counter.read(Cause.EARLY, KEY) == (Status.OK, 2, ((KEY, 15, 2),))
    assert counter.read(Cause.COMMITTED, KEY) == (Status.OK, 3, ((KEY, 15, 3),))


def test_no_early_value_is_told_once_early_answers_have_stopped() -> None:
    counter = Counter()
    counter.script.early(counter.script.block(2, 1, alpha(1, (ADD, KEY, 0, 10))), 0)
    counter.script.ledger.stop_early_answers()
    assert counter.read(Cause.EARLY, KEY)[:2] == (Status.UNSETTLED, 0)


def test_since_when_a_key_has_its_value_is_known_for_a_window() -> None:
    counter = Counter()
    script = counter.script
    script.commit(script.block(2, 1, alpha(1, (ADD, KEY, 0, 10))))
    for round in range(3, 3 + WINDOW):
        assert counter.read(Cause.COMMITTED, KEY)[2] == ((KEY, 10, 1),)
        script.commit(script.block(round, 2, alpha(2, (ADD, OTHER, 0, 1))))
    for later in (2, 3):
        _, at, ((_, value, since),) = counter.read(Cause.COMMITTED, KEY)
        assert (value, since, at) == (10, later, WINDOW + later - 1), "later than it was, never sooner"
        script.commit(script.block(2 + WINDOW + later, 2, alpha(2, (ADD, OTHER, 0, 1))))
    assert len(counter.service._witness._last) == 1


def test_what_is_carried_again_is_no_result() -> None:
    counter = Counter()
    script = counter.script
    twice = alpha(1, (ADD, KEY, 0, 10), id=bytes(15) + b"\1")
    one, again = script.block(2, 1, twice), script.block(3, 1, twice)
    script.commit(one)
    (signed,) = counter.signed()
    assert [(each.transaction, each.round) for each in signed.results] == [(twice.id, 2)]
    script.commit(again)
    assert script.results(again) == ["repeated"]
    assert counter.signed() == []


def test_one_signature_stands_for_all_results_of_a_commit_and_late_ones_come_with_theirs() -> None:
    counter = Counter()
    script = counter.script
    ids = [bytes(15) + bytes([number]) for number in range(1, 8)]
    parts = gamma(20, (ADD, KEY, 0, 5), (ADD, OTHER, 0, 1), id=ids[0])
    blocks = [
        script.block(2, 1, parts[1], alpha(1, (ADD, key_of(1, 9), 0, 1), id=ids[1])),
        script.block(2, 3, alpha(3, (ADD, key_of(3, 9), 0, 1), id=ids[2])),
    ]
    script.commit(*blocks)
    (signed,) = counter.signed()
    assert signed.statement.count == 2
    assert {each.transaction for each in signed.results} == {ids[1], ids[2]}
    script.commit(script.block(3, 2, parts[2], alpha(2, (ADD, OTHER, 0, 1), id=ids[3])))
    (signed,) = counter.signed()
    told = [(each.transaction, each.round) for each in signed.results]
    assert told == [(ids[0], 2), (ids[0], 3), (ids[3], 3)], "both parts, in the order of blocks"
    assert (signed.statement.kind, signed.statement.commits) == (Cause.COMMITTED, 2)
    assert signed.results[0].result == signed.results[1].result


def test_who_gives_a_number_that_another_gave_hears_too_and_takes_nobody_s_place() -> None:
    counter = Counter()
    for number in range(10):
        counter.service.on_message(f"other-{number}", Subscribe(0), 0.0)
    counter.script.commit(counter.script.block(2, 1, alpha(1, (ADD, KEY, 0, 1), id=bytes(16))))
    callers = [caller for caller, _ in counter.service.take(0.0)]
    assert callers == ["client", *(f"other-{number}" for number in range(7))]
    assert sum(counter.service.rejected.values()) == 3
