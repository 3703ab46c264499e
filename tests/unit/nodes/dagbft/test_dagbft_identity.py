"""Identities, the memory of good signatures, and each reason for refusing a header, a vote or a certificate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodes.dagbft.field_types import batch_digest, vote_digest
from nodes.dagbft.identity import Identity, Roster, Verifier, check_certificate, check_header, check_vote, verify
from nodes.dagbft.messages import Certificate, Header, Vote

N = 4
NAMES = [f"v{number}" for number in range(N)]
IDENTITIES = [Identity.of(3, name) for name in NAMES]
ROSTER = Roster.of(3, NAMES, epoch=5, workers=2)
PARENTS = tuple(sorted(batch_digest(bytes([number])) for number in range(3)))
D = batch_digest(b"one")


def signed(header: Header, by: int | None = None) -> Header:
    signer = IDENTITIES[header.author if by is None else by]
    return replace(header, signature=signer.sign(header.id))


def vote_of(header: Header, voter: int, signer: int | None = None) -> Vote:
    digest = vote_digest(header.id, header.round, header.author)
    signature = IDENTITIES[voter if signer is None else signer].sign(digest)
    return Vote(header.id, header.round, header.author, voter, signature)


def certified(header: Header, voters: tuple[int, ...] = (0, 1, 3)) -> Certificate:
    return Certificate(header, tuple((voter, vote_of(header, voter).signature) for voter in voters))


PLAIN = Header(5, 2, 7, ((D, 1),), b"", PARENTS, ROSTER.committee.shard(2, 7), D, b"", 1, bytes(8), bytes(64))
HEADER = signed(PLAIN)


def test_identities_are_the_same_every_time_and_differ_by_name_and_seed() -> None:
    assert Identity.of(3, "v0").public == IDENTITIES[0].public
    assert len({Identity.of(seed, name).public for seed in range(3) for name in NAMES}) == 12
    assert "key" not in repr(IDENTITIES[0])


def test_signatures() -> None:
    signature = IDENTITIES[0].sign(D)
    assert verify(IDENTITIES[0].public, D, signature)
    assert not verify(IDENTITIES[1].public, D, signature)
    assert not verify(IDENTITIES[0].public, D[:-1] + b"\0", signature)
    assert not verify(IDENTITIES[0].public, D, bytes(64))
    assert not verify(b"short", D, signature)
    assert not verify(IDENTITIES[0].public, D, b"short")


def test_rfc_8032_test_1() -> None:
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert verify(public, b"", signature)
    assert not verify(public, b"x", signature)


def test_a_verifier_works_out_a_signature_once() -> None:
    verifier = Verifier()
    public, signature = IDENTITIES[0].public, IDENTITIES[0].sign(D)
    for _ in range(3):
        assert verifier.verify(public, D, signature)
    assert (verifier.checked, verifier.remembered) == (1, 2)
    assert not verifier.verify(IDENTITIES[1].public, D, signature)
    assert not verifier.verify(public, bytes(32), signature)
    assert verifier.checked == 3


def test_bad_signatures_push_no_good_ones_out() -> None:
    verifier = Verifier(most=2)
    public, signature = IDENTITIES[0].public, IDENTITIES[0].sign(D)
    verifier.verify(public, D, signature)
    for number in range(10):
        assert not verifier.verify(public, D, bytes([number]) * 64)
    assert verifier.verify(public, D, signature)
    assert verifier.remembered == 1
    for number in range(2):
        digest = batch_digest(bytes([number]))
        verifier.trust(public, digest, IDENTITIES[0].sign(digest))
    assert verifier.verify(public, D, signature)  # forgotten: worked out again
    assert verifier.remembered == 1


def test_a_good_header_vote_and_certificate() -> None:
    verifier = Verifier()
    assert check_header(HEADER, ROSTER, verifier) == ""
    for voter in (0, 1, 3):
        assert check_vote(vote_of(HEADER, voter), ROSTER, verifier) == ""
    assert verifier.checked == 4
    assert check_certificate(certified(HEADER), ROSTER, verifier) == ""
    assert verifier.checked == 4  # all seen before
    assert check_certificate(certified(HEADER, (0, 1, 2, 3)), ROSTER, verifier) == ""


def test_a_header_of_round_1_has_no_parents() -> None:
    first = replace(PLAIN, round=1, shard=ROSTER.committee.shard(2, 1), parents=())
    assert check_header(signed(first), ROSTER, Verifier()) == ""
    assert check_header(signed(replace(first, parents=PARENTS)), ROSTER, Verifier()) == "parents"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (signed(replace(PLAIN, epoch=6)), "epoch"),
        (replace(PLAIN, author=4), "author"),
        (signed(replace(PLAIN, round=0)), "round"),
        (signed(replace(PLAIN, shard=(PLAIN.shard + 1) % N)), "shard"),
        (signed(replace(PLAIN, payload=((D, 2),))), "worker"),
        (signed(replace(PLAIN, payload=((D, 0), (D, 1)))), "payload"),
        (signed(replace(PLAIN, parents=PARENTS[:2])), "parents"),
        (signed(replace(PLAIN, parents=(*PARENTS[:2], PARENTS[1]))), "parents"),
        (signed(replace(PLAIN, parents=PARENTS[::-1])), "parents"),
        (signed(replace(PLAIN, parents=tuple(sorted(batch_digest(bytes([each])) for each in range(5))))), "parents"),
        (signed(PLAIN, by=1), "signature"),
        (replace(HEADER, summary=bytes(32)), "signature"),
        (replace(HEADER, signature=bytes(64)), "signature"),
    ],
)
def test_headers_that_are_refused(header: Header, reason: str) -> None:
    verifier = Verifier()
    assert check_header(header, ROSTER, verifier) == reason
    assert check_certificate(Certificate(header, certified(HEADER).votes), ROSTER, verifier) == reason
    assert reason == "signature" or verifier.checked == 0  # the cheap reasons come first


@pytest.mark.parametrize(
    ("vote", "reason"),
    [
        (replace(vote_of(HEADER, 1), author=4), "author"),
        (replace(vote_of(HEADER, 1), voter=4), "voter"),
        (replace(vote_of(HEADER, 1), voter=0), "signature"),
        (replace(vote_of(HEADER, 1), round=8), "signature"),
        (vote_of(HEADER, 1, signer=0), "signature"),
    ],
)
def test_votes_that_are_refused(vote: Vote, reason: str) -> None:
    assert check_vote(vote, ROSTER, Verifier()) == reason


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        (certified(HEADER, (0, 1)), "few"),
        (certified(HEADER, (0, 1, 1)), "repeated"),
        (certified(HEADER, (1, 0, 3)), "repeated"),
        (replace(certified(HEADER), votes=(*certified(HEADER).votes, (4, bytes(64)))), "voter"),
        (replace(certified(HEADER), votes=(*certified(HEADER, (0, 1)).votes, (3, bytes(64)))), "vote"),
        (replace(certified(HEADER), header=signed(replace(PLAIN, coin_share=b"x"))), "vote"),
    ],
)
def test_certificates_that_are_refused(certificate: Certificate, reason: str) -> None:
    assert check_certificate(certificate, ROSTER, Verifier()) == reason


def test_a_roster_has_each_key_once() -> None:
    publics = ROSTER.publics
    with pytest.raises(ValueError, match="a public key twice; expected one for each validator"):
        Roster(0, (*publics, publics[0]))
    with pytest.raises(ValueError, match="public key of 3 bytes; expected 32"):
        Roster(0, (*publics, b"abc"))
    with pytest.raises(ValueError, match="3 validators; expected at least 4"):
        Roster(0, publics[:3])
