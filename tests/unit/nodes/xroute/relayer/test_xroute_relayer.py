"""A relayer of messages over several chains: carries all, once, and finds another way where one dies."""

from __future__ import annotations

from dataclasses import replace

from nodes.ibc.relayer.calls import Block
from nodes.xroute.flooding.ads import EdgeAd, issued
from nodes.xroute.flooding.database import Database, Verdict
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.keys import Key
from nodes.xroute.module import book
from nodes.xroute.module.fees import ESCROW
from nodes.xroute.module.messages import Answer, Fee
from nodes.xroute.module.terms import Terms
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs import paths
from nodes.xroute.proofs.messages import Mode
from nodes.xroute.proofs.transit import TransitPolicy, TransitRule
from nodes.xroute.relayer.events import Answered, Forwarded, Sent
from nodes.xroute.relayer.jobs import Jobs
from tests.support.ibc_chain import FUNDS, SECOND_NS, address
from tests.support.xroute_relayed import Net
from tests.support.xroute_world import World

LINE = (("a", "b"), ("b", "c"))
SQUARE = (("a", "b"), ("b", "d"), ("a", "c"), ("c", "d"))


def opened(net: Net) -> Net:
    net.until(net.is_ready)
    return net


def carried(net: Net, most: int = 60) -> int:
    """Steps until all messages are settled."""
    net.step()
    return net.until(net.settled, most)


def events(net: Net, chain: str, kind: str) -> int:
    """How many of a kind a chain has told."""
    ledger, last = net.nodes[chain].chain.ledger, net.nodes[chain].chain.height
    results = (result for height in range(1, last + 1) for result in ledger[height].results)
    return sum(event.type == kind for result in results if not result.code for event in result.events)


def alice(net: Net, chain: str) -> int:
    node = net.nodes[chain]
    return node.balance(node.chain.app.bank.account(address("alice")), "stake")


def test_messages_are_carried_over_a_transit_and_answered() -> None:
    net = opened(Net(LINE))
    for _ in range(40):
        net.send("a", "c", policy="xroute/1; require each chain nakamoto >= 2")
    carried(net)
    net.send("a", "c", policy="xroute/1; require each chain nakamoto >= 2")
    carried(net)
    assert net.received("a", "c") == 4100
    assert not any(kind == "again" for kind, _ in net.core.notes)
    assert net.core.malformed == 0
    assert net.core.clients.known["b", "07-tendermint-0"].updates <= 6, "once for all messages of a round"
    assert len(net.core.latency_s) == 41


def test_what_a_chain_has_dropped_after_a_day_is_brought_again() -> None:
    net = opened(Net(LINE))
    policy = "xroute/1; require each chain nakamoto >= 2"
    store = net.nodes["c"].chain.state.stores[paths.STORE]
    for _ in range(2):
        net.send("a", "c", policy=policy)
        carried(net)
        supplied = [paths.policy(parse(policy).policy_id), *(key for key, _ in store.iterate(b"attr/"))]
        assert len(supplied) == 3, "the policy, and validators of b and a"
        assert all(store.get(key) for key in supplied)
        net.now_ns += book.SUPPLIED_S * SECOND_NS
        net.step()
        net.step()
        assert not any(store.get(key) for key in supplied)
    assert net.received("a", "c") == 200


def test_messages_of_kinds_whose_gas_is_not_known_are_tried_in_one_round() -> None:
    net = opened(Net(LINE[:1]))
    net.core.rounds.most_gas = 10**9  # messages of a kind whose gas is not known have a transaction of their own
    for _ in range(8):
        net.send("a", "b")
        net.send("b", "a")
        net.step()
    carried(net)
    assert events(net, "a", "xroute_acknowledge") == events(net, "b", "xroute_acknowledge") == 8
    assert not [text for kind, text in net.core.notes if kind == "again"]


def test_a_chain_that_speaks_for_another_one_is_not_believed() -> None:
    world = World(LINE[:1])
    jobs, nobody = Jobs(), ChainIdentity(bytes(32))
    parcel = world.send("a", "b")
    source, destination = parcel.way
    block, sent = Block(9, 10**18, ()), Sent(parcel, Policy(), Fee())
    for chain, seen in (
        (nobody, sent),
        (destination, sent),
        (source, Answered(parcel, Answer())),
        (nobody, Forwarded(parcel, ())),
    ):
        jobs.saw(chain, block, seen)
    assert not len(jobs)
    jobs.saw(source, block, sent)
    assert len(jobs) == 1


def test_what_a_policy_excludes_is_not_tried() -> None:
    deny = {"b": Terms(transit=TransitPolicy(TransitRule.DENY))}
    net = opened(Net(SQUARE, terms=deny))
    for _ in range(6):
        net.send("a", "d", policy="xroute/1; require each transit transit_ok = true")
    carried(net)
    assert net.received("a", "d") == 600
    assert net.core.rerouted == 0
    assert not any(kind == "again" for kind, _ in net.core.notes)


def test_after_a_transit_halts_the_next_route_is_tried_within_two_blocks() -> None:
    net = opened(Net(SQUARE))
    for _ in range(12):
        net.send("a", "d")
    for _ in range(3):
        net.step()
    net.halted.add("b")  # while it is to take updates
    assert net.until(lambda: net.core.rerouted) <= 2
    carried(net, 20)
    assert net.received("a", "d") == 1200
    assert events(net, "d", "xroute_deliver") == 12


def test_a_source_that_halts_holds_up_its_messages_alone() -> None:
    net = opened(Net(SQUARE))
    net.send("a", "d")
    net.step()
    net.halted.add("a")  # what would prove the message is never there
    net.step()
    net.step()
    net.send("d", "b")
    for _ in range(12):
        net.step()
    assert (net.received("a", "d"), net.received("d", "b")) == (0, 100)
    net.halted.clear()
    net.until(lambda: net.received("a", "d") == 100, 20)


def test_what_has_failed_on_every_route_is_tried_on_them_again() -> None:
    net = opened(Net(LINE))
    net.halted.add("b")
    net.send("a", "c")
    net.until(lambda: net.core.down)
    net.step()
    (job,) = net.core.jobs.of(net.identities["c"], net.now_ns + SECOND_NS)
    job.attempts, job.avoided = 2, {net.identities["b"]}
    net.halted.clear()
    net.until(net.settled, 40)
    assert net.received("a", "c") == 100


def test_without_any_route_messages_are_refunded_once_the_chain_is_there_again() -> None:
    net = opened(Net(LINE))
    net.halted.add("b")
    for _ in range(3):
        net.send("a", "c", timeout_s=30)
    for _ in range(35):
        net.step()
    net.halted.clear()
    net.until(net.settled, 60)
    assert alice(net, "a") == FUNDS
    assert net.received("a", "c") == 0
    assert events(net, "a", "xroute_timeout") == 3


def test_a_state_that_has_become_too_old_for_a_policy_is_proved_anew() -> None:
    net = opened(Net(LINE))
    net.send("a", "c", policy="xroute/1; require each hop freshness <= 15s")
    for _ in range(3):
        net.step()
    net.halted.add("c")
    for _ in range(30):
        net.step()
    net.halted.clear()
    net.until(net.settled, 40)
    assert net.received("a", "c") == 100


def test_transits_of_mode_hop_pass_messages_on_and_answers_back() -> None:
    net = opened(Net((*LINE, ("c", "d"))))
    for _ in range(4):
        net.send("a", "d", mode=Mode.HOP, transits="bc", policy="xroute/1; require each chain nakamoto >= 2")
    carried(net)
    assert net.received("a", "d") == 400
    assert events(net, "b", "xroute_forward") == events(net, "c", "xroute_forward") == 4


def test_a_relayer_soon_knows_what_another_one_has_opened() -> None:
    net = Net(SQUARE, relayers=("relayer-1", "relayer-2"))
    assert net.until(net.is_ready) <= 10


def test_two_relayers_deliver_each_message_once() -> None:
    net = opened(Net(SQUARE, relayers=("relayer-1", "relayer-2")))
    for _ in range(10):
        net.send("a", "d")
    carried(net, 90)
    assert net.received("a", "d") == 1000
    assert events(net, "d", "xroute_deliver") == 10
    assert events(net, "a", "xroute_acknowledge") == 10


def test_clients_that_another_relayer_makes_later_are_found_at_once() -> None:
    net = Net(SQUARE, opened_later=SQUARE[2:])
    net.until(lambda: len(net.core.network.graph.edges) == 4)
    for _ in range(5):
        net.step()
    net.start("relayer-2")
    net.until(net.is_ready, 20)


def test_a_relayer_that_is_killed_at_any_moment_loses_nothing() -> None:
    net = opened(Net(LINE))
    for seconds in range(6):
        net.send("a", "c")
        for _ in range(seconds):
            net.step()
        net.start("relayer-1")
    net.until(lambda: net.core.is_ready and net.settled() and net.core.jobs.settled == 6, 90)
    assert net.received("a", "c") == 600
    assert events(net, "c", "xroute_deliver") == 6


def test_a_policy_of_two_disjoint_routes_is_carried_over_both() -> None:
    net = opened(Net(SQUARE))
    net.send("a", "d", policy="xroute/1; require disjoint 2")
    carried(net)
    assert net.received("a", "d") == 100
    assert events(net, "d", "xroute_route") == 2


def test_the_relayer_earns_the_fees() -> None:
    net = opened(Net(LINE))
    net.send("a", "c", fee=Fee("stake", 1000, 100, 300, 10, 4))
    carried(net)
    node = net.nodes["a"]
    earned = node.balance(net.core.signers["a"].first.key.address, "stake") - FUNDS
    assert 100 + 20 < earned <= 1000 + 100 + 40
    assert node.balance(ESCROW, "stake") == 0
    assert alice(net, "a") == FUNDS - 100 - earned


def test_load_is_spread_where_the_policy_prefers_that() -> None:
    net = opened(Net(SQUARE))
    for _ in range(20):
        net.send("a", "d", policy="xroute/1; prefer spread")
        net.step()
    net.until(net.settled, 60)
    shares = net.core.choice.shares()
    assert set(shares) == {net.identities[name] for name in "bc"}
    assert max(shares.values()) < 700_000


def test_a_client_that_was_shown_misbehaviour_is_used_no_more() -> None:
    net = opened(Net(SQUARE))
    graph = net.core.network.graph
    frozen = next(edge for edge in graph.edges if edge.verifier == net.identities["d"])
    net.core.network.froze("d", frozen.client)
    for _ in range(6):
        net.send("a", "d")
    carried(net)
    assert net.received("a", "d") == 600
    assert frozen.tracked not in net.core.choice.shares()


def test_what_relayers_measure_decides_the_order_of_attempts() -> None:
    net = opened(Net(SQUARE))
    key = Key.named("another relayer")
    database = Database({key.public: 1})
    slow = net.identities["b"]
    for ad in net.core.advertised():
        if isinstance(ad, EdgeAd) and ad.claims is not None and slow in (ad.verifier, ad.tracked):
            ad = replace(ad, claims=replace(ad.claims, block_ms_p50=60_000))
        told = issued(replace(ad, max_age_s=600), key, 1, net.now_ns // 10**6)
        assert database.offer(told, net.now_ns // 10**6) is Verdict.NEW
    net.core.stakes.weights[key.public] = 1
    net.core.hear(database)
    for _ in range(8):
        net.send("a", "d", policy="xroute/1; prefer latency")
    carried(net)
    assert net.received("a", "d") == 800
    assert set(net.core.choice.shares()) == {net.identities["c"]}


def test_a_chain_that_has_passed_on_and_heard_answers_is_brought_the_policy_with_its_own_first_message() -> None:
    net = opened(Net(LINE))
    net.send("a", "c", mode=Mode.HOP, transits=("b",), policy="xroute/1; limit hops 2")
    net.send("b", "c", mode=Mode.HOP, policy="xroute/1; limit hops 2")
    carried(net)
    net.send("a", "b", mode=Mode.HOP, policy="xroute/1; limit hops 2")
    carried(net)
    assert net.received("a", "b") == 100
    assert not any(kind == "again" for kind, _ in net.core.notes)
