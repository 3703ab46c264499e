"""JSON Schema, the generated reference, and the two commands that print what the room knows."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scenario_fakes import FILE, GOOD, RECIPE, write

from emulator.cli.list import list_scenarios
from emulator.cli.schema import schema as print_schema
from emulator.model.errors import ScenarioError, UsageError
from emulator.scenario import Bundled, Parameter, bundled, load, parameters_of
from emulator.scenario.catalogue import SCENARIO_FILE
from emulator.scenario.schema.json_schema import schema
from emulator.scenario.schema.reference import reference
from emulator.scenario.toml.writer import value_text

ROOT = Path(__file__).resolve().parents[3]


def parts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(item)


def accepts(part: dict[str, Any], value: Any, whole: dict[str, Any]) -> bool:
    """A validator of the few words that our schemas use, so that the schema is tried and not only looked at."""
    if "$ref" in part:
        return accepts(whole["$defs"][part["$ref"].removeprefix("#/$defs/")], value, whole)
    if "allOf" in part:  # pydantic before 2.9 wraps a reference that has a description
        return all(accepts(each, value, whole) for each in part["allOf"])
    if "anyOf" in part:
        return any(accepts(option, value, whole) for option in part["anyOf"])
    if "enum" in part:
        return value in part["enum"]
    kind = part.get("type")
    if kind == "object":
        known = part.get("properties", {})
        extra = part.get("additionalProperties", True)
        return (
            isinstance(value, dict)
            and set(part.get("required", ())) <= set(value)
            and all(
                accepts(known[key], item, whole) if key in known else extra is not False for key, item in value.items()
            )
        )
    if kind == "array":
        few = len(value) >= part.get("minItems", 0) if isinstance(value, list) else False
        return few and all(accepts(part["items"], item, whole) for item in value)
    if kind == "string":
        return isinstance(value, str) and bool(re.search(part.get("pattern", ""), value))
    if kind == "boolean":
        return isinstance(value, bool)
    number = isinstance(value, int if kind == "integer" else int | float) and not isinstance(value, bool)
    return number and part.get("minimum", value) <= value


def test_the_schema_is_closed_and_its_references_resolve() -> None:
    whole = schema("scenario_fakes")
    json.dumps(whole)
    for part in parts(whole):
        if isinstance(part.get("$ref"), str):
            assert part["$ref"].removeprefix("#/$defs/") in whole["$defs"]
        if isinstance(part.get("pattern"), str):
            re.compile(part["pattern"])
        if part.get("type") == "object" and "properties" in part:
            assert part["additionalProperties"] is False
        assert part.get("type") != "null"
    assert {"duration", "program", "shell", "ground", "fidelity"} <= set(whole["properties"])
    assert set(whole["required"]) == {"topology", "shell"}


def test_the_schema_accepts_good_files_and_refuses_bad_ones() -> None:
    whole = schema("scenario_fakes")
    good = tomllib.loads(GOOD)
    assert accepts(whole, good, whole)
    for origin in ("host", "image"):
        assert accepts(whole, good | {"host": [{"nodes": "*", "private": [{"path": "/a", "from": origin}]}]}, whole)
    assert not accepts(whole, good | {"host": [{"nodes": "*", "private": [{"path": "/a", "from": "b"}]}]}, whole)
    assert not accepts(whole, good | {"duration": 60}, whole)
    assert not accepts(whole, good | {"duration": "60"}, whole)
    assert not accepts(whole, good | {"seed": -1}, whole)
    assert not accepts(whole, good | {"plans": 1}, whole)
    assert not accepts(whole, good | {"shell": {"altitude": "550 km", "plans": 3}}, whole)
    assert not accepts(whole, good | {"program": [{"name": "a", "nodes": []}]}, whole)


def test_bundled_scenarios_fit_the_schema() -> None:
    for entry in bundled():
        data = tomllib.loads(entry.path.read_text(encoding="utf-8"))
        whole = schema(entry.name)
        assert accepts(whole, data, whole)


def test_defaults_stand_as_they_would_in_a_file() -> None:
    whole = schema("scenario_fakes")
    assert whole["properties"]["duration"]["default"] == "60 s"
    assert whole["$defs"]["Fidelity"]["properties"]["lateness_p99"]["default"] == "2 ms"
    assert "default" not in whole["properties"]["routing_step"]
    assert whole["$defs"]["Shell"]["properties"]["altitude"]["description"] == "Height above the equator."


def test_no_schema_without_a_topology() -> None:
    with pytest.raises(UsageError, match="no module 'no_such_topology'"):
        schema("no_such_topology")


def test_the_committed_reference_is_the_generated_one() -> None:
    text = (ROOT / "docs/scenario-reference.md").read_text(encoding="utf-8")
    assert text == reference(), "run: python -m emulator.scenario.schema.reference > docs/scenario-reference.md"


def test_the_reference_explains_every_core_key() -> None:
    text = reference()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    for row in rows:
        cells = [cell.strip() for cell in row.replace("\\|", "").strip("|").split("|")]
        assert len(cells) in (3, 5)  # units; keys
        if "## Programs" not in text[: text.index(row)]:  # what a program's keys mean is up to its own room
            assert cells[-1], row


def test_list_prints_each_bundled_scenario_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    list_scenarios()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == [entry.name for entry in bundled()]
    list_scenarios(json=True)
    rows = json.loads(capsys.readouterr().out)
    assert {tuple(row) for row in rows} == {("name", "description", "path", "parameters")}
    assert all(parameter["key"] for row in rows for parameter in row["parameters"])


@pytest.fixture
def composed(tmp_path: Path) -> Path:
    """A scenario file with a recipe next to it."""
    name = f"recipe_of_{tmp_path.name}"
    write(tmp_path, RECIPE, f"{name}.py")
    return write(tmp_path, FILE.replace("RECIPE", name))


def test_the_schema_of_a_recipe_scenario_has_its_parameters(composed: Path) -> None:
    whole = schema(str(composed))
    data = tomllib.loads(composed.read_text(encoding="utf-8"))
    assert accepts(whole, data, whole)
    assert accepts(whole, data | {"ground": {"min_elevation_deg": 3.0}, "shell": "high"}, whole)
    assert not accepts(whole, data | {"agents": "many"}, whole)
    assert not accepts(whole, data | {"agentz": 3}, whole)
    assert whole["properties"]["timeout"]["default"] == "100 ms"
    assert whole["required"] == []


def test_the_schema_of_a_recipe_that_cannot_compose_by_default_has_no_tables(composed: Path) -> None:
    composed.write_text(composed.read_text(encoding="utf-8").replace("64", "13"), encoding="utf-8")
    whole = schema(str(composed))
    assert "agents" in whole["properties"]
    assert "ground" not in whole["properties"]


def test_parameters_of_a_recipe_are_listed_with_their_values(
    composed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    composed.write_text(composed.read_text(encoding="utf-8").replace("64", "9"), encoding="utf-8")
    rows = {each.key: each for each in parameters_of(composed)}
    assert list(rows) == ["agents", "shell", "timeout", "split", "look.at", "note", "duration", "seed"]
    assert rows["agents"] == Parameter("agents", "integer", 9, "How many agents there are.")
    assert (rows["timeout"].type, rows["timeout"].default) == ("duration", "100 ms")
    assert (rows["look.at"].default, rows["note"].default) == (3, None)
    assert (rows["duration"].default, rows["seed"].default) == ("30 s", 7)
    composed.write_text(composed.read_text(encoding="utf-8").replace('duration = "30 s"', ""), encoding="utf-8")
    assert {each.key: each.default for each in parameters_of(composed)}["duration"] is None
    list_scenarios(str(composed))
    assert "agents\t9\tinteger\tHow many agents there are." in capsys.readouterr().out.splitlines()
    list_scenarios(str(composed), json=True)
    assert [row["key"] for row in json.loads(capsys.readouterr().out)] == list(rows)


def test_every_listed_key_can_be_set_to_its_value(composed: Path) -> None:
    for source in (composed, next(entry.path for entry in bundled() if entry.name == "leo")):
        keys = [each for each in parameters_of(source) if each.default is not None]
        assert load(source, [f"{each.key}={value_text(each.default)}" for each in keys]) == load(source)


def test_parameters_of_a_scenario_without_a_recipe_are_its_topologys(tmp_path: Path) -> None:
    rows = {each.key: each.default for each in parameters_of(write(tmp_path, GOOD))}
    assert rows["shell.altitude"] == "550 km"
    assert rows["shell.planes"] == 72
    assert rows["ground.access"] == "nearest"
    assert rows["duration"] == "60 s"


def test_list_of_what_is_no_scenario_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'leo'"):
        parameters_of("le0")
    with pytest.raises(UsageError, match="no module 'nowhere'"):
        parameters_of(write(tmp_path, 'recipe = "nowhere"'))
    with pytest.raises(ScenarioError, match="TOML"):
        parameters_of(write(tmp_path, "= 3"))


def test_a_scenario_that_fails_to_import_is_listed_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Bundled("broken", "", write(tmp_path, 'recipe = "nowhere"'))
    monkeypatch.setattr("emulator.scenario.bundled", lambda: [broken], raising=False)
    list_scenarios(json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert "no module 'nowhere'" in row["error"]


def test_a_broken_scenario_does_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "scenarios"
    texts = {"good": 'name = "very-good"\ndescription = "one\\ntwo"', "worse": "= nonsense", "plain": ""}
    for name, text in texts.items():
        (package / name).mkdir(parents=True)
        (package / name / SCENARIO_FILE).write_text(text, encoding="utf-8")
    (package / "__init__.py").write_text("", encoding="utf-8")
    from importlib.machinery import PathFinder

    monkeypatch.setattr(
        "emulator.scenario.catalogue.find_spec", lambda name: PathFinder.find_spec(name, [str(tmp_path)])
    )
    entries = {entry.name: entry.description for entry in bundled()}
    assert entries["very-good"] == "one"
    assert entries["plain"] == ""
    assert entries["worse"].startswith("(cannot be read: ")


def test_schema_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_schema("scenario_fakes")
    assert json.loads(capsys.readouterr().out)["properties"]["shell"]
