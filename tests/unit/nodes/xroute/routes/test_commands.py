"""`skyloom route plan|check` and `skyloom import chain-registry`, from the command line down."""

from __future__ import annotations

import json
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from emulator.cli import importing, route
from emulator.model.errors import DataError, SkyloomError, UsageError
from nodes.xroute.policy.parser import parse
from nodes.xroute.routes.registry import read_registry

SHIPPED = tomllib.loads((Path(__file__).parents[5] / "pyproject.toml").read_text())["project"]["entry-points"]
COMMANDS: dict[str, ModuleType] = {"route": route, "import": importing}

CHAINS = [
    {"name": "a.zone", "nakamoto": 9},
    {"name": "hub.zone", "nakamoto": 3},
    {"name": "big.zone", "nakamoto": 9},
    {"name": "k.zone", "nakamoto": 9},
    {"name": "lone.zone"},
]


def pair(a: str, b: str, **values: Any) -> list[dict[str, Any]]:
    names = (f"{a}.zone", f"{b}.zone")
    clients = (f"07-tendermint-{b}", f"07-tendermint-{a}")
    return [
        {"verifier": names[x], "tracked": names[1 - x], "client": clients[x], "counterparty": clients[1 - x], **values}
        for x in (0, 1)
    ]


EDGES = [*pair("a", "hub", fee=1), *pair("hub", "k", fee=1), *pair("a", "big", fee=5), *pair("big", "k", fee=5)]


@pytest.fixture
def graph(tmp_path: Path) -> str:
    path = tmp_path / "graph.json"
    path.write_text(json.dumps({"source": "made for a test", "chains": CHAINS, "edges": EDGES}))
    return str(path)


@pytest.fixture
def skyloom(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Calls a command as the command line does, with the plug-ins of this tree; gives what it prints."""

    def called(command: str, name: str, *words: str) -> str:
        module = COMMANDS[command]
        points = {key: EntryPoint(key, value, module.GROUP) for key, value in SHIPPED[module.GROUP].items()}
        monkeypatch.setattr(module, "plugins", lambda: points)
        with pytest.raises(typer.Exit) as ended:
            getattr(module, {"import": "import_"}.get(command, command))(name, list(words))
        assert ended.value.exit_code == 0
        return capsys.readouterr().out

    return called


def test_check_explains_each_clause(skyloom: Any) -> None:
    text = "xroute/1; require each transit nakamoto >= 8; limit hops 3"
    said = skyloom("route", "check", text)
    assert "0  require each transit nakamoto >= 8\n     for every chain between source and destination" in said
    document = json.loads(skyloom("route", "check", text, "--json"))
    assert document["policy_id"] == parse(text).policy_id.hex()
    assert bytes.fromhex(document["bytes"]) == parse(text).encode()
    assert [each["text"] for each in document["clauses"]] == ["require each transit nakamoto >= 8", "limit hops 3"]


def test_check_takes_a_file(skyloom: Any, tmp_path: Path) -> None:
    path = tmp_path / "policy.txt"
    path.write_text("xroute/1\nlimit hops 3\n")
    assert "limit hops 3" in skyloom("route", "check", str(path))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("xroute/1; limit hops 9", "policy: clause 1, `limit hops 9`: 9; expected a number of hops"),
        ("nowhere.txt", "nowhere.txt: No such file or directory; expected a file, or a policy that begins with"),
    ],
)
def test_a_policy_that_is_none_is_a_data_error(skyloom: Any, words: str, said: str) -> None:
    with pytest.raises(DataError) as refused:
        skyloom("route", "check", words)
    assert said in str(refused.value)


def test_plan_says_which_clause_excludes_what(skyloom: Any, graph: str) -> None:
    policy = "xroute/1; require each transit nakamoto >= 8; prefer fee"
    words = (graph, "--from", "app.a.zone", "--to", "k.zone", "--policy", policy)
    said = skyloom("route", "plan", *words)
    assert "1  a.zone > big.zone > k.zone  fee 10, hops 2" in said
    assert "a.zone > hub.zone > k.zone  by clause 0, require each transit nakamoto >= 8" in said
    assert "k.zone tracks hub.zone by 07-tendermint-hub, as transit: require each transit nakamoto >= 8" in said
    document = json.loads(skyloom("route", "plan", *words, "--json"))
    assert [each["chains"] for each in document["routes"]] == [["a.zone", "big.zone", "k.zone"]]
    assert document["routes"][0]["hops"][0]["verifier"] == "k.zone"
    assert document["routes"][0]["cost"] == {"fee": 10, "hops": 2}
    assert document["excluded_routes"] == [
        {"chains": ["a.zone", "hub.zone", "k.zone"], "clause": 0, "text": "require each transit nakamoto >= 8"}
    ]
    assert {each["role"] for each in document["excluded_edges"]} == {"transit"}


def test_plan_without_a_policy_orders_routes(skyloom: Any, graph: str) -> None:
    document = json.loads(skyloom("route", "plan", graph, "--from", "a.zone", "--to", "k.zone", "--json"))
    assert len(document["routes"]) == 2
    assert document["excluded_routes"] == document["excluded_edges"] == []


def test_plan_of_disjoint_routes_and_of_limits(skyloom: Any, graph: str) -> None:
    words = (graph, "--from", "a.zone", "--to", "k.zone", "--json", "--policy")
    assert len(json.loads(skyloom("route", "plan", *words, "xroute/1; require disjoint 2"))["routes"]) == 2
    assert not json.loads(skyloom("route", "plan", *words, "xroute/1; require disjoint 3"))["routes"]
    limited = json.loads(skyloom("route", "plan", *words, "xroute/1; limit fee 5ufee"))
    assert [each["chains"][1] for each in limited["routes"]] == ["hub.zone"]
    assert [each["text"] for each in limited["excluded_routes"]] == ["limit fee 5ufee"]
    timed = json.loads(skyloom("route", "plan", *words, "xroute/1; limit time 5s"))
    assert timed["routes"] == []
    assert timed["excluded_edges"][0]["reason"] == "nobody claims its latency, which is limited"


def test_plan_where_no_route_leads(skyloom: Any, graph: str) -> None:
    assert "no route complies" in skyloom("route", "plan", graph, "--from", "a.zone", "--to", "lone.zone")


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (("--from", "x.zone", "--to", "k.zone"), UsageError, "chain 'x.zone'; expected a chain of the graph"),
        (("--from", "a.zone", "--to", "app.a.zone"), UsageError, "both on a.zone; expected two chains"),
    ],
)
def test_plan_refuses_wrong_ends(skyloom: Any, graph: str, words: Any, kind: type[SkyloomError], said: str) -> None:
    with pytest.raises(kind, match=said):
        skyloom("route", "plan", graph, *words)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "no object; expected an object with `chains` and `edges`"),
        ({"chains": 1, "edges": []}, "`chains` is no list"),
        ({"chains": [{"name": "A"}], "edges": []}, r"chains\[0\].name is 'A'; expected a name"),
        ({"chains": [{"name": "a", "nakamoto": -1}], "edges": []}, r"chains\[0\].nakamoto is -1; expected a whole"),
        ({"chains": [{"name": "a", "load_ppm": 2_000_000}], "edges": []}, "expected a whole number, 0 to 1000000"),
        ({"chains": [{"name": "a", "naka": 1}], "edges": []}, r"chains\[0\].naka; expected only keys"),
        ({"chains": [{"name": "a"}, {"name": "a"}], "edges": []}, "two chains of one name"),
        ({"chains": [{"name": "a", "transit": {"rule": "x"}}], "edges": []}, "expected a `rule` of allow, deny"),
        ({"chains": CHAINS, "edges": [{"verifier": "a.zone"}]}, r"edges\[0\] without `tracked`"),
        ({"chains": CHAINS, "edges": [*EDGES, EDGES[0]]}, "two edges of one client"),
        ({"chains": CHAINS, "edges": [EDGES[0] | {"tracked": "x"}]}, r"edges\[0\] names x; expected a chain"),
        ({"chains": CHAINS, "edges": [EDGES[0] | {"status": "Gone"}]}, "expected one of Active, Expired, Frozen"),
    ],
)
def test_graphs_that_are_none_are_data_errors(skyloom: Any, tmp_path: Path, document: Any, said: str) -> None:
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=said) as refused:
        skyloom("route", "plan", str(path), "--from", "a.zone", "--to", "k.zone")
    assert str(refused.value).startswith(str(path))


def test_a_file_that_is_no_text_is_a_data_error(skyloom: Any, tmp_path: Path) -> None:
    checkout(tmp_path / "registry")
    path = tmp_path / "packed.json"
    path.write_bytes(b"\xff\xfe")
    for words in (
        ("route", "plan", str(path), "--from", "a.zone", "--to", "k.zone"),
        ("import", "chain-registry", str(tmp_path / "registry"), "--powers", str(path)),
    ):
        with pytest.raises(DataError, match=r"packed\.json: no text; expected"):
            skyloom(*words)


def test_advice_lowers_the_largest_share(skyloom: Any, tmp_path: Path) -> None:
    edges = [edge for name in ("a", "k", "lone") for edge in pair(name, "hub")]
    chains = [chain for chain in CHAINS if chain["name"] != "big.zone"]
    path = tmp_path / "star.json"
    path.write_text(json.dumps({"chains": chains, "edges": edges}))
    document = json.loads(skyloom("route", "advise", str(path), "--add", "9", "--json"))
    assert (document["top"], document["share"]) == ("hub.zone", 0.5)
    assert [step["share"] for step in document["advice"]] == pytest.approx([2 / 6, 1 / 12, 0])
    said = skyloom("route", "advise", str(path))
    assert "now   hub.zone is in 50.00 % of the shortest routes" in said
    assert "  1   a.zone and k.zone: then hub.zone, 33.33 %" in said
    assert "no further pair lowers the largest share" in said


def checkout(root: Path) -> None:
    """A chain registry of four chains, of which one is dead, with files that are none."""
    for name, status in (("alpha", "live"), ("beta", "live"), ("gamma", "live"), ("dead", "killed")):
        (root / name).mkdir(parents=True)
        listed = {"chain_name": name, "chain_id": f"{name}-1", "status": status, "network_type": "mainnet", "fees": {}}
        (root / name / "chain.json").write_text(json.dumps(listed))
    (root / "_template").mkdir()
    (root / "_template" / "chain.json").write_text("{")
    (root / "_IBC").mkdir()
    pairs = (("alpha", "beta", 1), ("beta", "gamma", 2), ("alpha", "dead", 3), ("alpha", "gamma", 4))
    for a, b, number in pairs:
        ends = {
            f"chain_{place}": {"chain_name": name, "client_id": f"07-tendermint-{number}", "connection_id": "c"}
            for place, name in ((1, a), (2, b))
        }
        port = "oracle" if number == 4 else "transfer"
        channel = {f"chain_{place}": {"channel_id": "channel-1", "port_id": port} for place in (1, 2)}
        (root / "_IBC" / f"{a}-{b}.json").write_text(json.dumps(ends | {"channels": [channel]}))
    (root / "_IBC" / "bad-1.json").write_text("{")
    (root / "_IBC" / "bad-2.json").write_text('{"chain_1": {}}')
    (root / "_IBC" / "bad-3.json").write_bytes(b"\xff\xfe")


def test_a_registry_becomes_a_graph_to_plan_on(skyloom: Any, tmp_path: Path) -> None:
    checkout(tmp_path / "registry")
    powers = tmp_path / "powers.json"
    powers.write_text(json.dumps({"beta": [3, 1, 1, 1]}))
    printed = skyloom("import", "chain-registry", str(tmp_path / "registry"), "--powers", str(powers))
    document = json.loads(printed)
    assert [chain["name"] for chain in document["chains"]] == ["alpha", "beta", "gamma"]
    assert document["chains"][1]["nakamoto"] == 1
    assert len(document["edges"]) == 4
    path = tmp_path / "graph.json"
    path.write_text(printed)
    assert "alpha > beta > gamma" in skyloom("route", "plan", str(path), "--from", "alpha", "--to", "gamma")


def test_files_of_a_registry_that_are_none_are_told(tmp_path: Path) -> None:
    checkout(tmp_path)
    bad = read_registry(str(tmp_path)).notes
    assert len(bad) == 3
    assert "bad-1.json: line 1" in bad[0]
    assert "bad-2.json: `chain_2` is missing; expected an object" in bad[1]


def test_a_folder_that_is_no_registry_is_a_data_error(skyloom: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pair of live chains; expected a checkout"):
        skyloom("import", "chain-registry", str(tmp_path))


@pytest.mark.parametrize("powers", [[], {"beta": 1}, {"beta": [0]}, {"beta": ["1"]}, {"nobody": [1]}])
def test_powers_that_are_none_are_data_errors(skyloom: Any, tmp_path: Path, powers: Any) -> None:
    checkout(tmp_path / "registry")
    path = tmp_path / "powers.json"
    path.write_text(json.dumps(powers))
    with pytest.raises(DataError, match=r"powers\.json: "):
        skyloom("import", "chain-registry", str(tmp_path / "registry"), "--powers", str(path))
