"""Random effects: shares within binomial bounds, streams that do not disturb each other, flips that receivers see."""

import pytest
from link_ends import KINDS, Setting, make_end
from made_packets import TCP, UDP, make, plain_sum, pseudo_sum
from oracle.packet_bytes import completed, destination, source

from emulator.link.stats import EndStats
from emulator.model.network import Effects, GilbertElliott, PiecewiseSchedule

pytestmark = pytest.mark.parametrize("kind", KINDS)
PACKET = make(4, UDP).data


def fates(kind, effects, loss=0.0, seed=1, name="a:b", count=20000, data=PACKET):
    """The end's counters, and the copies of each packet with their added delays."""
    end = make_end(kind, Setting(PiecewiseSchedule.constant(loss=loss), effects, name, seed))
    out = []
    for t in range(count):
        end.offer([(t, data, len(data) - 10, -1, 0, -1)])
        out.append([(packet.data, packet.at_s - t) for packet in end.due(t + 0.5)])
    return end.stats(), out


def within(observed, share, count, sigmas=4.5):
    return abs(observed - share * count) <= sigmas * (count * share * (1 - share)) ** 0.5


def transport_is_valid(data):
    at, protocol = (30, data[19]) if len(source(data)) == 4 else (50, data[16])
    pseudo = pseudo_sum(source(data), destination(data), protocol, len(data) - at)
    return plain_sum(pseudo.to_bytes(2, "big") + data[at:]) == 0xFFFF


def test_loss_and_duplication_are_within_binomial_bounds(kind):
    stats, out = fates(kind, Effects(duplicate=0.05), 0.1)
    lost = sum(not copies for copies in out)
    assert lost == stats[EndStats.DROP_LOSS]
    assert within(lost, 0.1, 20000)
    assert within(stats[EndStats.DUPLICATED], 0.05, 20000 - lost)
    assert sum(len(copies) == 2 for copies in out) == stats[EndStats.DUPLICATED]


def test_certain_and_impossible_loss(kind):
    assert all(not copies for copies in fates(kind, Effects(), 1.0, count=1000)[1])
    assert all(len(copies) == 1 for copies in fates(kind, Effects(), 0.0, count=1000)[1])


def test_burst_loss_has_the_share_and_length_of_its_chain(kind):
    _, out = fates(kind, Effects(burst_loss=GilbertElliott(0.01, 0.2)), count=40000)
    lost = [not copies for copies in out]
    assert 0.035 < sum(lost) / len(lost) < 0.062  # 0.01 / (0.01 + 0.2) = 0.0476
    bursts = sum(1 for before, now in zip([False, *lost], lost, strict=False) if now and not before)
    assert 4.2 < sum(lost) / bursts < 5.9  # 1 / 0.2 = 5


def test_equal_seeds_decide_alike_and_names_and_seeds_tell_streams_apart(kind):
    def some(**which):
        return fates(kind, Effects(duplicate=0.1, jitter_s=0.01), 0.1, count=2000, **which)[1]

    assert some() == some()
    assert some() != some(seed=2)
    assert some() != some(name="b:a")


def test_an_effect_does_not_change_the_decisions_of_another(kind):
    alone = [bool(copies) for copies in fates(kind, Effects(), 0.1)[1]]
    effects = Effects(duplicate=0.3, jitter_s=0.1, corrupt=0.5)
    assert alone == [bool(copies) for copies in fates(kind, effects, 0.1)[1]]


def test_corruption_flips_one_bit_beyond_the_header(kind):
    stats, out = fates(kind, Effects(corrupt=1.0), count=200)
    for [(copy, _)] in out:
        assert copy[:30] == PACKET[:30]
        different = int.from_bytes(copy, "big") ^ int.from_bytes(PACKET, "big")
        assert different.bit_count() == 1
    assert stats[EndStats.CORRUPTED] == 200


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("segment", [0, 400])
def test_corruption_completes_the_checksum_first_so_that_receivers_see_it(kind, version, segment):
    packet = make(version, TCP, bytes(range(256)), segment=segment, partial=True).data  # perhaps marked as merged
    _, [[(copy, _)]] = fates(kind, Effects(corrupt=1.0), count=1, data=packet)
    assert copy[0] == 0
    assert transport_is_valid(completed(make(version, TCP, bytes(range(256)), partial=True).data))
    assert not transport_is_valid(copy)


def test_corruption_leaves_a_packet_without_payload_alone(kind):
    for data in (bytes(10), PACKET[:30]):
        stats, out = fates(kind, Effects(corrupt=1.0), count=1, data=data)
        assert out == [[(data, 0.0)]]
        assert stats[EndStats.CORRUPTED] == 0


def test_jitter_is_uniform_from_zero_to_twice_its_mean(kind):
    added = [copies[0][1] for copies in fates(kind, Effects(jitter_s=0.01))[1]]
    assert 0 <= min(added) < 0.0001
    assert 0.0199 < max(added) <= 0.02 + 1e-9
    assert abs(sum(added) / len(added) - 0.01) < 0.0002
