"""The light client: steps, bisection, and what makes it refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from light_chain import INTERVAL_NS, LightChain, time_ns, validator

from nodes.ibc.comet import light
from nodes.ibc.comet.commits import CommitError, SignatureCache, verify_commit, verify_commit_trusting
from nodes.ibc.comet.light import Bisection, LightBlock, LightError, NotEnoughTrust, Policy
from nodes.ibc.proto.comet import BlockIDFlag, CommitSig, SignedHeader
from nodes.ibc.proto.ibc import Fraction

POLICY = Policy(trusting_period_ns=1000 * INTERVAL_NS)
NOW_NS = time_ns(200)


def steady(height: int) -> range:
    return range(4)


def turning(height: int) -> range:
    """Each height one of four validators is another one; after four heights, all are."""
    return range(height, height + 4)


def verify(chain: LightChain, trusted: int, signed: SignedHeader, now_ns: int = NOW_NS) -> None:
    header = signed.header
    assert header is not None
    validators = chain.validators(header.height)
    light.verify(chain.trusted(trusted), signed, validators, POLICY, now_ns, SignatureCache())


def test_next_and_later_blocks_follow_where_validators_stay() -> None:
    chain = LightChain(steady)
    for height in (11, 12, 100):
        verify(chain, 10, chain.block(height).signed)


def test_a_gap_is_too_wide_where_all_validators_changed() -> None:
    chain = LightChain(turning)
    verify(chain, 10, chain.block(11).signed)
    verify(chain, 10, chain.block(13).signed)  # two of the four that are trusted
    for height in (14, 15, 100):  # one, which is less than a third; then none
        with pytest.raises(NotEnoughTrust):
            verify(chain, 10, chain.block(height).signed)


def test_trust_must_exceed_its_level() -> None:
    chain = LightChain(lambda height: range(3) if height < 20 else range(2, 5))
    with pytest.raises(NotEnoughTrust):  # one of three is no more than a third
        verify(chain, 10, chain.block(30).signed)


def test_full_turnover_forces_bisection() -> None:
    chain = LightChain(turning)
    search = Bisection(chain.trusted(1), 65, POLICY, SignatureCache())
    asked = []
    while search.wanted is not None:
        asked.append(search.wanted)
        search.show(chain.block(search.wanted), NOW_NS)
    path = [block.header.height for block in search.path]
    assert asked[:3] == [65, 33, 17]
    assert path == sorted(path)
    assert path[-1] == 65
    assert all(after - before <= 4 for before, after in zip([1, *path], path, strict=False))
    assert search.trusted == chain.trusted(65)


def test_bisection_goes_to_the_target_at_once_where_validators_stay() -> None:
    chain = LightChain(steady)
    search = Bisection(chain.trusted(1), 150, POLICY, SignatureCache())
    search.show(chain.block(150), NOW_NS)
    assert search.wanted is None
    assert [block.header.height for block in search.path] == [150]


def test_bisection_takes_the_block_that_it_asked_for() -> None:
    chain = LightChain(steady)
    search = Bisection(chain.trusted(1), 150, POLICY, SignatureCache())
    with pytest.raises(LightError, match="block 149"):
        search.show(chain.block(149), NOW_NS)
    with pytest.raises(LightError, match="after the trusted"):
        Bisection(chain.trusted(7), 7, POLICY, SignatureCache())


def test_next_validators_must_be_those_of_the_header() -> None:
    chain = LightChain(turning)
    block = chain.block(5)
    with pytest.raises(LightError, match="next validators"):
        LightBlock.of(block.signed, block.validators, block.validators).trusted()


def test_two_thirds_of_its_own_validators_are_not_enough() -> None:
    chain = LightChain(lambda height: range(3))
    signed = chain.signed(chain.header(11), signers=lambda index: index < 2)
    with pytest.raises(LightError, match="power 20 of 30"):
        verify(chain, 10, signed)


@pytest.mark.parametrize("height", [9, 10])
def test_height_must_grow(height: int) -> None:
    chain = LightChain(steady)
    with pytest.raises(LightError, match="after the trusted 10"):
        verify(chain, 10, chain.block(height).signed)


def test_trust_ends_with_its_period_to_the_nanosecond() -> None:
    chain = LightChain(steady)
    end_ns = time_ns(10) + POLICY.trusting_period_ns
    verify(chain, 10, chain.block(12).signed, now_ns=end_ns - 1)
    with pytest.raises(LightError, match="trusted for"):
        verify(chain, 10, chain.block(12).signed, now_ns=end_ns)


def test_a_block_from_the_future_is_refused_beyond_the_drift() -> None:
    chain = LightChain(steady)
    edge_ns = time_ns(50) - POLICY.clock_drift_ns
    verify(chain, 10, chain.block(50).signed, now_ns=edge_ns + 1)
    with pytest.raises(LightError, match="before"):
        verify(chain, 10, chain.block(50).signed, now_ns=edge_ns)


def test_a_later_block_must_be_later() -> None:
    chain = LightChain(steady)
    header = replace(chain.header(12), time=chain.header(10).time)
    with pytest.raises(LightError, match="after"):
        verify(chain, 10, chain.signed(header))


def test_commit_for_another_header_is_refused() -> None:
    chain = LightChain(steady)
    with pytest.raises(LightError, match="one for this header"):
        verify(chain, 10, SignedHeader(chain.header(12, app_hash=bytes(32)), chain.block(12).signed.commit))
    with pytest.raises(LightError, match="without header or commit"):
        verify(chain, 10, SignedHeader(chain.header(12)))


def test_another_chain_is_refused() -> None:
    mine, other = LightChain(steady), LightChain(steady, "other-1")
    with pytest.raises(LightError, match="chain 'other-1'"):
        verify(mine, 10, other.block(12).signed)


def test_a_validator_counts_once() -> None:
    chain = LightChain(lambda height: range(3) if height < 12 else (0, 10, 11, 12))
    signed = chain.block(13).signed
    commit = signed.commit
    assert commit is not None
    known = next(each for each in commit.signatures if each.validator_address == validator(0).address)
    entries = (known, *commit.signatures[1:-1], known)
    with pytest.raises(CommitError, match="signed twice"):  # else its power would be 20 of 30
        verify_commit_trusting(
            chain.chain_id, chain.validators(10), replace(commit, signatures=entries), Fraction(1, 3), SignatureCache()
        )


def test_the_next_block_must_be_signed_by_those_that_were_announced() -> None:
    mine, other = LightChain(steady), LightChain(lambda height: range(50, 54))
    with pytest.raises(LightError, match="validators"):
        light.verify(mine.trusted(10), other.block(11).signed, other.validators(11), POLICY, NOW_NS, SignatureCache())


def test_a_commit_has_an_entry_for_each_validator() -> None:
    chain = LightChain(steady)
    commit = chain.block(9).signed.commit
    assert commit is not None
    for entries in (commit.signatures[:-1], (*commit.signatures, commit.signatures[0])):
        with pytest.raises(CommitError, match="one for each validator"):
            verify_commit(chain.chain_id, chain.validators(9), replace(commit, signatures=entries), SignatureCache())


def test_votes_for_nothing_do_not_count() -> None:
    chain = LightChain(steady)
    signed = chain.block(12).signed
    commit = signed.commit
    assert commit is not None
    entries = tuple(replace(each, block_id_flag=BlockIDFlag.NIL) for each in commit.signatures)
    with pytest.raises(LightError, match="power 0 of 40"):
        verify(chain, 10, SignedHeader(signed.header, replace(commit, signatures=entries)))


def test_validators_must_have_the_addresses_of_their_keys() -> None:
    chain = LightChain(steady)
    first, *others = chain.validators(12)
    forged = (replace(first, address=bytes(20)), *others)
    with pytest.raises(LightError, match="address of its key"):
        light.verify(chain.trusted(10), chain.block(12).signed, forged, POLICY, NOW_NS, SignatureCache())


def test_trust_level_is_the_policy_s() -> None:
    chain = LightChain(turning)
    strict = Policy(POLICY.trusting_period_ns, Fraction(2, 3))
    light.verify(chain.trusted(10), chain.block(12).signed, chain.validators(12), strict, NOW_NS, SignatureCache())
    with pytest.raises(NotEnoughTrust):
        light.verify(chain.trusted(10), chain.block(13).signed, chain.validators(13), strict, NOW_NS, SignatureCache())


def test_checking_stops_early_and_remembers() -> None:
    chain = LightChain(lambda height: range(86))
    block, cache = chain.block(20), SignatureCache()
    for _ in range(2):
        light.verify(chain.trusted(10), block.signed, block.validators, POLICY, NOW_NS, cache)
        assert cache.verified == 58  # 580 of 860 exceed two thirds; the 29 for the trust level are among them


def test_the_cache_forgets_the_oldest_and_no_wrong_signature() -> None:
    chain, cache = LightChain(steady), SignatureCache(most=2)
    commit = chain.block(9).signed.commit
    assert commit is not None
    verify_commit(chain.chain_id, chain.validators(9), commit, cache)
    verify_commit(chain.chain_id, chain.validators(9), commit, cache)
    assert cache.verified == 6
    first = commit.signatures[0]
    wrong = CommitSig(first.block_id_flag, first.validator_address, first.timestamp, bytes(64))
    broken = replace(commit, signatures=(wrong, *commit.signatures[1:]))
    for _ in range(2):
        with pytest.raises(CommitError, match="signature 0"):
            verify_commit(chain.chain_id, chain.validators(9), broken, cache)


def test_conflicts_of_headers() -> None:
    chain = LightChain(steady)
    header = chain.header(10)
    assert light.conflict(header, header) is None
    assert light.conflict(header, chain.header(11)) is None
    assert light.conflict(header, chain.header(10, app_hash=bytes(32))) == "two blocks of height 10"
    late = replace(header, time=chain.header(11).time)
    assert light.conflict(late, chain.header(11)) == "block 11 is not later than block 10"
