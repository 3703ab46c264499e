"""Messages whose policies name chains: owners register names, relayers prove them, destinations judge by the proofs."""

from __future__ import annotations

import pytest

from tests.support.ibc_chain import GENESIS_NS, SECOND_NS
from tests.support.xroute_named import NAMES, OVER_C, NamedNet


@pytest.fixture
def net() -> NamedNet:
    return NamedNet()


def test_a_policy_by_names_decides_the_route(net: NamedNet) -> None:
    net.carry(OVER_C, 4)
    assert (net.received("a", "d"), net.transits()) == (400, {"c"})
    assert 2 <= net.core.names.proved <= 4, "to d, and for the way back to a; not for each message and its answer"


def test_a_name_that_is_not_registered_excludes_all_that_it_is_asked_of(net: NamedNet) -> None:
    of_transits = "xroute/1; require each transit not in {gone.mesh}"
    before = net.received("a", "d"), net.received("a", "b")
    net.send("a", "b", policy=of_transits)
    net.send("a", "d", policy=of_transits)
    net.until(lambda: net.received("a", "b") > before[1], 30)
    for _ in range(10):
        net.step()
    assert net.received("a", "d") == before[0], "no transit is surely another one"
    net.send("a", "b", policy="xroute/1; require each transit not in {a.bind, b.other}")
    net.until(lambda: net.received("a", "b") > before[1] + 100, 30)
    assert net.told("gone.mesh on d: not registered")
    assert not net.told("to deliver"), "nothing was tried in vain"


def test_a_proof_of_an_older_version_is_refused_and_the_name_is_proved_anew() -> None:
    net = NamedNet(renew_s=70.0, relayers=("relayer-1", "relayer-2"))
    net.until(lambda: net.now_ns >= GENESIS_NS + 56 * SECOND_NS)
    net.carry(OVER_C)
    first = net.cores.pop("relayer-1")  # it knows the first version
    net.until(lambda: net.registrar.renewed)
    assert (net.held("c.mesh").seq, net.held("c.mesh").endpoints) == (2, ("renewed",))
    net.start("relayer-2")
    net.until(net.is_ready)
    net.carry(OVER_C)
    net.cores = {"relayer-1": first}
    assert not net.told("version 1 of c.mesh")
    net.carry(OVER_C)
    assert net.received("a", "d") == 300
    assert net.told("version 1 of c.mesh")


def test_owners_that_are_killed_go_on_where_they_were() -> None:
    net = NamedNet(renew_s=60.0)
    for seq in (1, 2):
        net.until(lambda seq=seq: net.held("c.mesh").seq == seq)
        net.start_registrar()
        for _ in range(5):
            net.step()
        assert (net.registrar.registered, net.registrar.renewed) == (len(NAMES), (seq - 1) * len(NAMES))
        assert (net.held("c.mesh").seq, net.held("b.mesh").seq) == (seq, seq)


def test_names_that_grow_old_during_a_round_are_proved_again_in_it() -> None:
    net = NamedNet()
    net.send("a", "d", policy=OVER_C)
    net.until(lambda: net.core.names.proved == 1)
    assert not [*net.core.jobs.of(net.identities["d"], net.now_ns)], "the round is under way"
    net.core.names.forget("d")
    net.until(lambda: net.received("a", "d"))
    assert net.core.names.proved == 2
    assert not net.told("to deliver")
