"""Random effects: shares within binomial bounds, streams that do not disturb each other, flips that receivers see."""

from test_link_packet import tcp, transport_is_valid, udp

from emulator.link.effects import Impairments
from emulator.link.packet import completed
from emulator.network import Effects, GilbertElliott


def fates(effects, loss=0.0, seed=1, name="a:b", count=20000):
    chain = Impairments(effects, seed, name)
    return chain, [chain.copies(udp(), loss) for _ in range(count)]


def within(observed, share, count, sigmas=4.5):
    return abs(observed - share * count) <= sigmas * (count * share * (1 - share)) ** 0.5


def test_loss_and_duplication_are_within_binomial_bounds():
    chain, out = fates(Effects(duplicate=0.05), 0.1)
    lost = sum(not copies for copies in out)
    assert within(lost, 0.1, 20000)
    assert within(chain.duplicated, 0.05, 20000 - lost)
    assert sum(len(copies) == 2 for copies in out) == chain.duplicated


def test_certain_and_impossible_loss():
    assert all(not copies for copies in fates(Effects(), 1.0, count=1000)[1])
    assert all(len(copies) == 1 for copies in fates(Effects(), 0.0, count=1000)[1])


def test_burst_loss_has_the_share_and_length_of_its_chain():
    _, out = fates(Effects(burst_loss=GilbertElliott(0.01, 0.2)), count=100000)
    lost = [not copies for copies in out]
    assert 0.035 < sum(lost) / len(lost) < 0.062  # 0.01 / (0.01 + 0.2) = 0.0476
    bursts = sum(1 for before, now in zip([False, *lost], lost, strict=False) if now and not before)
    assert 4.2 < sum(lost) / bursts < 5.9  # 1 / 0.2 = 5


def test_equal_seeds_decide_alike_and_names_and_seeds_tell_streams_apart():
    effects = Effects(duplicate=0.1, jitter_s=0.01)
    assert fates(effects, 0.1)[1] == fates(effects, 0.1)[1]
    assert fates(effects, 0.1)[1] != fates(effects, 0.1, seed=2)[1]
    assert fates(effects, 0.1)[1] != fates(effects, 0.1, name="b:a")[1]


def test_an_effect_does_not_change_the_decisions_of_another():
    alone = [bool(copies) for copies in fates(Effects(), 0.1)[1]]
    together = [bool(copies) for copies in fates(Effects(duplicate=0.3, jitter_s=0.1, corrupt=0.5), 0.1)[1]]
    assert alone == together


def test_corruption_flips_one_bit_beyond_the_header():
    chain = Impairments(Effects(corrupt=1.0), 1, "a:b")
    for _ in range(200):
        [(copy, _)] = chain.copies(udp(), 0.0)
        assert copy[:30] == udp()[:30]
        different = int.from_bytes(copy, "big") ^ int.from_bytes(udp(), "big")
        assert different.bit_count() == 1
    assert chain.corrupted == 200


def test_corruption_completes_the_checksum_first_so_that_receivers_see_it():
    chain = Impairments(Effects(corrupt=1.0), 1, "a:b")
    for version in (4, 6):
        packet = tcp(300, 0, version)
        [(copy, _)] = chain.copies(packet, 0.0)
        assert copy[0] == 0
        assert transport_is_valid(completed(packet))
        assert not transport_is_valid(copy)


def test_corruption_leaves_a_packet_without_payload_alone():
    chain = Impairments(Effects(corrupt=1.0), 1, "a:b")
    for data in (bytes(10), udp()[:30]):
        assert chain.copies(data, 0.0) == [(data, 0.0)]
    assert chain.corrupted == 0


def test_jitter_is_uniform_from_zero_to_twice_its_mean():
    added = [copies[0][1] for copies in fates(Effects(jitter_s=0.01))[1]]
    assert 0 <= min(added) < 0.0001
    assert 0.0199 < max(added) <= 0.02
    assert abs(sum(added) / len(added) - 0.01) < 0.0002
