"""The scenario `ibc` as composed: rows of chains, relayers' shares, places, faults, and parameters that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.model.tables import ParameterError, RecipeOptions
from nodes.ibc.relayer.packets import End
from scenarios.ibc.load import routes_from, share
from scenarios.ibc.recipe import OPENING_BLOCKS, Parameters, compose, shares
from tests.support.ibc_relayed import Node, World


def composed(duration_s: float = 60.0, **given: Any) -> dict[str, Any]:
    return compose(Parameters.model_validate(given), RecipeOptions(1, duration_s, "."))


def programs(data: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each for each in data["program"] if each["run"].endswith(f":{kind}")]


def test_defaults_are_two_chains_a_relayer_and_an_audit() -> None:
    data = composed()
    assert [each["nodes"] for each in programs(data, "Chain")] == [["a-0"], ["b-0"]]
    assert [each["config"]["chain_id"] for each in programs(data, "Chain")] == ["a-1", "b-1"]
    (relayer,), (load,), (audit,) = (programs(data, kind) for kind in ("Relayer", "Load", "Audit"))
    assert relayer["config"]["paths"] == load["config"]["paths"] == audit["config"]["paths"] == ["a-0 b-0"]
    assert load["config"]["stop"] == audit["config"]["at"] == "35 s"
    assert data["wan"]["places"] == {"a-0": "us-east-1", "b-0": "eu-north-1", "relayer-1": "us-east-1"}
    assert "action" not in data
    assert {"figure": "summary.stuck", "equals": 0} in data["expect"]
    assert {"figure": "summary.escrow_ok", "equals": True} in data["expect"]


@pytest.mark.parametrize(("chains", "relayers"), [(2, 1), (2, 3), (5, 4), (10, 3), (20, 20)])
def test_each_path_is_opened_by_one_relayer_and_no_account_is_shared(chains: int, relayers: int) -> None:
    data = composed(chains=chains, relayers=relayers)
    tables = programs(data, "Relayer")
    openers = [path for each in tables if each["config"]["opens"] for path in each["config"]["paths"]]
    assert openers == programs(data, "Audit")[0]["config"]["paths"]
    assert all(each["config"]["paths"] for each in tables)
    keys = [key for each in tables for key in each["config"]["accounts"]]
    assert len(set(keys)) == len(keys)
    for each in programs(data, "Chain"):
        needed = [
            key for other in tables if any(each["nodes"][0] in path.split() for path in other["config"]["paths"])
            for key in other["config"]["accounts"]
        ]  # fmt: skip
        assert each["config"]["accounts"] == ["alice", "bob", *needed]


def test_a_relayer_has_neighbouring_paths() -> None:
    assert shares(9, 3) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert shares(1, 3) == [[0], [0], [0]]


def test_ground_stations_have_the_names_of_chains_and_relayers() -> None:
    data = composed(chains=3, relayers=2, topology="leo")
    stations = {each["name"]: each["lat_deg"] for each in data["ground"]["station"]}
    assert list(stations) == ["a-0", "b-0", "c-0", "relayer-1", "relayer-2"]
    assert stations["relayer-2"] == stations["b-0"]
    assert programs(data, "Relayer")[1]["nodes"] == "gs-relayer-2"
    assert programs(data, "Relayer")[1]["config"]["paths"] == ["gs-b-0 gs-c-0"]


def test_validators_may_be_processes_in_regions_in_turn() -> None:
    data = composed(validators="processes", validators_per_chain=4)
    tables = programs(data, "Validator")
    assert [each["nodes"] for each in tables] == [[f"{chain}-{number}" for number in range(4)] for chain in "ab"]
    assert [each["config"]["validators"] for each in tables] == [each["nodes"] for each in tables]
    assert not programs(data, "Chain")
    assert len({data["wan"]["places"][node] for node in tables[0]["nodes"]}) == 4
    assert programs(data, "Relayer")[0]["config"]["paths"] == ["a-0 b-0"]
    (chain, _) = programs(composed(validators_per_chain=7), "Chain")
    assert (chain["nodes"], len(chain["config"]["powers"])) == (["a-0"], 7)


def test_transfers_that_are_forwarded_go_by_v1() -> None:
    data = composed(chains=4, load={"hops": 3})
    assert programs(data, "Load")[0]["config"]["hops"] == 3
    assert programs(data, "Relayer")[0]["config"]["paths"][0] == "a-0 b-0 v1 transfer"
    assert programs(composed(version="v1"), "Relayer")[0]["config"]["paths"] == ["a-0 b-0 v1 transfer"]


def test_faults_hit_the_first_relayers_and_chains() -> None:
    data = composed(chains=3, relayers=2, faults={"relayers": 1, "chains": 2, "at": "12 s", "length": "4 s"})
    assert data["action"] == [{"do": "crash", "nodes": ["relayer-1"], "at": "12 s", "for": "4 s"}]
    assert [each["config"].get("halt") for each in programs(data, "Chain")] == ["12 s", "12 s", None]
    assert not any(each["figure"] == "summary.late_blocks_share" for each in data["expect"])


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"version": "v2", "chains": 3, "load": {"hops": 2}}, "load.hops"),
        ({"chains": 3, "load": {"hops": 3}}, "load.hops"),
        ({"load": {"drain": "51 s"}}, "load.drain"),
        ({"load": {"drain": "36 s"}, "validators": "processes"}, "load.drain"),
        ({"load": {"drain": "39 s"}, "version": "v1"}, "load.drain"),
        ({"load": {"drain": "31 s"}, "block": "5 s"}, "load.drain"),
        ({"faults": {"relayers": 2}}, "faults.relayers"),
        ({"faults": {"chains": 3}}, "faults.chains"),
        ({"faults": {"chains": 1, "at": "58 s"}}, "faults.at"),
        ({"faults": {"at": "25 s"}}, "faults.at"),
        ({"faults": {"length": "6 s"}}, "faults.length"),
    ],
)
def test_what_cannot_be_is_refused_by_name(given: dict[str, Any], key: str) -> None:
    with pytest.raises(ParameterError) as refused:
        composed(**given)
    assert refused.value.key == key


def test_a_sweep_over_faults_may_begin_with_none() -> None:
    assert composed(faults={"relayers": 0, "chains": 0, "at": "20 s", "length": "5 s"}) == composed()


@pytest.mark.parametrize(("version", "words"), [("v2", ""), ("v1", " v1 transfer")])
def test_paths_are_open_after_as_many_blocks_as_is_said(version: str, words: str) -> None:
    net = World({name: Node(name) for name in "abc"}, ("a b" + words, "b c" + words))
    net.start("relayer-1")
    assert net.until(net.is_open) == OPENING_BLOCKS[version]


def test_a_chain_sends_as_often_to_each_other_one_and_hops_add_up() -> None:
    assert [share(place, 2, 1) for place in (0, 1)] == [0.5, 0.5]
    shares_of_row = [share(place, 10, 9) for place in range(10)]
    assert shares_of_row == [pytest.approx(9 / 330)] * 10  # 330 hops of the 90 pairs
    ends = [
        (End(a, "", "transfer", f"channel-{a}{b}"), End(b, "", "transfer", f"channel-{b}{a}")) for a, b in ("ab", "bc")
    ]
    routes = [[end.channel for end in route] for route in routes_from(0, ends, 2)]
    assert routes == [["channel-ab"], ["channel-ab", "channel-bc"]]
    assert [[end.channel for end in route] for route in routes_from(1, ends, 2)] == [["channel-bc"], ["channel-ba"]]
