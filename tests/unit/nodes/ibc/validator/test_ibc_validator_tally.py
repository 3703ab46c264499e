"""The votes for one block: whose count, and how many are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ibc_chain import GENESIS_NS, settings

from nodes.ibc.chain.blocks import Block
from nodes.ibc.chain.genesis import chain_of
from nodes.ibc.comet.commits import SignatureCache, verify_commit
from nodes.ibc.proto.comet import SignedMsgType, Vote
from nodes.ibc.proto.well_known import Timestamp
from nodes.ibc.validator.tally import Tally, signed_bytes


class Committee:
    """Validators of these powers, and the first block of their chain."""

    def __init__(self, powers: Sequence[int]) -> None:
        self._chain = chain_of(settings(powers=tuple(powers)), GENESIS_NS)
        self.chain_id = self._chain.app.chain_id
        self.block: Block = self._chain.proposal(self._chain.mempool)
        self.validators = self._chain.committee.at(1)

    def tally(self) -> Tally:
        return Tally(self.chain_id, self.block, self.validators, SignatureCache())

    def vote(self, place: int, **changes: object) -> Vote:
        key = self._chain.committee.key(1, place)
        time = Timestamp.of_ns(GENESIS_NS + place + 1)
        vote = Vote(SignedMsgType.PRECOMMIT, 1, 0, self.block.id, time, key.address)
        vote = replace(vote, **changes)  # type: ignore[arg-type]
        return replace(vote, signature=key.sign(signed_bytes(self.chain_id, vote)))


def test_votes_make_a_commit_that_verifies() -> None:
    committee = Committee([1] * 4)
    tally = committee.tally()
    for place in (2, 0):
        assert tally.add(committee.vote(place)) == ""
        assert tally.commit() is None
    assert tally.add(committee.vote(3)) == ""
    commit = tally.commit()
    assert commit is not None
    verify_commit(committee.chain_id, committee.validators.validators, commit, SignatureCache())
    assert sum(1 for entry in commit.signatures if entry.signature) == 3


def test_two_thirds_are_not_enough() -> None:
    for powers, voters in (([1, 1, 1], [0, 1]), ([4, 1, 1], [0]), ([2, 2, 1, 1], [0, 1])):
        committee = Committee(powers)
        tally = committee.tally()
        for place in voters:
            assert tally.add(committee.vote(place)) == ""
        assert tally.commit() is None
        assert tally.add(committee.vote(len(powers) - 1)) == ""
        assert tally.commit() is not None


def test_votes_of_another_height_round_or_kind_do_not_count() -> None:
    committee = Committee([1] * 4)
    tally = committee.tally()
    assert tally.add(committee.vote(0, height=0)) == "late"
    for changes in ({"height": 2}, {"round": 1}, {"type": SignedMsgType.PREVOTE}):
        assert tally.add(committee.vote(0, **changes)) == "misplaced"
    assert tally.add(committee.vote(0, validator_address=bytes(20))) == "unknown"


def test_votes_of_an_impossible_time_do_not_count() -> None:
    committee = Committee([1] * 4)
    tally = committee.tally()
    for moment in (committee.block.header.time, Timestamp(1 << 50), Timestamp(GENESIS_NS // 10**9 + 1, 10**9)):
        assert tally.add(committee.vote(0, timestamp=moment)) == "time"


def test_the_first_vote_of_a_validator_stays() -> None:
    committee = Committee([1] * 4)
    tally = committee.tally()
    later = committee.vote(0, timestamp=Timestamp.of_ns(GENESIS_NS + 1_000_000))
    assert [tally.add(committee.vote(0)), tally.add(later)] == ["", "repeated"]
    for place in (1, 2):
        assert tally.add(committee.vote(place)) == ""
    commit = tally.commit()
    assert commit is not None
    assert later.signature not in [entry.signature for entry in commit.signatures]
