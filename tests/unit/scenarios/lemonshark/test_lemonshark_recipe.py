"""The scenario `lemonshark` as composed: networks, programs, faults, forecasts, and parameters that cannot be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from emulator.model.errors import DataError
from emulator.model.tables import ParameterError, RecipeOptions
from emulator.scenario import load
from scenarios.lemonshark.recipe import STATIONS, Parameters, compose
from topologies.leo.stations import SITES

OPTIONS = RecipeOptions(seed=1, duration_s=60.0, directory=".")


def composed(seed: int = 1, **given: Any) -> dict[str, Any]:
    return compose(Parameters.model_validate(given), RecipeOptions(seed, OPTIONS.duration_s, OPTIONS.directory))


def program(data: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in data["program"] if each["name"] == name)
    return found


def test_defaults() -> None:
    data = composed()
    names = [f"v{number}" for number in range(10)]
    assert data["topology"] == "topologies.wan"
    assert (data["wan"]["hosts"], data["wan"]["map"]) == (10, "five-regions")
    assert [each["name"] for each in data["program"]] == ["primary", "worker", "client"]
    for each in data["program"]:
        assert each["nodes"] == each["config"]["validators"] == names
    assert program(data, "client")["config"]["rate"] == 5.0
    assert "action" not in data
    assert {"figure": "summary.early_wrong", "equals": 0} in data["expect"]
    assert {"figure": "summary.logs_agree", "equals": True} in data["expect"]


def test_what_links_alone_make_is_known_beforehand() -> None:
    known = composed()["prediction"]
    assert set(known) == {"commit_ms", "early_ms", "early_over_commit", "early_share", "round_ms"}
    assert known["early_over_commit"] < 0.45
    crashed = composed(faults={"crash": 1})["prediction"]
    assert crashed["early_over_commit"] > known["early_over_commit"]
    assert composed(consensus={"protocol": "bullshark"})["prediction"]["early_over_commit"] == 1.0
    # In one place 50 ms apart a round takes three trips.
    assert composed(topology="lan", network={"local": "50 ms"})["prediction"]["round_ms"] == 150.0
    for given in (
        {"topology": "leo"},
        {"faults": {"crash": 1, "at": "5 s"}},
        {"faults": {"crash": 4}},
        {"faults": {"slow": 1}},
    ):
        assert "prediction" not in composed(**given)


def test_validators_without_certificates_have_a_program_of_their_own() -> None:
    data = composed(consensus={"protocol": "uncertified"}, uncertified={"leader_slots": 3, "grace": "5 ms"})
    assert program(data, "primary")["run"].endswith(":UncertifiedPrimary")
    config = program(data, "primary")["config"]
    assert (config["leader_slots"], config["grace"], config["look_back"]) == (3, "5 ms", 6)
    assert "coin" not in config
    assert "prediction" not in data
    assert program(data, "client")["config"]["lead_rounds"] > program(composed(), "client")["config"]["lead_rounds"]


def test_a_rule_is_handed_to_primaries_and_forecast() -> None:
    data = composed(consensus={"rule": "shoal"})
    assert program(data, "primary")["config"]["protocol"] == "shoal"
    assert data["prediction"]["commit_ms"] < composed(consensus={"rule": "psync"})["prediction"]["commit_ms"]


def test_the_stages_of_the_docs_are_a_scenario(tmp_path: Path) -> None:
    text = (Path(__file__).parents[4] / "docs" / "lemonshark.md").read_text()
    shown = re.search(r"```toml\n# (stages.toml)\n(.*?)```", text, re.S)
    assert shown is not None
    (tmp_path / shown[1]).write_text(shown[2])
    scenario = load(str(tmp_path / shown[1]))
    assert [(action.at_s, action.links) for action in scenario.actions] == [(5.0, ("v0:up",)), (9.0, ("*:to-v0",))]


def test_without_a_quorum_nothing_may_be_committed() -> None:
    assert {"figure": "summary.commits", "equals": 0} in composed(faults={"crash": 4})["expect"]
    assert {"figure": "summary.commits", "at_least": 1} in composed(faults={"crash": 3})["expect"]
    assert {"figure": "summary.commits", "at_least": 1} in composed(faults={"crash": 4, "at": "5 s"})["expect"]


@pytest.mark.parametrize(
    ("protocol", "early", "order"),
    [("lemonshark", True, "causal"), ("bullshark", False, "causal"), ("support-gated", True, "support-gated")],
)
def test_protocols(protocol: str, early: bool, order: str) -> None:
    config = program(composed(consensus={"protocol": protocol}), "primary")["config"]
    assert (config["early"], config["order"]) == (early, order)


def test_crashes_follow_from_the_seed() -> None:
    (action,) = composed(faults={"crash": 4})["action"]
    assert action == {"at": "0 s", "do": "crash", "nodes": composed(faults={"crash": 4})["action"][0]["nodes"]}
    assert len(set(action["nodes"])) == 4
    drawn = {tuple(composed(seed, faults={"crash": 4})["action"][0]["nodes"]) for seed in range(20)}
    assert len(drawn) > 10
    (action,) = composed(faults={"crash": 1, "at": "5 s", "restart_after": "10 s"})["action"]
    assert (action["at"], action["for"]) == ("5 s", "10 s")


def test_slow_validators_are_others_than_those_that_crash() -> None:
    for seed in range(20):
        crash, slow = composed(seed, validators=4, faults={"crash": 1, "slow": 3})["action"]
        ends = {end for name in {f"v{number}" for number in range(4)} - set(crash["nodes"])
                for end in (f"{name}:up", f"*:to-{name}")}  # fmt: skip
        assert slow == {"at": "0 s", "do": "set", "links": slow["links"], "delay": "200 ms"}
        assert set(slow["links"]) == ends


def test_a_constellation() -> None:
    data = composed(topology="leo", validators=6, leo={"satellites": 2})
    assert data["topology"] == "topologies.leo"
    assert data["ground"]["stations"] == list(STATIONS[:4])
    assert data["materialise"] == ["sat-0101", "sat-3701"]
    assert program(data, "primary")["nodes"] == [*(f"gs-{name}" for name in STATIONS[:4]), "sat-0101", "sat-3701"]
    assert "wan" not in data
    everything = composed(topology="leo", validators=100, leo={"satellites": 60})
    assert len(set(program(everything, "primary")["nodes"])) == 100
    assert composed(topology="leo", validators=4, leo={"satellites": 4})["ground"]["stations"] == ["new-york"]


def test_stations_exist_once() -> None:
    assert set(STATIONS) <= set(SITES)
    assert len(set(STATIONS)) == len(STATIONS)


def test_without_load_there_are_no_clients() -> None:
    assert [each["name"] for each in composed(load={"rate": 0.0})["program"]] == ["primary", "worker"]


def test_what_clients_want_of_all_validators_is_asked_for() -> None:
    for name in ("primary", "client"):
        assert not {"door", "audit"} & program(composed(), name)["config"].keys()
    data = composed(clients={"proofs": True, "reads": 20, "freshness": "early", "agree": "quorum"})
    assert program(data, "primary")["config"]["door"] is True
    expected = {"proofs": True, "reads": 2.0, "freshness": "early", "agree": "quorum"}
    assert program(data, "client")["config"]["audit"] == expected
    assert {"figure": "summary.proofs_contradicted", "equals": 0} in data["expect"]


def test_workers() -> None:
    data = composed(workers=2)
    assert [each["name"] for each in data["program"]] == ["primary", "worker-0", "worker-1", "client"]
    assert [program(data, f"worker-{index}")["config"]["index"] for index in (0, 1)] == [0, 1]
    assert program(data, "primary")["config"]["workers"] == program(data, "client")["config"]["workers"] == 2


def test_liars_run_other_programs() -> None:
    data = composed(faults={"byzantine": 2, "crash": 1, "behaviour": "twins"})
    honest, liars = (set(program(data, name)["nodes"]) for name in ("primary", "byzantine"))
    assert len(liars) == 2
    assert honest.isdisjoint(liars)
    assert set(data["action"][0]["nodes"]) <= honest
    assert program(data, "byzantine")["config"]["behaviour"] == "twins"
    assert len(program(data, "worker")["nodes"]) == 10
    data = composed(faults={"byzantine": 1, "behaviour": "withhold-batches"})
    assert program(data, "withholding")["nodes"] == program(data, "byzantine")["nodes"]
    assert len(program(data, "worker")["nodes"]) == 9
    assert load("lemonshark", ("faults.byzantine=1", "faults.behaviour=withhold-batches")).programs


def test_the_scenario_loads_with_every_program() -> None:
    """What is composed fits the programs' own settings."""
    overrides = ("workers=2", "consensus.coin=threshold", "load.chains=1", "faults.crash=1", "faults.slow=1")
    scenario = load("lemonshark", overrides)
    assert [each.name for each in scenario.programs] == ["primary", "worker-0", "worker-1", "client"]
    assert scenario.programs[3].config_values["stop_s"] == 55.0
    assert load("lemonshark", ("topology=leo", "leo.satellites=2")).topology == "topologies.leo"


@pytest.mark.parametrize(
    ("given", "key", "said"),
    [
        ({"topology": "moon"}, "topology", "'moon'; expected five-regions, lan, leo, or a CSV matrix"),
        (
            {"faults": {"crash": 11}},
            "faults.crash",
            "11 that crash, 0 slow ones and 0 that lie of 10 validators; expected 10 at most",
        ),
        ({"faults": {"crash": 6, "slow": 5}}, "faults.crash", "6 that crash, 5 slow ones"),
        ({"faults": {"crash": 2, "byzantine": 2}}, "faults.byzantine", "a third of it at most"),
        ({"faults": {"crash": 1, "at": "60 s"}}, "faults.at", "a time before the end of the run"),
        ({"faults": {"crash": 1, "at": "50 s", "restart_after": "20 s"}}, "faults.restart_after", "within the run"),
        ({"load": {"start": "55 s"}}, "load.start", "less than the run of 60 s"),
        ({"load": {"cross_shard": "60 %", "gamma": "50 %"}}, "load.gamma", "at most 100 % together"),
        ({"consensus": {"look_back": 60}}, "consensus.gc_depth", "68 at least"),
        ({"network": {"rate": "0 bit/s"}}, "network.rate", "a rate above 0"),
        ({"consensus": {"rule": "raft"}}, "consensus.rule", "one of asynchronous, psync, shoal, or package.module"),
        ({"consensus": {"protocol": "uncertified", "rule": "shoal"}}, "consensus.rule", "nothing with"),
        ({"consensus": {"protocol": "uncertified", "grace": "5 ms"}}, "consensus.grace", "nothing with"),
        ({"consensus": {"protocol": "uncertified"}, "faults": {"byzantine": 1}}, "faults.byzantine", "none without"),
        ({"topology": "leo", "network": {"jitter": "1 ms"}}, "network.jitter", "none with leo"),
        ({"topology": "leo", "leo": {"satellites": 11}}, "leo.satellites", "at most 10"),
        ({"topology": "leo", "leo": {"shell": "moon"}}, "leo.shell", "one of "),
        ({"topology": "leo", "validators": 60}, "validators", "60 ground stations"),
        ({"leo": {"satellites": 1}}, "leo.satellites", 'none without `topology = "leo"`'),
        ({"load": {"rate": 0}, "clients": {"proofs": True}}, "load.rate", "more than 0 with `clients.proofs`"),
        ({"clients": {"freshness": "early"}}, "clients.reads", "more than 0 with `clients.freshness`"),
        ({"faults": {"byzantine": 1, "behaviour": "false-results"}}, "faults.behaviour", "another without"),
    ],
)
def test_parameters_that_cannot_be(given: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(ParameterError) as caught:
        composed(**given)
    assert caught.value.key == key
    assert said in str(caught.value)


def test_a_matrix_that_is_none() -> None:
    with pytest.raises(DataError, match="the matrix cannot be read"):
        composed(topology="missing.csv")


def test_colocated_validators_are_one_program_and_liars_keep_theirs() -> None:
    data = composed(colocated=True, workers=2)
    assert [each["name"] for each in data["program"]] == ["validator"]
    config = program(data, "validator")["config"]
    assert config["validators"] == [f"v{number}" for number in range(10)]
    apart = composed(workers=2)
    for part, name in (("primary", "primary"), ("worker", "worker-0"), ("client", "client")):
        told = program(apart, name)["config"]
        assert config[part] == {key: value for key, value in told.items() if key not in ("validators", "index")}
    mixed = composed(colocated=True, faults={"byzantine": 2})
    assert {each["name"]: len(each["nodes"]) for each in mixed["program"]} == {
        "validator": 8, "byzantine": 2, "worker": 2, "client": 2,
    }  # fmt: skip


def test_what_is_too_much_for_a_header_is_refused() -> None:
    with pytest.raises(ParameterError, match="8192 B at most"):
        composed(consensus={"inline_size": "9 kB"})
