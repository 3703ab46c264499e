"""Messages that must be refused, given to a validator of a running committee: rows C4, C5 and C9, and M1 for votes.

Each is counted by its reason and its peer, changes nothing, and the peer stays: what it says next is taken.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from dagbft_rows import ASYNC, Row, breaches

from emulator.sdk.disk import MemoryDisk
from nodes.dagbft.field_types import vote_digest
from nodes.dagbft.messages import Certificate, CertReply, CertRequest, Header, StateReply, Vote
from nodes.dagbft.primary.ballot import VoteLog
from nodes.dagbft.primary.proposer import replace_signature
from nodes.dagbft.simulate.validator import PRIMARY
from nodes.dagbft.wire import join_transactions


@pytest.fixture
def row():
    """Four validators with real signatures that have run for a while; number 3 has been silent from the start."""
    return Row(4, {3: "silent"}, signatures=True, load_hz=10).start().go(1)


def signed(row: Row, header: Header) -> Header:
    return replace_signature(header, row.run.identities[header.author].sign(header.id))


def vote(row: Row, header: Header, voter: int) -> tuple[int, bytes]:
    return voter, row.run.identities[voter].sign(vote_digest(header.id, header.round, header.author))


def header(row: Row, round: int = 0, author: int = 3, **changes) -> Header:
    """A header of the silent validator that is in order, but for the changes."""
    primary = row.primary(0)
    round = round or primary.pace.round + 1
    held = [primary.blocks.at((round - 1, number)) for number in range(4)]
    parents = tuple(sorted(each.digest for each in held if each is not None))
    empty = primary.payload.summary(())
    shard = row.run.roster.committee.shard(author, round)
    mode = primary.blocks.mode_of(author, round, parents) or 0
    plain = Header(0, author, round, (), b"", parents, shard, empty, b"", mode, bytes(8), bytes(64))
    return signed(row, replace(plain, **changes))


def certificate(row: Row, of: Header, voters=(0, 1, 2)) -> Certificate:
    return Certificate(of, tuple(vote(row, of, voter) for voter in voters))


def give(row: Row, message, peer: int = 3) -> list:
    """What validator 0 sends when it gets this from a peer."""
    sent = []
    row.wire.hook = lambda sender, receiver, what, now_s: sent.append(what) or 0.0
    row.run.validators[0].receive(PRIMARY, peer, message)
    row.wire.hook = None
    return sent


def test_a_header_and_a_certificate_in_order_are_taken(row):
    good = header(row)
    assert [type(each) for each in give(row, good)] == [Vote]
    assert not row.primary(0).rejected
    give(row, certificate(row, good))
    assert row.primary(0).blocks.at((good.round, 3)) is not None
    row.go(2).verdict()


CERTIFICATES = {
    "repeated": lambda row, of: Certificate(of, (vote(row, of, 0), vote(row, of, 0), vote(row, of, 1))),
    "few": lambda row, of: certificate(row, of, (0, 1)),
    "voter": lambda row, of: Certificate(of, (vote(row, of, 0), vote(row, of, 1), (4, bytes(64)))),
    "vote": lambda row, of: Certificate(of, (vote(row, of, 0), vote(row, of, 1), (2, vote(row, of, 1)[1]))),
    "round": lambda row, of: certificate(row, signed(row, replace(of, round=0))),
    "signature": lambda row, of: certificate(row, replace(of, signature=bytes(64))),
    "author": lambda row, of: certificate(row, replace(of, author=9)),
    "epoch": lambda row, of: certificate(row, signed(row, replace(of, epoch=1))),
    "shard": lambda row, of: certificate(row, signed(row, replace(of, shard=(of.shard + 1) % 4))),
    "parents": lambda row, of: certificate(row, signed(row, replace(of, parents=of.parents[:2]))),
}


@pytest.mark.parametrize("reason", CERTIFICATES)
def test_certificates_that_are_refused_and_the_peer_is_kept(row, reason):  # C4
    of = header(row)
    bad = CERTIFICATES[reason](row, of)
    before = len(row.primary(0).blocks)
    give(row, bad)
    give(row, CertReply((bad, bad)))
    expected = "stale" if bad.round == 0 and row.primary(0).blocks.floor >= 0 else reason
    assert row.primary(0).rejected == {(expected, 3): 3}
    assert len(row.primary(0).blocks) == before
    assert [type(each) for each in give(row, of)] == [Vote]  # what it says next is taken
    row.go(1).verdict()


HEADERS = {
    "no parents": (lambda row, of: replace(of, parents=()), "parents"),
    "fewer than a quorum": (lambda row, of: replace(of, parents=of.parents[:2]), "parents"),
    "the same one twice": (lambda row, of: replace(of, parents=(of.parents[0], *of.parents[:2])), "parents"),
    "not in order": (lambda row, of: replace(of, parents=of.parents[::-1]), "parents"),
    "of two rounds before": (
        lambda row, of: replace(
            of, parents=tuple(sorted((row.primary(0).blocks.at((of.round - 2, 0)).digest, *of.parents[1:])))
        ),
        "parents",
    ),
    "of the same round": (
        lambda row, of: replace(of, round=of.round - 1, shard=row.run.roster.committee.shard(3, of.round - 1)),
        "parents",
    ),
    "a worker that is not": (lambda row, of: replace(of, payload=((bytes(32), 1),)), "worker"),
    "a batch twice": (lambda row, of: replace(of, payload=((bytes(32), 0), (bytes(32), 0))), "payload"),
    "half a batch inside": (lambda row, of: replace(of, inline=bytes(3)), "inline"),
    "too much inside": (lambda row, of: replace(of, inline=join_transactions((bytes(2000),))), "inline"),
    "far ahead": (lambda row, of: replace(of, round=of.round + 500), "future"),
    "a coin share where none is due": (lambda row, of: replace(of, coin_share=b"share"), "coin"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_get_no_vote(row, name):  # C5
    of = header(row)
    make, reason = HEADERS[name]
    sent = give(row, signed(row, make(row, of)))
    assert not [each for each in sent if isinstance(each, Vote)]
    assert row.primary(0).rejected == {(reason, 3): 1}
    assert [type(each) for each in give(row, of)] == [Vote]


def test_a_header_with_parents_that_nobody_has_is_parked_and_asked_for(row):  # C5
    of = header(row)
    lost = tuple(sorted((*of.parents[:2], bytes(32))))
    sent = give(row, signed(row, replace(of, parents=lost)))
    assert [type(each) for each in sent] == [CertRequest]
    assert sent[0].digests == (bytes(32),)
    row.go(3).verdict()
    assert not [slot for slot in row.wire.votes if slot[1:] == (of.round, 3)]


def test_a_header_that_somebody_else_brings_is_refused(row):  # C5
    give(row, header(row), peer=1)
    assert row.primary(0).rejected == {("sender", 1): 1}


def test_what_is_below_the_floor_is_ignored(row):  # C9
    old = header(row, 3)
    late = certificate(row, old)
    row.go(11)
    primary = row.primary(0)
    assert primary.blocks.floor > 3
    commits = len(row.run.validators[0].history.commits())
    give(row, old)
    give(row, late)
    give(row, CertReply((late,)))
    assert primary.rejected == {("stale", 3): 3}
    assert len(row.run.validators[0].history.commits()) == commits
    row.go(2).verdict()
    assert 3 not in row.authors_ordered()


def test_certificates_that_come_after_their_round_was_passed_are_ordered_once(row):  # C9
    late = certificate(row, header(row, 3))
    give(row, late)
    give(row, late)
    row.go(3).verdict()
    assert not row.primary(0).rejected
    assert 3 not in row.authors_ordered()  # nobody references it: it is never in a leader's past


def test_nonsense_in_replies_is_counted(row):
    give(row, StateReply(0, bytes(32), 0, 1, b"nonsense"))
    give(row, Vote(bytes(32), row.primary(0).proposer.round, 0, 3, bytes(64)))
    assert row.primary(0).rejected["state", 3] == 1
    assert set(row.primary(0).rejected) <= {("state", 3), ("header", 3)}


def tempt(row: Row) -> list[str]:
    """A vote for one header, a crash, and the other header."""
    one = header(row)
    other = signed(row, replace(one, inline=join_transactions((bytes(32),))))
    assert [type(each) for each in give(row, one)] == [Vote]
    row.run.crash(0)
    row.run.restart(0)
    give(row, other)
    return breaches(row)


def test_a_vote_outlives_a_crash(row):  # A4
    assert not tempt(row)
    assert row.primary(0).rejected["equivocation", 3] == 1


@pytest.mark.parametrize("mutation", ["votes are not kept", "votes are not read back"])
def test_without_durable_votes_the_verdict_is_red(row, mutation, monkeypatch):  # M1
    if mutation == "votes are not kept":
        keep = MemoryDisk.apply
        monkeypatch.setattr(
            MemoryDisk, "apply", lambda self, records: keep(self, [each for each in records if each.table != "vote"])
        )
    else:
        monkeypatch.setattr("nodes.dagbft.primary.records.Archive.votes", lambda self: iter(()))
    assert any("voted twice" in breach for breach in tempt(row))


def test_without_the_vote_log_two_headers_of_a_slot_are_certified(monkeypatch):  # M1
    monkeypatch.setattr(VoteLog, "find", lambda self, slot: None)
    monkeypatch.setattr(VoteLog, "enter", lambda self, slot, header_id: None)
    row = Row(4, {3: "equivocate"}, ASYNC)
    try:
        row.start().go(5)
    except RuntimeError as breach:
        assert "two certificates" in str(breach) or "conflict" in str(breach)  # noqa: PT017
    else:
        assert any(text.startswith("I1") for text in breaches(row))
