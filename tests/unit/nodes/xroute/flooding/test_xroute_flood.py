"""Flooding: what goes where, how often, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from xroute_flood import QUICK, START_MS, Net, chain_ad, edge_ad, key_of

from emulator.model.errors import Unfit
from nodes.xroute.flooding.ads import (
    AdvertisementError,
    ChainAd,
    ClientStatus,
    EdgeAd,
    EdgeClaims,
    issued,
    read,
)
from nodes.xroute.flooding.convergence import convergence_s
from nodes.xroute.flooding.database import Database, Evidence, Verdict
from nodes.xroute.flooding.equivocation import AdKind, Equivocation, origin_of_evidence, verify_equivocation
from nodes.xroute.flooding.flood import Flooding, Settings
from nodes.xroute.flooding.pace import TokenBucket
from nodes.xroute.flooding.wire import Acknowledged, Digests, Flood, FloodCodec, Flooded, Listing, Mark
from nodes.xroute.keys import Key

A, B = key_of("a"), key_of("b")
EDGE = replace(edge_ad("osmosis", "juno"), max_age_s=60)
STAKES = {A.public: 10, B.public: 10}


def first(key: Key = A, seq: int = 1, at_ms: int = START_MS, **changes: object) -> EdgeAd:
    made = issued(replace(EDGE, **changes), key, seq, at_ms).ad  # type: ignore[arg-type]
    assert isinstance(made, EdgeAd)
    return made


def offer(database: Database, ad: EdgeAd | ChainAd, now_ms: int = START_MS) -> Verdict:
    return database.offer(read(type(ad), ad.encode()), now_ms)


# Advertisements


@pytest.mark.parametrize(
    "change",
    [
        {"verifier": b"short"}, {"tracked": EDGE.verifier}, {"client_id": "x"}, {"max_age_s": 0},
        {"max_age_s": 3601}, {"origin": b""}, {"seq": 0}, {"signature": b""},
    ],
)  # fmt: skip
def test_an_advertisement_is_well_formed(change: dict[str, object]) -> None:
    with pytest.raises(AdvertisementError):
        read(EdgeAd, replace(first(), **change).encode())  # type: ignore[arg-type]


def test_an_advertisement_has_one_encoding_and_a_size() -> None:
    with pytest.raises(AdvertisementError, match="only fields"):
        read(EdgeAd, first().encode() + b"\xa8\x01\x01")
    with pytest.raises(AdvertisementError, match="at most 32768"):
        read(EdgeAd, bytes(40_000))


@pytest.mark.parametrize("change", [{"status": ClientStatus.FROZEN}, {"claims": EdgeClaims(rtt_ms=1)}, {"seq": 9}])
def test_a_signature_is_of_the_whole(change: dict[str, object]) -> None:
    signed = first()
    assert read(EdgeAd, signed.encode()).is_signed()
    assert not read(EdgeAd, replace(signed, **change).encode()).is_signed()  # type: ignore[arg-type]


# The database


def test_the_newest_seq_wins_whatever_comes_first() -> None:
    database = Database(STAKES)
    assert offer(database, first(seq=2)) is Verdict.NEW
    assert offer(database, first(seq=1)) is Verdict.OLDER
    assert offer(database, first(seq=2)) is Verdict.SAME
    assert offer(database, first(seq=3), START_MS + 600) is Verdict.NEW
    assert [each.ad.seq for each in database.advertisements()] == [3]
    assert offer(database, first(B)) is Verdict.NEW
    assert len(database) == 2


def test_what_is_too_old_or_too_new_is_refused() -> None:
    database = Database(STAKES)
    assert offer(database, first(at_ms=START_MS + 5_001)) is Verdict.FUTURE
    assert offer(database, first(at_ms=START_MS + 5_000)) is Verdict.NEW
    assert offer(database, first(B, at_ms=START_MS - 60_000)) is Verdict.EXPIRED
    assert offer(database, first(B, at_ms=START_MS - 59_999)) is Verdict.NEW
    database.expire(START_MS + 1)
    assert [each.ad.origin for each in database.advertisements()] == [A.public]


def test_origins_have_stake_and_sign() -> None:
    stakes = dict(STAKES)
    database = Database(stakes)
    assert offer(database, first(Key.named("nobody"))) is Verdict.NO_STAKE
    assert offer(database, replace(first(), signature=bytes(64))) is Verdict.FORGED
    assert offer(database, first()) is Verdict.NEW
    stakes[A.public] = 0
    assert database.expire(START_MS) == 1
    assert len(database) == 0


def test_versions_of_a_subject_do_not_come_faster_than_half_a_second() -> None:
    database = Database(STAKES)
    offer(database, first(seq=1))
    assert offer(database, first(seq=2), START_MS + 499) is Verdict.TOO_SOON
    assert offer(database, first(seq=2), START_MS + 500) is Verdict.NEW


def test_an_origin_has_so_many_subjects_the_same_ones_in_any_order() -> None:
    ads = [first(client_id=f"07-tendermint-{number}") for number in range(12)]
    one, other = Database(STAKES, 4), Database(STAKES, 4)
    verdicts = [offer(one, ad) for ad in ads]
    for ad in reversed(ads):
        offer(other, ad)
    assert Verdict.FULL in verdicts
    assert len(one) == len(other) == 4
    assert one.digests() == other.digests()


def test_equal_seq_with_different_bytes_is_evidence_that_anybody_can_check() -> None:
    database = Database(STAKES)
    offer(database, first())
    offer(database, first(client_id="07-tendermint-1"))
    offer(database, first(B))
    assert offer(database, replace(first(delay_s=5), signature=bytes(64))) is Verdict.FORGED
    assert offer(database, first(delay_s=5)) is Verdict.EVIDENCE
    (evidence,) = database.evidence()
    assert verify_equivocation(evidence.equivocation) == A.public
    assert [each.ad.origin for each in database.advertisements()] == [B.public]
    assert offer(database, first(seq=9)) is Verdict.ACCUSED
    again = Equivocation.of(read(EdgeAd, first(delay_s=6).encode()), read(EdgeAd, first(delay_s=5).encode()))
    assert not database.accuse(Evidence.of(again))


def test_nobody_is_accused_who_signed_no_seq_twice() -> None:
    one, later, other = (read(EdgeAd, ad.encode()) for ad in (first(), first(seq=2), first(delay_s=5)))
    elsewhere = read(EdgeAd, first(client_id="07-tendermint-1").encode())
    of_other = read(EdgeAd, first(B).encode())
    unsigned = read(EdgeAd, replace(first(delay_s=5), signature=bytes(64)).encode())
    for second in (later, elsewhere, of_other, unsigned):
        with pytest.raises(AdvertisementError):
            verify_equivocation(Equivocation.of(one, second))
    good = Equivocation.of(one, other)
    assert verify_equivocation(good) == origin_of_evidence(good.encode()) == A.public
    with pytest.raises(AdvertisementError):
        origin_of_evidence(b"\x09")
    for bad in (
        replace(good, one=good.other, other=good.one), replace(good, other=good.one), replace(good, kind=AdKind.CHAIN),
        replace(good, kind=AdKind.UNKNOWN), replace(good, one=b"", other=b"\x00"),
    ):  # fmt: skip
        with pytest.raises(AdvertisementError):
            verify_equivocation(bad)


# Neighbours


def pair(**given: object) -> Net:
    return Net("ab", [("a", "b")], **given)  # type: ignore[arg-type]


def test_an_entry_is_said_once_and_acknowledged() -> None:
    net = Net("abc", [("a", "b"), ("b", "c")])
    net.announce("a", EDGE)
    net.run(1_500)
    assert net.converged()
    assert [net.relayers[name].counts["sent"] for name in "abc"] == [1, 1, 0]
    assert all(net.relayers[name].unacknowledged == 0 for name in "abc")
    assert all(net.relayers[name].counts["sent_again"] == 0 for name in "abc")


def test_what_is_not_acknowledged_is_said_again() -> None:
    net = pair()
    net.run(100)
    net.loss = 1.0
    net.announce("a", EDGE)
    net.run(1_400)
    assert net.relayers["a"].counts["sent_again"] == 2
    net.loss = 0.0
    net.run(600)
    assert net.converged()


def test_a_neighbour_that_comes_later_is_told_what_it_lacks_and_no_more() -> None:
    net = pair()
    net.partition("a")
    for number in range(40):
        net.announce("a", replace(EDGE, client_id=f"07-tendermint-{number}"))
    net.announce("b", EDGE)
    net.run(3_000)
    net.heal()
    net.run(1_000)
    assert net.converged()
    assert len(net.held("b")) == 41
    sent = net.relayers["a"].counts["sent"]
    net.announce("a", replace(EDGE, delay_s=3))
    net.run(1_000)
    net.partition("a")
    net.run(2_000)
    net.heal()
    net.run(1_000)
    assert net.relayers["a"].counts["sent"] == sent + 1


def test_who_has_an_older_version_is_told_the_newer_one() -> None:
    newer = Flooding(B, STAKES, QUICK)
    newer.connected("a", START_MS)
    newer.receive("a", Flood((Flooded(edge=first(seq=2).encode()),)), START_MS)
    newer.take()
    newer.receive("a", Flood((Flooded(edge=first(seq=1).encode()),)), START_MS)
    said = [message for _, message in newer.take()]
    assert Flood((Flooded(edge=first(seq=2).encode()),)) in said
    assert any(isinstance(each, Acknowledged) and each.marks[0].seq == 1 for each in said)


def test_a_version_is_renewed_at_half_of_its_age_and_at_once_on_a_change() -> None:
    net = pair()
    net.announce("a", EDGE)
    net.run(29_000)
    (held,) = net.relayers["b"].database.advertisements()
    assert held.ad.issued_at_ms == START_MS
    net.announce("a", replace(EDGE, latest_time_ns=10))  # told with the next version
    net.run(500)
    (held,) = net.relayers["b"].database.advertisements()
    assert held.ad.issued_at_ms == START_MS
    net.run(1_000)
    (held,) = net.relayers["b"].database.advertisements()
    assert isinstance(held.ad, EdgeAd)
    assert START_MS + 30_000 <= held.ad.issued_at_ms < START_MS + 30_200
    assert held.ad.latest_time_ns == 10
    net.run(5_000)
    net.announce("a", replace(EDGE, status=ClientStatus.FROZEN))
    net.run(100)
    (held,) = net.relayers["b"].database.advertisements()
    assert isinstance(held.ad, EdgeAd)
    assert held.ad.status is ClientStatus.FROZEN


def test_other_claims_are_said_now_and_then() -> None:
    net = pair()
    for number in range(58):
        net.announce("a", replace(EDGE, claims=EdgeClaims(rtt_ms=number)))
        net.run(500)
    assert net.relayers["a"].counts["issued"] == 3  # after 0, 10 and 20 s
    (held,) = net.relayers["b"].database.advertisements()
    assert held.ad.claims == EdgeClaims(rtt_ms=39)


def test_changes_are_said_once_a_second_at_most() -> None:
    net = pair()
    for number in range(9):
        net.announce("a", replace(EDGE, delay_s=number))
        net.run(100)
    assert net.relayers["a"].counts["issued"] == 1
    net.run(500)
    assert net.relayers["a"].counts["issued"] == 2
    (held,) = net.relayers["b"].database.advertisements()
    assert isinstance(held.ad, EdgeAd)
    assert held.ad.delay_s == 8


def test_a_relayer_that_forgot_all_goes_on_above_what_it_said() -> None:
    net = pair()
    net.announce("a", EDGE)
    net.run(2_000)
    (before,) = net.relayers["b"].database.advertisements()
    again = net.restart("a")
    again.announce(replace(EDGE, delay_s=7), net.now_ms - 20_000)  # its clock is behind, so that it is no help
    net.run(3_000)
    (held,) = net.relayers["b"].database.advertisements()
    assert isinstance(held.ad, EdgeAd)
    assert held.ad.delay_s == 7
    assert held.ad.seq > before.ad.seq
    assert net.converged()
    assert not list(net.relayers["b"].database.evidence())


def test_what_its_origin_no_longer_says_is_forgotten_everywhere() -> None:
    net = pair()
    net.announce("a", EDGE)
    net.run(1_000)
    net.restart("a")
    net.run(60_000)
    assert net.held("a") == net.held("b") == {}


def test_refusals_are_counted_by_reason_and_neighbour() -> None:
    relayer = Flooding(B, STAKES, QUICK)
    relayer.receive("a", Acknowledged(), START_MS)
    relayer.connected("a", START_MS)
    entries = (
        Flooded(edge=b"\x08"), Flooded(), Flooded(evidence=Equivocation(AdKind.EDGE, b"a", b"b").encode()),
        Flooded(edge=first(Key.named("nobody")).encode()), Flooded(edge=first(at_ms=START_MS + 9_000).encode()),
        Flooded(edge=replace(first(), delay_s=1).encode()),
    )  # fmt: skip
    relayer.receive("a", Flood(entries), START_MS)
    relayer.receive("a", Digests(b"short"), START_MS)
    relayer.receive("a", Listing(b"\x01", (Mark(b"unknown", 7),)), START_MS)
    assert relayer.refused == {
        ("not connected", "a"): 1, ("malformed", "a"): 4, ("origin without stake", "a"): 1,
        ("issued in the future", "a"): 1, ("not signed by its origin", "a"): 1,
    }  # fmt: skip
    assert len(relayer.database) == 0


def test_a_neighbour_that_says_too_much_is_not_heard() -> None:
    relayer = Flooding(B, STAKES, replace(QUICK, rate_bytes_per_s=1_000, burst_bytes=65_536))
    relayer.connected("a", START_MS)
    for _ in range(100):
        relayer.receive("a", Digests(bytes(2048)), START_MS)
    assert relayer.refused["too much", "a"] == 100 - 131_072 // len(Digests(bytes(2048)).encode())


def test_what_is_said_is_paced() -> None:
    net = pair(settings=replace(QUICK, rate_bytes_per_s=20_000, burst_bytes=65_536))
    fat = {"counterparty_client_id": "x" * 10_000}
    for number in range(20):
        net.announce("a", replace(EDGE, client_id=f"07-tendermint-{number}", **fat))  # type: ignore[arg-type]
    net.run(1_000)
    assert 5 <= len(net.held("b")) <= 10
    took_ms = net.until(net.converged)
    assert 5_000 < took_ms < 12_000
    assert not net.relayers["b"].refused


def test_evidence_reaches_all_and_ends_the_origins_entries() -> None:
    net = Net("abc", [("a", "b"), ("b", "c")])
    net.announce("a", EDGE)
    net.run(500)
    (held,) = net.relayers["c"].database.advertisements()
    twin = issued(replace(EDGE, delay_s=9), A, held.ad.seq, held.ad.issued_at_ms)
    net.relayers["c"].receive("b", Flood((Flooded(edge=twin.data),)), net.now_ms)
    net.post("c")
    net.run(300)
    for name in "abc":
        assert net.held(name) == {}
        assert [each.origin for each in net.relayers[name].database.evidence()] == [A.public]
    assert net.converged()
    net.announce("a", replace(EDGE, delay_s=10))
    net.run(2_000)
    assert net.held("c") == {}


def test_who_hears_an_accused_origin_tells_the_evidence() -> None:
    relayer = Flooding(B, STAKES, QUICK)
    one, other = (read(EdgeAd, ad.encode()) for ad in (first(), first(delay_s=5)))
    evidence = Equivocation.of(one, other)
    relayer.connected("a", START_MS)
    relayer.database.accuse(Evidence.of(evidence))
    relayer.take()
    relayer.receive("a", Flood((Flooded(edge=first(seq=7).encode()),)), START_MS)
    assert ("a", Flood((Flooded(evidence=evidence.encode()),))) in relayer.take()


def test_a_token_bucket_lets_no_more_through_than_it_says() -> None:
    bucket = TokenBucket(1_000, 500, 0)
    assert bucket.spend(500, 0)
    assert not bucket.spend(1, 0)
    assert not bucket.spend(101, 100)
    assert bucket.spend(100, 100)
    assert bucket.spend(500, 10_000)
    assert not bucket.spend(1, 10_000)
    assert not bucket.spend(1, 5_000)  # a clock that goes back gives nothing, nor when it comes again
    assert not bucket.spend(1, 10_000)


@pytest.mark.parametrize(
    "given",
    [{"max_age_s": 1}, {"max_age_s": 9999}, {"burst_bytes": 10}, {"rate_bytes_per_s": 0}, {"retransmit_ms": 0},
     {"claims_ms": 0}, {"resync_ms": 0}, {"most_of_origin": 0}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(given: dict[str, int]) -> None:
    with pytest.raises(Unfit):
        Settings(**given)


def test_the_codec_refuses_what_is_no_message() -> None:
    codec = FloodCodec()
    for message in (Digests(bytes(2048)), Listing(b"\x00"), Flood(), Acknowledged((Mark(b"k", 1),))):
        assert codec.decode(codec.encode(message)) == message
    for data in (b"", b"\x09", b"\x00\xff", bytes(70_000)):
        with pytest.raises(ValueError, match="expected"):
            codec.decode(data)
    with pytest.raises(ValueError, match="at most"):
        codec.encode(Digests(bytes(70_000)))
    assert set(codec.limits([Flood])) == {2}


def test_chains_are_advertised_too() -> None:
    net = pair()
    net.announce("a", chain_ad("osmosis"))
    net.run(500)
    (held,) = net.relayers["b"].database.advertisements()
    assert isinstance(held.ad, ChainAd)
    net.announce("a", chain_ad("osmosis", transit_policy=b"\x08\x01"))
    net.run(1_000)
    (held,) = net.relayers["b"].database.advertisements()
    assert isinstance(held.ad, ChainAd)
    assert held.ad.transit_policy == b"\x08\x01"


def test_a_digest_tells_versions_apart() -> None:
    one, other = Database(STAKES), Database(STAKES)
    offer(one, first(seq=1))
    offer(other, first(seq=2))
    assert one.digests() != other.digests()
    offer(one, first(seq=2), START_MS + 1_000)
    assert one.digests() == other.digests()
    twin = Database(STAKES)
    offer(twin, first(seq=2, delay_s=5))
    assert twin.digests() != other.digests()


def heard(*ads: EdgeAd) -> Flooding:
    """A relayer that has heard some advertisements from b, and has a for a neighbour, too."""
    relayer = Flooding(key_of("c"), STAKES, QUICK)
    relayer.connected("b", START_MS)
    relayer.receive("b", Flood(tuple(Flooded(edge=ad.encode()) for ad in ads)), START_MS)
    relayer.connected("a", START_MS)
    relayer.take()
    return relayer


def test_only_what_differs_is_listed() -> None:
    relayer = heard(first())
    digests = bytearray(relayer.database.digests())
    relayer.receive("a", Digests(bytes(digests)), START_MS)
    assert relayer.take() == []
    digests[0] ^= 1
    relayer.receive("a", Digests(bytes(digests)), START_MS)
    assert [message for _, message in relayer.take()] == [Listing(b"\x00", tuple(relayer.database.marks(0)))]


def test_a_listing_is_answered_with_what_it_lacks() -> None:
    relayer = heard(first(seq=5))
    (entry,) = relayer.database.advertisements()
    bucket, (mark,) = entry.key[:1], relayer.database.marks(entry.key[0])
    told = ("a", Flood((Flooded(edge=entry.data),)))
    for theirs in ((), (replace(mark, seq=4),), (replace(mark, digest=b"x"),)):
        relayer = heard(first(seq=5))
        relayer.receive("a", Listing(bucket, theirs), START_MS)
        assert relayer.take() == [told]
    for theirs in ((mark,), (replace(mark, seq=6),)):
        relayer = heard(first(seq=5))
        relayer.receive("a", Listing(bucket, theirs), START_MS)
        assert relayer.take() == []


def test_an_acknowledgement_is_of_one_version() -> None:
    relayer = heard()
    relayer.receive("b", Flood((Flooded(edge=first(seq=2).encode()),)), START_MS)
    (entry,) = relayer.database.advertisements()
    (mark,) = relayer.database.marks(entry.key[0])
    relayer.receive("a", Acknowledged((replace(mark, seq=1),)), START_MS)
    assert relayer.unacknowledged == 1
    relayer.receive("a", Acknowledged((mark,)), START_MS)
    assert relayer.unacknowledged == 0


def test_what_comes_too_soon_is_not_acknowledged() -> None:
    relayer = heard(first(seq=1))
    relayer.receive("a", Flood((Flooded(edge=first(seq=2).encode()),)), START_MS + 100)
    assert not [message for _, message in relayer.take() if isinstance(message, Acknowledged)]
    relayer.receive("a", Flood((Flooded(edge=first(seq=2).encode()),)), START_MS + 600)
    assert [message for _, message in relayer.take() if isinstance(message, Acknowledged)]


def test_a_relayer_that_forgot_all_accuses_itself_of_nothing() -> None:
    net = pair()
    net.announce("a", EDGE)
    net.run(2_000)
    net.partition("a")
    net.run(2_000)
    net.restart("a")
    net.announce("a", replace(EDGE, delay_s=7))  # before it hears what it said in the life before
    net.heal()
    net.run(3_000)
    (held,) = net.relayers["b"].database.advertisements()
    assert isinstance(held.ad, EdgeAd)
    assert held.ad.delay_s == 7
    assert net.converged()
    assert not list(net.relayers["b"].database.evidence())


def test_convergence_is_when_a_share_of_the_others_has_heard() -> None:
    ages = [("x", 0.3), ("x", 0.1), ("x", 0.2), ("y", 0.5)]
    assert convergence_s(ages, 4, 0.5) == {"x": 0.2, "y": inf}
    assert convergence_s(ages, 4) == {"x": 0.3, "y": inf}
    net = Net("abc", [("a", "b"), ("b", "c")], delay_ms=(100, 100))
    net.announce("a", EDGE)
    net.run(1_000)
    assert list(convergence_s(net.ages, 3).values()) == [0.2]


def test_a_listing_fits_into_a_message_however_much_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    relayer = heard()
    marks = [Mark(bytes((0, *number.to_bytes(31))), 1, bytes(8)) for number in range(5_000)]
    monkeypatch.setattr(relayer.database, "marks", lambda bucket: marks if bucket == 0 else [])
    relayer.receive("a", Digests(b"\x01" * 2048), START_MS)
    for _, message in relayer.take():
        FloodCodec().encode(message)
