"""The scenario `xroute` as composed: meshes and hubs, ways, who opens what, and parameters that cannot be."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest

from emulator.model.tables import ParameterError, RecipeOptions
from nodes.xroute.chain import Chain
from scenarios.xroute.graph import hub, mesh, way
from scenarios.xroute.recipe import Parameters, compose

RING = {"chains": 5, "baseline": "none", "block_gas": -1}


def composed(duration_s: float = 60.0, **given: Any) -> dict[str, Any]:
    return compose(Parameters.model_validate(given), RecipeOptions(1, duration_s, "."))


def configs(data: dict[str, Any], kind: str, side: str = "") -> list[dict[str, Any]]:
    """Those of the programs of a kind that belong to one side."""
    of_side = re.compile(f"{side}-(chain|relayer|load|audit)".removeprefix("-"))
    programs = [each for each in data["program"] if each["run"].endswith(f":{kind}")]
    return [each["config"] for each in programs if of_side.match(each["name"])]


def test_a_ring_has_a_weak_chain_and_messages_to_all() -> None:
    data = composed(chains=5)
    assert [each["powers"][0] for each in configs(data, "Chain")] == [10, 10, 10, 10, 1000]
    assert configs(data, "Load")[1]["to"] == ["c-0", "d-0", "e-0", "a-0"]
    (audit,) = configs(data, "Audit")
    assert (audit["at"], audit["until"]) == (configs(data, "Load")[0]["stop"], "58 s") == ("34 s", "58 s")


@pytest.mark.parametrize(
    ("chains", "relayers", "neighbours", "pairs"), [(3, 1, 2, 3), (5, 2, 2, 5), (6, 2, 4, 12), (12, 6, 4, 24)]
)
def test_each_pair_is_opened_once_and_each_relayer_has_coins_everywhere(
    chains: int, relayers: int, neighbours: int, pairs: int
) -> None:
    data = composed(chains=chains, relayers=relayers, neighbours=neighbours)
    opens = [pair for each in configs(data, "Relayer") for pair in each["opens"]]
    assert len({*opens}) == len(opens) == pairs
    keys = [key for each in configs(data, "Relayer") for key in each["accounts"]]
    assert len({*keys}) == len(keys)
    assert all({*keys} <= {*each["accounts"]} for each in configs(data, "Chain"))
    assert all(each["neighbours"] for each in configs(data, "Relayer")) is (relayers > 1)


def test_in_a_mesh_each_chain_has_so_many_neighbours() -> None:
    for neighbours, chains in ((2, 5), (4, 7), (4, 12)):
        ends = [end for pair in mesh(chains, neighbours) for end in pair]
        assert {ends.count(chain) for chain in range(chains)} == {neighbours}


def test_a_way_is_shortest_and_passes_no_avoided_chain() -> None:
    ring = mesh(6, 2)
    assert way(ring, 0, 1) == []
    assert way(ring, 0, 2) == [1]
    assert way(ring, 0, 2, [1]) == [5, 4, 3]
    assert way(ring, 0, 1, [0, 1]) == [], "ends may be weak"
    assert way(ring, 0, 2, [1, 4]) is None


def test_beside_it_all_messages_name_the_hub() -> None:
    data = composed(chains=5, baseline="hub")
    assert [pair for each in configs(data, "Relayer", "hub") for pair in each["opens"]] == [
        "hub-a-0 hub-b-0", "hub-a-0 hub-d-0", "hub-a-0 hub-c-0", "hub-a-0 hub-e-0",
    ]  # fmt: skip
    assert hub(3) == [(0, 1), (0, 2)]
    loads = configs(data, "Load", "hub")
    assert {each["mode"] for each in loads} == {"hop"}
    assert loads[0]["to"] == ["hub-b-0", "hub-c-0", "hub-d-0", "hub-e-0"]
    assert loads[1]["to"] == ["hub-c-0 via hub-a-0", "hub-d-0 via hub-a-0", "hub-e-0 via hub-a-0", "hub-a-0"]
    assert {each["mode"] for each in configs(data, "Load")} == {"e2e"}


@pytest.mark.parametrize("baseline", ["hub", "direct", "forward"])
def test_a_baseline_has_as_many_of_everything_under_names_of_its_own(baseline: str) -> None:
    data = composed(baseline=baseline)
    alone = composed(baseline="none")
    assert len(data["program"]) == 2 * len(alone["program"])
    assert len({each["name"] for each in data["program"]}) == len(data["program"])
    assert len(data["wan"]["places"]) == 2 * len(alone["wan"]["places"])
    for kind in ("Chain", "Relayer", "Load", "Audit"):
        assert len(configs(data, kind)) == len(configs(data, kind, baseline)) > 0
    chains = zip(configs(data, "Chain"), configs(data, "Chain", baseline), strict=True)
    assert all(own[key] == other[key] for own, other in chains for key in ("block", "block_gas", "powers"))
    sent = zip(configs(data, "Load"), configs(data, "Load", baseline), strict=True)
    assert all(own[key] == other[key] for own, other in sent for key in ("messages_per_second", "start", "stop"))
    judged = {each["figure"] for each in data["expect"]}
    assert {"summary.stuck", f"summary.{baseline}.lost", f"summary.{baseline}.delivered"} <= judged
    assert f"summary.{baseline}.stuck" not in judged, "it is what saturation does to it"


def test_directly_each_chain_sends_to_its_neighbours_alone() -> None:
    data = composed(chains=5, baseline="direct")
    assert configs(data, "Load", "direct")[1]["to"] == ["direct-c-0", "direct-a-0"]
    assert configs(data, "Load", "direct")[1]["mode"] == "e2e"


def test_forwarding_goes_over_the_mesh_by_the_senders_way_and_by_no_policy() -> None:
    load = configs(composed(chains=5, baseline="forward"), "Load", "forward")[0]
    assert load["to"][1] == "forward-c-0 via forward-b-0"
    assert (load["mode"], load["policy"]) == ("hop", "xroute/1")


def test_without_neighbours_a_mesh_has_chords_where_there_is_room() -> None:
    for chains, pairs in ((5, 5), (8, 16)):
        assert sum(len(each["opens"]) for each in configs(composed(chains=chains), "Relayer")) == pairs


def test_a_ring_that_the_policy_does_not_reach_around_is_refused() -> None:
    composed(chains=7, neighbours=2)
    with pytest.raises(ParameterError, match="g-0 is not reached from a-0"):
        composed(chains=8, neighbours=2)
    composed(chains=8, neighbours=2, policy="xroute/1; require each transit nakamoto >= 2")
    with pytest.raises(ParameterError, match="is not reached"):
        composed(chains=5, policy="xroute/1; require each transit nakamoto >= 3")


def test_in_mode_hop_the_sender_names_a_way_without_weak_chains() -> None:
    assert configs(composed(chains=5, mode="hop"), "Load")[0]["to"] == ["b-0", "c-0 via b-0", "d-0 via b-0 c-0", "e-0"]


FEW = {"chains": 5, "relayers": 2, "baseline": "none"}


@pytest.mark.parametrize("kind", ["rate", "mempool", "churn", "clock", "slow"])
def test_faults_of_chains_are_keys_of_the_first_ones(kind: str) -> None:
    usual = configs(composed(**FEW), "Chain")
    hit = configs(composed(**FEW, faults={"chains": 1, "kind": kind}), "Chain")
    assert [found != plain for found, plain in zip(hit, usual, strict=True)] == [True, False, False, False, False]
    known = {field.name.removesuffix("_s") for field in fields(Chain.Config)}
    assert {*hit[0]} - {*usual[0]} <= known


def test_faults_of_processes_and_links_are_actions() -> None:
    wrong = {"chains": 1, "kind": "cut", "relayers": 1, "apart": True, "at": "20 s", "length": "6 s"}
    when = {"at": "20 s", "for": "6 s"}
    everybody = ["b-0", "c-0", "d-0", "e-0", "relayer-1", "relayer-2"]
    assert composed(**FEW, faults=wrong)["action"] == [
        {"do": "partition", "groups": [["a-0"], everybody], **when},
        {"do": "crash", "nodes": ["relayer-1"], **when},
        {"do": "partition", "groups": [["relayer-1"], ["relayer-2"]], **when},
    ]
    both = composed(chains=6, baseline="hub", faults={"chains": 1, "kind": "crash"})["action"]
    assert [each["program"] for each in both] == ["chain-a", "hub-chain-a"]
    assert "action" not in composed(**FEW)


def test_attackers_and_liars_come_with_what_is_expected_of_them() -> None:
    data = composed(**RING, faults={"attacks": True, "liars": 1, "at": "9 s"})
    runs = {each["name"]: each["run"].rpartition(":")[2] for each in data["program"]}
    assert (runs["relayer-1"], runs["relayer-2"], runs["attacker"]) == ("Relayer", "Equivocator", "Attacker")
    (attacker,) = (each["config"] for each in data["program"] if each["name"] == "attacker")
    assert (attacker["source"], attacker["destination"], attacker["fork"]) == ("a-0", "d-0", "fork")
    (fork,) = (each["chain_id"] for each in configs(data, "Chain") if "chain_id" in each)
    assert fork == "a-0-1", "that of the source"
    asked = {each["figure"]: each["equals"] for each in data["expect"] if "equals" in each}
    assert (asked["summary.slashed"], asked["summary.attacks_wrong"]) == (5, 0)


def test_a_receiver_takes_what_is_not_proved_in_that_mode_alone() -> None:
    data = composed(mode="quorum", challenge="7 s")
    assert {(each["minimum"], each["challenge"]) for each in configs(data, "Chain")} == {
        ("xroute/1; require mode {quorum}", "7 s")
    }
    data = composed(mode="zk-model", prove="9 s")
    assert {each["model_key"] for each in configs(data, "Chain")} == {"oracle"}
    assert {(each["model_key"], each["prove"]) for each in configs(data, "Relayer")} == {("oracle", "9 s")}
    assert {each["mode"] for each in configs(data, "Load")} == {"zk-model"}
    asked = {each["figure"] for each in data["expect"]}
    assert "summary.violations" not in asked, "nothing is proved that could be judged"
    assert {"summary.forged", "summary.hub.violations"} <= asked


def test_halts_hit_the_first_chains() -> None:
    chains = configs(composed(faults={"chains": 1, "at": "20 s", "length": "6 s"}), "Chain")
    assert [(each.get("halt"), each.get("halt_for")) for each in chains[:2]] == [("20 s", "6 s"), (None, None)]


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"policy": "xroute/1; require each hop fee <= 3"}, "policy"),
        ({"policy": "xroute/1; avoid {f.mesh}", "baseline": "none"}, "policy"),
        ({"policy": "xroute/1; avoid {f.mesh}", "names": True}, "policy"),
        ({"chains": 5, "neighbours": 4}, "neighbours"),
        ({"load": {"drain": "45 s"}}, "load.drain"),
        ({"load": {"drain": "9 s"}}, "load.drain"),
        ({"block": "3 s", "load": {"drain": "25 s"}}, "load.drain"),
        ({"block_gas": 100_000}, "block_gas"),
        ({"weak": 8}, "weak"),
        ({"chains": 5, "mode": "hop", "weak": 4, "policy": "xroute/1"}, "weak"),
        ({"mode": "quorum", "relayers": 1}, "mode"),
        ({"mode": "quorum", "stake": 0}, "mode"),
        ({"faults": {"liars": 2}}, "faults.liars"),
        ({"faults": {"attacks": True}, **RING, "weak": 0}, "faults.attacks"),
        ({"faults": {"attacks": True}, **RING, "chains": 4}, "faults.attacks"),
        ({"faults": {"attacks": True}, **RING, "block_gas": 500_000}, "faults.attacks"),
        ({"faults": {"chains": 8}}, "faults.chains"),
        ({"faults": {"relayers": 20}}, "faults.relayers"),
        ({"faults": {"chains": 1, "at": "58 s"}}, "faults.at"),
        ({"faults": {"at": "20 s"}}, "faults.at"),
        ({"faults": {"liars": 1, "length": "5 s"}}, "faults.length"),
        ({"faults": {"relayers": 1, "kind": "slow"}}, "faults.kind"),
        ({"faults": {"chains": 1, "kind": "rate", "length": "5 s"}}, "faults.length"),
        ({"mode": "quorum", "baseline": "none", "turn": "5 s"}, "turn"),
        ({"challenge": "5 s"}, "challenge"),
        ({"mode": "quorum", "prove": "6 s"}, "prove"),
    ],
)
def test_what_cannot_be_is_refused_by_name(given: dict[str, Any], key: str) -> None:
    with pytest.raises(ParameterError) as refused:
        composed(**given)
    assert refused.value.key == key


def test_with_names_a_registry_is_read_by_all_and_the_weak_chain_is_avoided_by_its_name() -> None:
    data = composed(chains=5, relayers=2, names=True, baseline="hub")
    names, *chains = configs(data, "Chain")
    assert (names["zones"], names["transit"]) == (["mesh"], "deny")
    assert all(each["registries"] == ["mesh names-0"] for each in [*chains, *configs(data, "Relayer")])
    opens = [pair for each in configs(data, "Relayer") for pair in each["opens"]]
    assert [pair for pair in opens if "names-0" in pair and pair[0] == "a"] == ["a-0 names-0"]
    assert len({*opens}) == len(opens) == 10
    assert configs(data, "Load")[0]["policy"].endswith("; require each transit not in {e.mesh}")
    assert "mesh" not in configs(data, "Load", "hub")[0]["policy"]
    assert not any("registries" in each for each in configs(data, "Chain", "hub"))
    asked = {each["figure"]: each for each in data["expect"]}
    assert asked["summary.names"]["equals"] == asked["summary.names_renewed"]["equals"] == 5
    by_name = "xroute/1; require each transit in {b.mesh, c.mesh, d.mesh, a.mesh}"
    assert composed(names=True, policy=by_name, **RING)


@pytest.mark.parametrize("given", [{"mode": "hop"}, {"weak": 0}, {"faults": {"liars": 1}}])
def test_names_are_for_proved_routes(given: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="a `weak` chain"):
        composed(names=True, **RING, **given)
