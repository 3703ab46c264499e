"""Whatever the graph and the links do, in the end all relayers hold the newest of everything, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from xroute_flood import QUICK, START_MS, Net, edge_ad, key_of

from nodes.xroute.flooding.ads import EdgeAd, issued, read
from nodes.xroute.flooding.equivocation import verify_equivocation
from nodes.xroute.flooding.flood import Flooding
from nodes.xroute.flooding.wire import Acknowledged, Digests, Flood, FloodCodec, Flooded, Listing, Mark, Said

NAMES = "abcdefgh"
SLOW = replace(QUICK, max_age_s=600)
FIELDS = ("edge", "chain", "evidence")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]]]:
    """Relayers and a connected graph of neighbours."""
    names = NAMES[: draw(st.integers(2, len(NAMES)))]
    edges = {(names[draw(st.integers(0, at - 1))], names[at]) for at in range(1, len(names))}
    more = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=5))
    return names, sorted(edges | {(a, b) for a, b in more if a < b})


def say_things(net: Net, random: Random, count: int) -> dict[tuple[str, int], EdgeAd]:
    """Let relayers say things, now and then the same subject again; what each has said last."""
    last: dict[tuple[str, int], EdgeAd] = {}
    for number in range(count):
        name, client = random.choice(net.names), random.randrange(3)
        ad = edge_ad("osmosis", "juno", f"07-tendermint-{client}", delay_s=number)
        net.announce(name, ad)
        last[name, client] = ad
        net.run(random.randrange(1, 1_500))
    return last


def require_newest(net: Net, last: dict[tuple[str, int], EdgeAd], names: str) -> None:
    for name in names:
        found = {
            (entry.ad.origin, entry.ad.client_id): entry.ad.delay_s
            for entry in net.relayers[name].database.advertisements()
            if isinstance(entry.ad, EdgeAd)
        }
        assert found == {(key_of(who).public, ad.client_id): ad.delay_s for (who, _), ad in last.items()}


@settings(max_examples=25, deadline=None)
@given(
    graph=graphs(),
    seed=st.integers(0, 1 << 32),
    loss=st.sampled_from((0.0, 0.1, 0.4)),
    double=st.sampled_from((0.0, 0.3)),
    slowest_ms=st.sampled_from((10, 300)),
)
def test_databases_become_alike_under_loss_reorder_and_doubles(
    graph: tuple[str, list[tuple[str, str]]], seed: int, loss: float, double: float, slowest_ms: int
) -> None:
    net = Net(*graph, seed=seed, loss=loss, double=double, delay_ms=(1, slowest_ms), settings=SLOW)
    last = say_things(net, Random(seed), 12)
    net.run(1_500)  # so that the last change, too, may be said
    assert net.until(net.converged, 120_000) >= 0
    require_newest(net, last, graph[0])


@settings(max_examples=15, deadline=None)
@given(graph=graphs(), seed=st.integers(0, 1 << 32), inside=st.integers(1, 7), loss=st.sampled_from((0.0, 0.3)))
def test_databases_become_alike_after_a_partition(
    graph: tuple[str, list[tuple[str, str]]], seed: int, inside: int, loss: float
) -> None:
    names, edges = graph
    net, random = Net(names, edges, seed=seed, loss=loss, settings=SLOW), Random(seed)
    before = say_things(net, random, 5)
    net.partition(names[:inside])
    during = say_things(net, random, 8)
    net.run(2_000)
    net.heal()
    net.run(1_500)
    assert net.until(net.converged, 120_000) >= 0
    require_newest(net, before | during, names)


@settings(max_examples=15, deadline=None)
@given(graph=graphs(), seed=st.integers(0, 1 << 32), loss=st.sampled_from((0.0, 0.3)))
def test_who_signs_one_seq_twice_is_found_by_all(
    graph: tuple[str, list[tuple[str, str]]], seed: int, loss: float
) -> None:
    names, edges = graph
    net, liar = Net(names, edges, seed=seed, loss=loss, settings=SLOW), key_of("a")
    for name in names:
        net.announce(name, edge_ad("osmosis", "juno"))
    net.run(5_000)
    seq = net.now_ms
    for peer in sorted(next(iter(link - {"a"})) for link in net.links if "a" in link):
        told = issued(edge_ad("osmosis", "hub", delay_s=ord(peer), max_age_s=600), liar, seq, net.now_ms)
        net.relayers[peer].receive("a", Flood((Flooded(edge=told.data),)), net.now_ms)
        net.post(peer)
    second = issued(edge_ad("osmosis", "hub", delay_s=1, max_age_s=600), liar, seq, net.now_ms)
    net.relayers[names[-1]].receive(_neighbour(net, names[-1]), Flood((Flooded(edge=second.data),)), net.now_ms)
    net.post(names[-1])
    net.run(5_000)
    assert net.until(net.converged, 120_000) >= 0
    for name in names:
        (evidence,) = net.relayers[name].database.evidence()
        assert verify_equivocation(evidence.equivocation) == liar.public
        assert liar.public not in {each.ad.origin for each in net.relayers[name].database.advertisements()}


def _neighbour(net: Net, name: str) -> str:
    return min(min(link - {name}) for link in net.links if name in link)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_an_advertisement_or_an_error(data: bytes) -> None:
    try:
        found = read(EdgeAd, data)
    except ValueError:
        return
    assert found.data == found.ad.encode()


MARKS = st.builds(Mark, st.binary(max_size=40), st.integers(0, 9), st.binary(max_size=9))
SAID = st.one_of(
    st.builds(Digests, st.binary(max_size=2100) | st.just(bytes(2048))),
    st.builds(Listing, st.binary(max_size=300), st.lists(MARKS, max_size=5).map(tuple)),
    st.builds(Acknowledged, st.lists(MARKS, max_size=5).map(tuple)),
    st.lists(st.one_of(*(st.builds(Flooded, **{kind: st.binary(max_size=99)}) for kind in FIELDS)), max_size=4).map(
        lambda entries: Flood(tuple(entries))
    ),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(SAID, max_size=8))
def test_nothing_that_a_neighbour_says_ends_a_relayer(said: list[Said]) -> None:
    relayer = Flooding(key_of("a"), {key_of("b").public: 1})
    relayer.connected("b", START_MS)
    relayer.announce(edge_ad("osmosis", "juno"), START_MS)
    for message in said:
        relayer.receive("b", message, START_MS)
    relayer.tick(START_MS + 60_000)
    for _, message in relayer.take():
        FloodCodec().encode(message)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error(data: bytes) -> None:
    try:
        found = FloodCodec().decode(data)
    except ValueError:
        return
    assert FloodCodec().encode(found) == data
