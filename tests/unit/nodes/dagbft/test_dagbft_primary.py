"""The primary's core alone: what it refuses, rows C4 to C9 of the fault table, and what it keeps.

One core stands among validators that the test plays: `Stage` signs in their names.
"""

from dataclasses import replace

import pytest
from dagbft_stage import CONFIG, Stage

from emulator.sdk.disk import MemoryDisk
from nodes.dagbft.execution.transactions import summary_of
from nodes.dagbft.field_types import vote_digest
from nodes.dagbft.identity import Roster
from nodes.dagbft.messages import (
    Batch,
    CertReply,
    CertRequest,
    Header,
    StateReply,
    StateRequest,
    Synchronize,
    Vote,
)
from nodes.dagbft.primary.blocks import SafetyViolation
from nodes.dagbft.primary.effects import ALL

NO_KEYS = summary_of(())


def test_a_sound_header_is_voted_for_once_and_the_vote_is_kept_with_it():
    stage = Stage()
    header = stage.header(1, 1)
    (vote,) = stage.votes(1, header)
    assert vote.header_id == header.id
    assert [record.table for record in stage.effects.persist] == ["vote"]
    assert stage.votes(1, header) == [vote]  # told again, without another record
    assert stage.effects.persist == []
    other = stage.header(1, 1, payload=((bytes(32), 0),))
    assert stage.votes(1, other) == []
    assert stage.refused() == {("equivocation", 1): 1}
    stage.core = stage.begin(genesis=False)  # C3 across a restart
    assert stage.votes(1, other) == []
    assert stage.votes(1, header) == [vote]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"epoch": 3}, "epoch"),
        ({"shard": 0}, "shard"),  # E4
        ({"payload": ((bytes(32), 4),)}, "worker"),
        ({"payload": ((bytes(32), 0), (bytes(32), 0))}, "payload"),
        ({"parents": ()}, "parents"),  # C5
        ({"coin_share": b"x"}, "coin"),
    ],
)
def test_an_unsound_header_is_not_voted_for(given, reason):
    stage = Stage()
    stage.play(1)
    assert stage.votes(1, stage.header(1, 2, **given)) == []
    assert stage.refused() == {(reason, 1): 1}


def test_far_future_headers_are_refused_unread():  # C8
    stage = Stage()
    assert stage.votes(1, stage.header(1, 1 << 40)) == []
    assert stage.refused() == {("future", 1): 1}


def test_parents_that_cannot_be_get_no_vote():  # C5
    stage = Stage()
    stage.play(2)
    first, second = ([each.digest for each in round] for round in stage.rounds[1:3])
    for parents in ([*first[:2], second[0]], [first[0], second[0], second[1]], [*second[:2]], [*second[:2], second[1]]):
        assert stage.votes(1, stage.header(1, 3, parents=tuple(sorted(parents)))) == []
    assert {reason for reason, _ in stage.refused()} == {"parents"}
    assert len(stage.votes(1, stage.header(1, 3))) == 1


def test_headers_come_from_their_authors_only():
    stage = Stage()
    assert stage.say(2, stage.header(1, 1)) == []
    assert stage.say(1, replace(stage.header(1, 1), signature=bytes(64))) == []
    assert stage.say(1, Batch(b"")) == []
    assert stage.refused() == {("sender", 2): 1, ("signature", 1): 1, ("misplaced", 1): 1}


@pytest.mark.parametrize(
    ("voters", "reason"),
    [((1, 1, 2), "repeated"), ((1, 2), "few"), ((1, 2, 4), "voter"), ((3, 2, 1), "repeated")],
)
def test_a_certificate_with_wrong_votes_is_refused_and_the_peer_kept(voters, reason):  # C4
    stage = Stage()
    header = stage.header(1, 1)
    stage.say(1, stage.certificate(header, voters))
    assert stage.refused() == {(reason, 1): 1}
    assert not stage.core.blocks.at((1, 1))
    stage.say(1, stage.certificate(header))
    assert stage.core.blocks.at((1, 1))


def test_votes_of_another_round_or_with_bad_signatures_make_no_certificate():  # C4
    stage = Stage()
    header = stage.header(1, 1)
    good = stage.certificate(header)
    wrong_round = vote_digest(header.id, 2, 1)
    bad = replace(good, votes=(*good.votes[:2], (3, stage.seals[3].sign(wrong_round))))
    stage.say(2, bad)
    assert stage.refused() == {("vote", 2): 1}


def test_a_header_waits_for_its_batches_from_the_worker_that_it_names():  # C6
    stage = Stage(replace(CONFIG, batch_grace_s=0.0))
    stage.roster = Roster.of(1, ["a", "b", "c", "d"], workers=2)
    stage.core = stage.begin()
    batch = bytes(range(32))
    header = stage.header(1, 1, payload=((batch, 1),), summary=summary_of([7]))
    assert stage.votes(1, header) == []
    assert (1, Synchronize((batch,), (1,))) in stage.effects.workers
    stage.core.on_batch(batch, 0, frozenset([7]), False, 0.0)  # the other worker's does not count
    assert stage.out() == []
    stage.core.on_batch(batch, 1, frozenset([7]), False, 0.0)
    assert [to for to, message in stage.out() if isinstance(message, Vote)] == [1]


def test_a_wrong_summary_of_keys_gets_no_vote():  # E4
    stage = Stage()
    batch = bytes(range(32))
    stage.core.on_batch(batch, 0, frozenset([7, 9]), False, 0.0)
    stage.out()
    assert stage.votes(1, stage.header(1, 1, payload=((batch, 0),), summary=summary_of([7]))) == []
    assert stage.refused() == {("summary", 1): 1}


def test_withheld_certificates_are_fetched_through_children():  # C7
    stage = Stage()
    stage.rounds.append([stage.certificate(stage.header(author, 1)) for author in (1, 2, 3)])
    for certificate in stage.rounds[1][:2]:
        stage.say(certificate.author, certificate)
    child = stage.certificate(stage.header(1, 2))
    withheld = stage.rounds[1][2]
    assert (1, CertRequest((withheld.digest,))) in stage.say(1, child)
    stage.core.tick(stage.config.retry_s)  # nobody answered: others are asked
    asked = [to for to, message in stage.out() if isinstance(message, CertRequest)]
    assert sorted(asked) == [1, 2, 3]
    stage.say(2, CertReply((withheld,)))
    assert stage.core.blocks.at((2, 1)) == child
    assert stage.core.next_deadline_s() < float("inf")
    stage.core.tick(10.0)
    assert not [to for to, message in stage.out() if isinstance(message, CertRequest)]


def test_floods_leave_memory_flat():  # C8
    stage = Stage()
    for number in range(300):
        far = stage.header(1, 2 + number % 100, parents=tuple(bytes([n, number % 256]) * 16 for n in range(3)))
        stage.say(1, far)
    assert len(stage.core.voting.suspended) <= CONFIG.most_parked
    assert sum(count for (reason, peer), count in stage.refused().items() if peer == 1) >= 290
    stage.play(3)
    digests = tuple(each.digest for each in stage.rounds[1])
    answers = [stage.say(2, CertRequest(digests)) for _ in range(3000)]
    given = sum(len(reply.certificates) for each in answers for _, reply in each)
    assert 0 < given <= CONFIG.most_answers
    assert stage.say(3, CertRequest(digests))  # another peer has its own share


def test_what_is_below_the_floor_is_ignored():  # C9
    stage = Stage()
    stage.play(60)
    assert stage.core.blocks.floor > 20
    before = len(stage.core.blocks), stage.core.consensus.commits
    assert stage.votes(1, stage.header(1, 3)) == []
    late = stage.certificate(stage.header(0, 5))
    assert stage.say(2, late) == []
    assert stage.refused() == {("stale", 1): 1, ("stale", 2): 1}
    assert (len(stage.core.blocks), stage.core.consensus.commits) == before
    assert len(stage.core.blocks) <= 3 * 33
    assert stage.core.votes.find((3, 1)) is None


def test_old_certificates_are_served_from_the_archive():
    stage = Stage()
    stage.play(60)
    old = stage.rounds[1][0]
    ((to, reply),) = stage.say(2, CertRequest((old.digest, bytes(32))))
    assert (to, reply) == (2, CertReply((old,)))
    replies = [message for _, message in stage.say(2, StateRequest(0)) if isinstance(message, StateReply)]
    assert [reply.part for reply in replies] == list(range(replies[0].parts))
    assert replies[0].index > 4


def test_what_is_collected_before_it_is_on_disk_still_says_what_it_carries():
    """One reply may bring more rounds than are kept; its blocks are executed before the records of it are kept."""
    stage = Stage()
    batch = (bytes(32), 0)
    for round in range(1, 61):
        blocks = [stage.certificate(stage.header(author, round, payload=(batch,))) for author in (1, 2, 3)]
        stage.rounds.append(blocks)
        for certificate in blocks:
            stage.say(certificate.author, certificate)
    stage.disk = MemoryDisk()
    late = stage.core = stage.begin()
    late.on_message(1, CertReply(tuple(certificate for blocks in stage.rounds for certificate in blocks)), 0.0)
    assert late.blocks.floor > 20
    assert late.blocks.at((3, 1)) is None
    assert late.payload_of((3, 1)) == (batch,)
    effects = late.take()
    stage.disk.apply(effects.persist)
    late.archive.kept(effects.persist)
    assert late.payload_of((3, 1)) == (batch,)
    assert not late.archive._fresh


def test_a_restart_sends_the_open_header_again_byte_for_byte():
    stage = Stage()
    stage.now_s = 0.2
    stage.core.tick(0.2)
    sent = [message for to, message in stage.out() if isinstance(message, Header) and to == ALL]
    assert len(sent) == 1
    assert [record.table for record in stage.effects.persist] == ["header"]
    stage.core = stage.begin(genesis=False)
    assert [message for _, message in stage.out() if isinstance(message, Header)] == sent
    stage.core.tick(5.0)  # and again to whoever has not voted, and never another one
    again = [(to, message) for to, message in stage.out() if isinstance(message, Header)]
    assert again == [(peer, sent[0]) for peer in (1, 2, 3)]


def test_a_vote_that_comes_again_is_nobodys_fault():
    """A header is sent again while a vote on it is under way: whoever has voted votes again, as it must."""
    stage = Stage()
    stage.now_s = 0.2
    stage.core.tick(0.2)
    (header,) = stage.core.take().made
    signature = stage.seals[1].sign(vote_digest(header.id, header.round, header.author))
    vote = Vote(header.id, header.round, header.author, 1, signature)
    for _ in range(2):
        stage.say(1, vote)
    assert not stage.core.rejected
    assert stage.core.counts["repeated votes"] == 1
    stage.say(1, Vote(bytes(32), header.round, header.author, 1, signature))  # on another header
    assert stage.core.rejected == {("header", 1): 1}


def test_own_batches_of_a_lost_block_go_into_a_later_header():
    stage = Stage()
    batch = bytes(range(32))
    stage.core.on_batch(batch, 0, frozenset(), True, 0.0)
    stage.now_s = 0.2
    stage.core.tick(0.2)
    (first,) = stage.core.take().made
    assert first.payload == ((batch, 0),)
    stage.play(3)  # nobody votes for it
    stage.now_s = 5.0
    stage.core.tick(5.0)
    (second,) = stage.core.take().made
    assert second.payload == ((batch, 0),)
    assert stage.core.counts["reinjected"] == 1


def test_a_validator_without_memory_is_quiet_until_its_old_rounds_have_passed():  # A5
    stage = Stage()
    stage.play(5)
    newest = stage.rounds[5][0]
    stage.disk = MemoryDisk()
    stage.core = stage.begin(genesis=False)
    ((to, probe),) = stage.out()
    assert (to, probe.digests) == (ALL, ())
    assert [record.table for record in stage.effects.persist] == ["life"]  # before anything else
    assert stage.votes(1, stage.header(1, 6)) == []
    for peer in (1, 2):
        stage.say(peer, CertReply((newest,), probe.nonce))
    stage.say(3, CertReply((), probe.nonce + 1))  # to a former life
    assert stage.core.votes.quiet == 0
    stage.say(3, CertReply((), probe.nonce))
    assert stage.core.votes.quiet == 6
    stage.core = stage.begin(genesis=False)  # F4: an ordinary restart forgets nothing
    assert not stage.core.probing
    assert stage.core.votes.quiet == 6
    for round in range(1, 6):
        for certificate in stage.rounds[round]:
            stage.say(certificate.author, certificate)
    stage.core.tick(50.0)
    assert not [message for _, message in stage.out() if isinstance(message, Header)]  # round 6 is too early
    assert stage.votes(1, stage.header(1, 6)) == []
    stage.play(1)
    stage.core.tick(100.0)
    assert [message.round for _, message in stage.out() if isinstance(message, Header)] == [7]
    assert len(stage.votes(1, stage.header(1, 7))) == 1


def test_a_validator_without_memory_that_crashes_before_it_has_answers_asks_again():  # F4
    stage = Stage()
    stage.play(5)
    stage.disk = MemoryDisk()
    stage.core = stage.begin(genesis=False)
    stage.out()
    stage.say(1, CertReply((stage.rounds[1][0],)))
    stage.now_s = 1.0
    stage.core = stage.begin(genesis=False)  # with a certificate on its disk
    assert stage.core.probing
    assert [message.nonce for _, message in stage.out() if isinstance(message, CertRequest)] == [1_000_001]


def test_a_hidden_chain_surfaces_in_two_requests():  # smaller finding (a)
    stage = Stage()
    stage.play(12)
    whole = stage.core
    chain = [certificate for round in stage.rounds[1:] for certificate in round if certificate.author == 1]
    ((to, reply),) = stage.say(2, CertRequest((chain[-1].digest,), 0, 64))
    assert (to, list(reply.certificates)) == (2, chain)
    stage.disk = MemoryDisk()
    stage.core = stage.begin()
    asked = [message for _, message in stage.say(1, chain[-1]) if isinstance(message, CertRequest)]
    assert {request.ancestors for request in asked} == {0}
    rounds = 0
    while requests := {request for request in asked if request.digests}:
        rounds += 1
        asked = []
        for request in requests:
            whole.on_message(1, request, 0.0)
            for _, answer in whole.take().send:
                asked += [message for _, message in stage.say(1, answer) if isinstance(message, CertRequest)]
    assert stage.core.pace.round == 11
    assert rounds <= 3


def test_two_certificates_of_a_slot_are_evidence():  # smaller finding (e)
    stage = Stage()
    stage.play(3)
    other = stage.certificate(stage.header(1, 3, payload=((bytes(32), 0),)))
    with pytest.raises(SafetyViolation) as caught:
        stage.say(2, other)
    assert caught.value.evidence == (stage.rounds[3][0], other)


def test_a_leader_is_waited_for_as_long_as_rounds_take_and_the_own_block_too():  # smaller findings (b) and (d)
    stage = Stage()
    pace, config = stage.core.pace, stage.config
    assert pace.leader_timeout_s == config.leader_timeout_s
    for _ in range(20):
        if stage.core.proposer.round == pace.round:
            stage.now_s = max(stage.now_s, stage.core.proposer.due_s())
            stage.core.tick(stage.now_s)
        mine = stage.core.proposer.ballots[pace.round + 1].header
        stage.now_s += 3.0
        stage.rounds.append([stage.certificate(stage.header(author, len(stage.rounds))) for author in (1, 2, 3)])
        for certificate in stage.rounds[-1]:
            stage.say(certificate.author, certificate)
        assert pace.due_s(config.header_batches) > stage.now_s or pace.leader_timeout_s < 3.0  # the own one is missing
        own = stage.certificate(mine)
        stage.rounds[-1].append(own)
        stage.say(1, own)
    assert 4.0 < pace.leader_timeout_s <= 6.0
