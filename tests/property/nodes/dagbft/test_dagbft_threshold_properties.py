"""The threshold coin, whoever's shares come, in whatever order, and whatever bytes pretend to be one."""

from __future__ import annotations

from functools import cache

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.threshold import ORDER, SHARE_BYTES, ThresholdCoin

waves = st.integers(1, 2**62)
sizes = st.integers(4, 14)
REASONS = {"length", "point", "scalar", "proof"}


@cache
def coin(n: int, seed: int, me: int) -> ThresholdCoin:
    """A maker of shares. What judges shares is made anew."""
    return ThresholdCoin(Committee(n), seed, me)


@settings(max_examples=40)
@given(st.data(), sizes, st.integers(0, 2**64 - 1), waves)
def test_any_f_plus_1_shares_draw_the_same_and_fewer_draw_nothing(data: st.DataObject, n: int, seed: int, wave: int):
    enough = Committee(n).faults + 1
    drawn = set()
    for _ in range(2):
        authors = data.draw(st.permutations(range(n)))[: enough + 1]
        judge = ThresholdCoin(Committee(n), seed, authors[0])
        told = [judge.add(wave, author, coin(n, seed, author).wave_share(wave)) for author in authors]
        assert told[: enough - 1] == [None] * (enough - 1)
        assert told[enough:] == [None]
        drawn.add(told[enough - 1])
    assert len(drawn) == 1
    assert drawn <= set(range(n))


@settings(max_examples=30)
@given(sizes, st.integers(0, 20), waves)
def test_f_shares_interpolate_to_another_point(n: int, seed: int, wave: int):
    faults = Committee(n).faults
    points = {author: coin(n, seed, author).wave_share(wave)[:32] for author in range(faults + 2)}
    combine = coin(n, seed, 0)._combine
    every = [combine({a: p for a, p in points.items() if a != left_out}) for left_out in points]
    assert len(set(every)) == 1
    few = [combine({a: points[a] for a in range(start, start + faults)}) for start in range(3)]
    assert len({*few, every[0]}) == 4


@settings(max_examples=60)
@given(st.integers(0, 8 * SHARE_BYTES - 1), st.integers(0, 3), st.integers(1, 50))
def test_a_share_with_one_bit_changed_is_refused(bit: int, author: int, wave: int):
    share = int.from_bytes(coin(4, 7, author).wave_share(wave), "big") ^ 1 << bit
    judge = ThresholdCoin(Committee(4), 7, 0)
    assert judge.add(wave, author, share.to_bytes(SHARE_BYTES, "big")) is None
    assert judge.refused.total() == 1
    assert set(judge.refused) <= REASONS


parts = st.tuples(
    st.one_of(st.binary(min_size=32, max_size=32), st.integers(0, 30).map(lambda y: y.to_bytes(32, "little"))),
    st.one_of(st.binary(min_size=16, max_size=16), st.just(bytes(16))),
    st.integers(0, 2 * ORDER).map(lambda z: z.to_bytes(32, "little")),
).map(b"".join)


@settings(max_examples=150)
@given(st.one_of(st.binary(max_size=2 * SHARE_BYTES), parts), st.integers(-5, 8), st.integers(-3, 2**62))
@example(bytes(SHARE_BYTES), 0, 1)
def test_whatever_bytes_come_are_refused_with_a_reason(share: bytes, author: int, wave: int):
    judge = coin(4, 7, 0)
    assert judge.check(wave, author, share) in REASONS | {"wave", "author"}


@settings(max_examples=25)
@given(st.data(), st.sampled_from([4, 7, 10]), st.integers(1, 1000))
def test_up_to_f_liars_change_nothing(data: st.DataObject, n: int, wave: int):
    """Shares of liars, of other validators, waves and seeds, among those of q - f honest ones."""
    committee = Committee(n)
    order = data.draw(st.permutations(range(n)))[: committee.quorum]
    liars = set(data.draw(st.permutations(order))[: committee.faults])
    judge, honest = ThresholdCoin(committee, 1, 0), ThresholdCoin(committee, 1, 0)
    told = []
    for author in order:
        share = coin(n, 1, author).wave_share(wave)
        if author in liars:
            lie = data.draw(st.sampled_from(["other", "wave", "seed", "cut"]))
            share = {
                "other": coin(n, 1, (author + 1) % n).wave_share(wave),
                "wave": coin(n, 1, author).wave_share(wave + 1),
                "seed": coin(n, 2, author).wave_share(wave),
                "cut": share[:-1],
            }[lie]
        told.append(judge.add(wave, author, share))
    for author in range(committee.faults + 1):
        expected = honest.add(wave, author, coin(n, 1, author).wave_share(wave))
    assert [value for value in told if value is not None] == [expected]
    assert judge.refused.total() <= len(liars)
