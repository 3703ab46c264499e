"""JSON Schema, the generated reference, and the two commands that print what the room knows."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scenario_fakes import GOOD

from emulator.cli.list import list_scenarios
from emulator.cli.schema import schema as print_schema
from emulator.errors import UsageError
from emulator.scenario import bundled, schema
from emulator.scenario.catalogue import SCENARIO_FILE
from emulator.scenario.reference import reference

ROOT = Path(__file__).resolve().parents[2]


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
    assert not accepts(whole, good | {"duration": 60}, whole)
    assert not accepts(whole, good | {"duration": "60"}, whole)
    assert not accepts(whole, good | {"seed": -1}, whole)
    assert not accepts(whole, good | {"plans": 1}, whole)
    assert not accepts(whole, good | {"shell": {"altitude": "550 km", "plans": 3}}, whole)
    assert not accepts(whole, good | {"program": [{"name": "a", "nodes": []}]}, whole)


def test_bundled_scenarios_fit_the_schema() -> None:
    for entry in bundled():
        data = tomllib.loads(entry.path.read_text(encoding="utf-8"))
        whole = schema(data["topology"])
        assert accepts(whole, data, whole)


def test_defaults_stand_as_they_would_in_a_file() -> None:
    whole = schema("scenario_fakes")
    assert whole["properties"]["duration"]["default"] == "60 s"
    assert whole["$defs"]["Fidelity"]["properties"]["lateness_p99"]["default"] == "5 ms"
    assert "default" not in whole["properties"]["routing_step"]
    assert whole["$defs"]["Shell"]["properties"]["altitude"]["description"] == "Height above the equator."


def test_no_schema_without_a_topology() -> None:
    with pytest.raises(UsageError, match="no module 'no_such_topology'"):
        schema("no_such_topology")


def test_the_committed_reference_is_the_generated_one() -> None:
    text = (ROOT / "docs/scenario-reference.md").read_text(encoding="utf-8")
    assert text == reference(), "run: python -m emulator.scenario.reference > docs/scenario-reference.md"


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
    assert {tuple(row) for row in rows} == {("name", "description", "path")}


def test_a_broken_scenario_does_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "scenarios"
    for name, text in (("good", 'description = "one\\ntwo"'), ("worse", "= nonsense"), ("plain", "")):
        (package / name).mkdir(parents=True)
        (package / name / SCENARIO_FILE).write_text(text, encoding="utf-8")
    (package / "__init__.py").write_text("", encoding="utf-8")
    from importlib.machinery import PathFinder

    monkeypatch.setattr(
        "emulator.scenario.catalogue.find_spec", lambda name: PathFinder.find_spec(name, [str(tmp_path)])
    )
    entries = {entry.name: entry.description for entry in bundled()}
    assert entries["good"] == "one"
    assert entries["plain"] == ""
    assert entries["worse"].startswith("(cannot be read: ")


def test_schema_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_schema("scenario_fakes")
    assert json.loads(capsys.readouterr().out)["properties"]["shell"]
