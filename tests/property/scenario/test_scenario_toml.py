"""A scenario written as TOML loads back equal; any data written by our writer reads back through tomllib."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import Field

from emulator.model.errors import Problem, ScenarioError
from emulator.model.tables import RecipeOptions, Table
from emulator.model.units import Duration, Rate, Share, show
from emulator.scenario import Scenario, load
from emulator.scenario.recipe import merge
from emulator.scenario.toml.spans import LineIndex
from emulator.scenario.toml.writer import dumps, scenario_toml, value_text
from emulator.sdk.node import Node

HERE = __name__  # this module is the topology and the home of the program


class Shell(Table):
    altitude_m: Duration | None = None
    label: str = ""
    planes: int = 1


class Config(Table):
    shell: Shell = Shell()
    offsets_s: tuple[Duration, ...] = ()


def build(config: Config, options: Any) -> Any:
    raise AssertionError("not built here")


class Program(Node):
    @dataclass(frozen=True, slots=True)
    class Config:
        interval_s: Duration = 0.05
        rate_bps: Rate = float("inf")
        loss: Share = 0.0
        words: tuple[str, ...] = ()
        table: dict[str, float] = field(default_factory=dict)


class Parameters(Table):
    """This module is a recipe, too: its parameters have names of core keys and of a table of the topology."""

    shell: str = "x"
    ends: int | None = None
    limits: dict[str, int] = Field(default_factory=dict)
    split: tuple[float, ...] = ()
    pause_s: Duration = 1.0


def compose(parameters: Parameters, options: RecipeOptions) -> dict[str, Any]:
    """A scenario with a part for every kind of key."""
    config = {"interval": show(parameters.pause_s, "duration"), "table": dict(parameters.limits)}
    return {
        "topology": HERE,
        "shell": {"label": parameters.shell, "planes": options.seed % 5},
        "offsets": [show(each, "duration") for each in parameters.split if 0 <= each < 1e6],
        "program": [{"name": "composed", "nodes": ["*"], "run": f"{HERE}:Program", "config": config}],
        "expect": [{"figure": "summary.x", "equals": parameters.ends}] if parameters.ends is not None else [],
    }


text = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
# A text with placeholders: single braces would begin one.
template = text.map(lambda words: words.replace("{", "{{").replace("}", "}}")) | st.just("{node}:{index}")
seconds = st.floats(1e-9, 50.0)
durations = seconds.map(lambda value: show(value, "duration"))
rates = st.floats(0, 1e12).map(lambda value: show(value, "rate"))
shares = st.floats(0, 100).map(lambda value: f"{value!r} %")
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,10}", fullmatch=True)
globs = st.lists(text.filter(bool), min_size=1, max_size=3)


def optional(required: dict[str, Any], **others: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=others)


configs = optional(
    {},
    interval=durations,
    rate=rates,
    loss=shares,
    words=st.lists(text, max_size=3),
    table=st.dictionaries(text, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
)
programs = optional(
    {"nodes": globs, "run": st.just(f"{HERE}:Program")}, config=configs, start=durations, barrier=names
) | optional(
    {"nodes": globs, "command": st.lists(template, min_size=1, max_size=3)},
    environment=st.dictionaries(text, template, max_size=3),
    expect=st.sampled_from(["running", "any", "exit 0"]),
)
actions = (
    optional({"at": durations, "do": st.just("link-down"), "links": globs})
    | optional({"every": durations, "do": st.just("set"), "links": globs, "rate": rates}, loss=shares, up=st.booleans())
    | optional({"at": durations, "do": st.just("partition"), "groups": st.lists(globs, min_size=2, max_size=3)})
)
bounds = st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | text
expects = st.fixed_dictionaries({"figure": text.filter(bool), "equals": bounds})
recorded = st.recursive(
    bounds, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
)
scenarios = optional(
    {"topology": st.just(HERE)},
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,10}", fullmatch=True),
    description=text,
    duration=st.floats(51, 1e6).map(lambda value: show(value, "duration")),
    seed=st.integers(0, 2**63 - 1),
    materialise=st.sampled_from(["ends", "all"]) | globs,
    routing=st.sampled_from(["least-delay", "static", "neighbours", "none"]),
    ends=st.sampled_from(["duration", "programs"]),
    rounds=optional(
        {}, max_rounds=st.integers(1, 2**60), max_messages=st.integers(1, 2**60), fidelity=st.floats(0, 1) | st.just(1)
    ),
    parameters=st.dictionaries(text, recorded, max_size=3),
    prediction=st.dictionaries(text, bounds, max_size=3),
    step=durations,
    program=st.dictionaries(names, programs, max_size=3).map(
        lambda named: [{"name": name, **program} for name, program in named.items()]
    ),
    action=st.lists(actions, max_size=3),
    expect=st.lists(expects, max_size=3),
    capture=optional({}, links=globs),
    fidelity=optional({}, lateness_p99=durations, realtime=st.booleans()),
    engine=optional({}, threads=st.integers(1, 64)),
    shell=optional({}, altitude=durations, label=text, planes=st.integers(-(2**60), 2**60)),
    offsets=st.lists(durations, max_size=3),
)


tables = st.dictionaries(st.sampled_from(["program", "rounds", "shell", "seed"]), recorded, max_size=4)


@given(composed=tables, written=tables)
def test_what_is_written_wins_over_what_a_recipe_composed(composed: dict[str, Any], written: dict[str, Any]) -> None:
    def check(merged: Any, below: Any, above: Any, top: bool) -> None:
        if isinstance(below, dict) and isinstance(above, dict):
            assert set(merged) == set(below) | set(above)
            for key, value in merged.items():
                if key in below and key in above:
                    check(value, below[key], above[key], top=top and key == "program")
                else:
                    assert value == (above[key] if key in above else below[key])
        else:
            lists = top and isinstance(below, list) and isinstance(above, list)
            assert merged == ([*below, *above] if lists else above)

    before = repr((composed, written))
    check(merge(composed, written), composed, written, top=True)
    assert repr((composed, written)) == before


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("written") / "written.toml"


@settings(max_examples=150)
@given(data=scenarios)
def test_a_resolved_scenario_loads_back_equal(file: Any, data: dict[str, Any]) -> None:
    assume(data.get("program") or data.get("ends") != "programs")

    def loaded(toml: str) -> Scenario:
        file.write_text(toml, encoding="utf-8", newline="")
        return load(file)

    first = loaded(dumps(data))
    second = loaded(scenario_toml(first))
    assert second == first
    assert scenario_toml(second) == scenario_toml(first)
    assert [program.config_values for program in second.programs] == [each.config_values for each in first.programs]


given_parameters = optional(
    {},
    shell=text,
    ends=st.integers(-(2**60), 2**60),
    limits=st.dictionaries(text, st.integers(-(2**50), 2**50), max_size=3),
    split=st.lists(st.floats(-1e9, 1e9), max_size=3),
    pause=durations,
)


@settings(max_examples=60)
@given(parameters=given_parameters, seed=st.integers(0, 2**63 - 1), programs=st.lists(programs, max_size=2))
def test_a_composed_scenario_loads_back_equal_without_its_recipe(
    file: Any, parameters: dict[str, Any], seed: int, programs: list[dict[str, Any]]
) -> None:
    own = [{"name": f"own{number}", **program} for number, program in enumerate(programs)]
    data = {"recipe": HERE, "duration": "60 s", "seed": seed, **parameters} | ({"program": own} if own else {})
    file.write_text(dumps(data), encoding="utf-8", newline="")
    first = load(file, ["shell.planes=3", f"duration={1000.5}s"])
    assert [program.name for program in first.programs] == ["composed", *(each["name"] for each in own)]
    assert (first.tables.shell.label, first.tables.shell.planes) == (parameters.get("shell", "x"), 3)
    file.write_text(scenario_toml(first), encoding="utf-8", newline="")
    assert load(file) == first
    assert "recipe" not in tomllib.loads(scenario_toml(first))


keys = st.lists(
    st.sampled_from(
        ["recipe", "shell", "ends", "limits", "split", "pause", "planes", "program", "composed", "config", "0", "table",
         "expect", "rounds", "parameters", "prediction", "topology", "directory", "name", "seed", "odd"]
    ),
    min_size=1,
    max_size=4,
)  # fmt: skip


@settings(max_examples=300)
@given(items=st.lists(st.tuples(keys, recorded), min_size=1, max_size=3))
def test_any_option_makes_a_scenario_or_a_scenario_error(file: Any, items: list[tuple[list[str], Any]]) -> None:
    file.write_text(f'recipe = "{HERE}"\n', encoding="utf-8")
    options = [f"{'.'.join(path)}={value_text(value)}" for path, value in items]
    problems: list[Problem] = []
    try:
        scenario_toml(load(file, options))
    except ScenarioError as error:
        problems = error.problems
    assert all(problem.where and problem.found and problem.expected for problem in problems), options


def test_a_different_scenario_is_not_equal(file: Any) -> None:
    file.write_text(dumps({"topology": HERE}), encoding="utf-8")
    assert load(file) == load(file)
    assert load(file, overrides=["shell.planes=2"]) != load(file)
    assert load(file, overrides=["seed=2"]) != load(file)


values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(text, values, max_size=4))
def test_the_writer_writes_what_tomllib_reads(data: dict[str, Any]) -> None:
    assert tomllib.loads(dumps(data)) == data


@given(st.dictionaries(text, values, max_size=4))
def test_the_line_index_knows_every_key_of_written_toml(data: dict[str, Any]) -> None:
    toml = dumps(data)
    index = LineIndex(toml)
    total = toml.count("\n")

    def walk(value: object, path: tuple[str | int, ...]) -> None:
        assert index.has(path)
        assert 1 <= index.line(path) <= total
        for key, item in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            walk(item, (*path, key))

    walk(data, ())


@given(st.text(max_size=200))
def test_any_text_is_a_scenario_or_a_scenario_error(tmp_path_factory: pytest.TempPathFactory, toml: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(toml.encode("utf-8", "surrogatepass"))
    with pytest.raises(ScenarioError):  # text that also names a topology is not found by chance
        load(path)
