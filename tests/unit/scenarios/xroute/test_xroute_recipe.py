"""The scenario `xroute` as composed: meshes and hubs, ways, who opens what, and parameters that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.model.tables import ParameterError, RecipeOptions
from scenarios.xroute.graph import hub, mesh, way
from scenarios.xroute.recipe import Parameters, compose


def composed(duration_s: float = 60.0, **given: Any) -> dict[str, Any]:
    return compose(Parameters.model_validate(given), RecipeOptions(1, duration_s, "."))


def configs(data: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each["config"] for each in data["program"] if each["run"].endswith(f":{kind}")]


def test_defaults_are_a_ring_with_a_weak_chain_and_messages_to_all() -> None:
    data = composed()
    assert [each["powers"][0] for each in configs(data, "Chain")] == [10, 10, 10, 10, 1000]
    assert configs(data, "Load")[1]["to"] == ["c-0", "d-0", "e-0", "a-0"]
    (audit,) = configs(data, "Audit")
    assert (audit["at"], audit["until"]) == (configs(data, "Load")[0]["stop"], "58 s") == ("38 s", "58 s")


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


def test_through_a_hub_all_messages_name_it() -> None:
    data = composed(baseline="hub")
    assert [pair for each in configs(data, "Relayer") for pair in each["opens"]] == [
        "a-0 b-0", "a-0 d-0", "a-0 c-0", "a-0 e-0",
    ]  # fmt: skip
    assert hub(3) == [(0, 1), (0, 2)]
    loads = configs(data, "Load")
    assert {each["mode"] for each in loads} == {"hop"}
    assert loads[0]["to"] == ["b-0", "c-0", "d-0", "e-0"]
    assert loads[1]["to"] == ["c-0 via a-0", "d-0 via a-0", "e-0 via a-0", "a-0"]


def test_in_mode_hop_the_sender_names_a_way_without_weak_chains() -> None:
    assert configs(composed(mode="hop"), "Load")[0]["to"] == ["b-0", "c-0 via b-0", "d-0 via b-0 c-0", "e-0"]


def test_attackers_and_liars_come_with_what_is_expected_of_them() -> None:
    data = composed(faults={"attacks": True, "liars": 1, "at": "9 s"})
    runs = {each["name"]: each["run"].rpartition(":")[2] for each in data["program"]}
    assert (runs["relayer-1"], runs["relayer-2"], runs["attacker"]) == ("Relayer", "Equivocator", "Attacker")
    (attacker,) = configs(data, "Attacker")
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


def test_halts_hit_the_first_chains() -> None:
    chains = configs(composed(faults={"chains": 1, "at": "20 s", "length": "6 s"}), "Chain")
    assert [(each.get("halt"), each.get("halt_for")) for each in chains[:2]] == [("20 s", "6 s"), (None, None)]


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"policy": "xroute/1; require each hop fee <= 3"}, "policy"),
        ({"neighbours": 4}, "neighbours"),
        ({"load": {"drain": "45 s"}}, "load.drain"),
        ({"weak": 5}, "weak"),
        ({"mode": "hop", "weak": 4}, "weak"),
        ({"mode": "quorum", "relayers": 1}, "mode"),
        ({"mode": "quorum", "stake": 0}, "mode"),
        ({"mode": "zk-model", "baseline": "hub"}, "mode"),
        ({"faults": {"liars": 2}}, "faults.liars"),
        ({"faults": {"attacks": True}, "weak": 0}, "faults.attacks"),
        ({"faults": {"attacks": True}, "chains": 4}, "faults.attacks"),
        ({"faults": {"chains": 5}}, "faults.chains"),
        ({"faults": {"chains": 1, "at": "58 s"}}, "faults.at"),
    ],
)
def test_what_cannot_be_is_refused_by_name(given: dict[str, Any], key: str) -> None:
    with pytest.raises(ParameterError) as refused:
        composed(**given)
    assert refused.value.key == key
