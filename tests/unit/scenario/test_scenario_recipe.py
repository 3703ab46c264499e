"""Recipes: a scenario composed from parameters, what wins over what, and where its mistakes are said to stand."""

from __future__ import annotations

import tomllib
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from scenario_fakes import FILE, RECIPE, write

from emulator.model.errors import EXIT_DATA, Problem, ScenarioError
from emulator.scenario import Scenario, load
from emulator.scenario.schema.names import check_names
from emulator.scenario.toml.writer import scenario_toml

_number = count()


def loaded(folder: Path, text: str = FILE, *items: str, recipe: str = RECIPE) -> Scenario:
    """The file loaded over a recipe module of its own, so that no test meets the module of another."""
    name = f"recipe_{next(_number)}_of_{folder.name}"
    write(folder, recipe, f"{name}.py")
    return load(write(folder, text.replace("RECIPE", name)), overrides=items)


def problems_of(folder: Path, text: str = FILE, *items: str, recipe: str = RECIPE) -> list[Problem]:
    with pytest.raises(ScenarioError) as caught:
        loaded(folder, text, *items, recipe=recipe)
    assert caught.value.exit_code == EXIT_DATA
    return caught.value.problems


def the_problem(folder: Path, text: str = FILE, *items: str, recipe: str = RECIPE) -> Problem:
    problems = problems_of(folder, text, *items, recipe=recipe)
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0]


def place_of(problem: Problem) -> str:
    """The line, or the option."""
    return problem.where.rpartition(":")[2]


def test_parameters_become_a_scenario(tmp_path: Path) -> None:
    scenario = loaded(tmp_path)
    assert [program.name for program in scenario.programs] == ["agents", "mine"]
    assert scenario.programs[0].config_values["count"] == 64
    assert [station.name for station in scenario.tables.ground.stations] == ["s0", "s1"]
    assert scenario.prediction == {"win": True, "seed": 7, "seconds": 30.0, "mean": 4.1}
    assert (scenario.ends, scenario.rounds.max_rounds, scenario.rounds.fidelity) == ("programs", 100, 1.0)
    assert scenario.recipe is None
    assert scenario.parameters == {
        "agents": 64,
        "shell": "low",
        "timeout": "100 ms",
        "split": [1, 2],
        "look": {"at": 3},
    }


def test_the_file_wins_over_the_recipe_and_lists_are_appended(tmp_path: Path) -> None:
    text = FILE + "\n[rounds]\nmax_messages = 5\n[[expect]]\nfigure = 'summary.rounds'\nat_most = 9\n"
    scenario = loaded(tmp_path, text)
    assert (scenario.rounds.max_rounds, scenario.rounds.max_messages) == (100, 5)
    assert [expect.figure for expect in scenario.expects] == ["summary.win", "summary.rounds"]
    assert loaded(tmp_path, 'ends = "duration"\nanalysis = "my.figures"\n' + FILE).ends == "duration"


@pytest.mark.parametrize(
    ("item", "path", "value"),
    [
        ("agents=8", "programs.0.config_values.count", 8),
        ("timeout=1s", "programs.0.config_values.interval_s", 1.0),
        ("look.at=4", "parameters.look.at", 4),
        ("look.at=4", "programs.0.config_values.tags.look", 4),
        ("split.0=9", "parameters.split.0", 9),
        ("split=[3]", "parameters.split.0", 3),
        ("seed=9", "prediction.seed", 9),
        ("duration=20s", "prediction.seconds", 20.0),
        ("shell=high", "tables.shell.altitude_m", 1200e3),
        ("shell.planes=5", "tables.shell.planes", 5),  # the parameter is a text: this is the topology's table
        ("program.agents.config.loss=3 %", "programs.0.config_values.loss", 0.03),
        ("program.0.start=1s", "programs.0.start_s", 1.0),
        ("program.mine.start=1s", "programs.1.start_s", 1.0),
        ("ground.station.s1.latitude_deg=3", "tables.ground.stations.1.latitude_deg", 3.0),
        ("rounds.max_rounds=7", "rounds.max_rounds", 7),
        ("expect=[]", "expects", ()),
        ("prediction.mean=5.5", "prediction.mean", 5.5),
    ],
)
def test_options_reach_parameters_and_what_was_composed(tmp_path: Path, item: str, path: str, value: object) -> None:
    found: Any = loaded(tmp_path, FILE, item)
    for part in path.split("."):
        by_key = part.isdigit() or isinstance(found, dict)
        found = found[int(part) if part.isdigit() else part] if by_key else getattr(found, part)
    assert found == value


def test_the_resolved_scenario_is_flat_and_loads_back_equal(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, FILE, "agents=8", "shell.planes=5")
    text = scenario_toml(scenario)
    data = tomllib.loads(text)
    assert "recipe" not in data
    assert "agents" not in data
    assert data["parameters"]["agents"] == 8
    assert data["shell"]["planes"] == 5
    again = load(write(tmp_path, text, "again.toml"))
    assert again == scenario
    assert scenario_toml(again) == text


def test_a_parameter_of_a_composed_file_is_set_in_the_scenario_with_the_recipe(tmp_path: Path) -> None:
    path = write(tmp_path, scenario_toml(loaded(tmp_path)), "again.toml")
    with pytest.raises(ScenarioError, match=r"unknown key 'agents'\n.*set 'agents' in the scenario with the recipe"):
        load(path, ["agents=8"])
    with pytest.raises(ScenarioError, match="an option on `parameters`, which are a record"):
        load(path, ["parameters.agents=8"])


def test_relative_files_of_parameters_are_of_the_scenarios_directory(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    write(inner, RECIPE.replace('"."', "options.directory"), "inner_recipe.py")
    path = write(tmp_path, 'directory = "inner"\n' + FILE.replace("RECIPE", "inner_recipe.py"))
    assert load(path).description == str(inner)


def test_a_recipe_may_be_a_file(tmp_path: Path) -> None:
    write(tmp_path, RECIPE, "by_file.py")
    assert load(write(tmp_path, FILE.replace("RECIPE", "by_file.py"))).parameters["agents"] == 64


# ---- mistakes


@pytest.mark.parametrize(
    ("item", "key", "found", "expected"),
    [
        ("agents=many", "agents", '"many"', "an integer"),
        ("agents=0", "agents", "0", "at least 1"),
        ("agents=13", "agents", "13 agents", "another number"),
        ("agents=14", "recipe", "14 of them", "no more than 13"),
        ("agents=15", "recipe", "file.edges:3 is no edge", "files and parameters"),
        ("parameters.agents=8", "", "an option on `parameters`", "a key of its own"),
        ("agents=21", "recipe", "fails: ValidationError: 1 validation error for Look at", "without an error"),
        ("agents=16", "recipe", "fails: KeyError: 'sixteen' (recipe_", "without an error"),
        ("agents=17", "recipe", "composed `program.0.config.tags` as {1}", "a table"),
        ("agents=18", "recipe", "composed no `topology`", "a topology"),
        ("agents=19", "recipe", "composed the key 'seed'", "a topology"),
        ("agents=20", "recipe", "composed no table", "a dict"),
        ("look.att=3", "look.att", "unknown key 'att'", "did you mean 'at'?"),
        ("agentz=3", "agentz", "unknown key 'agentz'", "did you mean 'agents'?"),
        ("timeout.x=3", "timeout", "a table 'timeout'", "as a parameter"),
        ("sed=3", "sed", "unknown key 'sed'", "did you mean 'seed'?"),
        ("seed=-1", "seed", "-1", "at least 0"),
        ("ground.stations=[]", "ground.stations", "unknown key", "did you mean 'station'?"),
        ("program.agent.start=1s", "", "`program` has no 'agent'", "did you mean 'agents'?"),
        ("program.agents.config.intervall=1s", "program.agents.config.intervall", "unknown key", "'interval'"),
    ],
)
def test_one_mistake_is_one_problem(tmp_path: Path, item: str, key: str, found: str, expected: str) -> None:
    problem = the_problem(tmp_path, FILE, item)
    assert problem.key == key
    assert found in problem.found
    assert expected in problem.expected
    assert place_of(problem) == (f"--set {item.partition('=')[0]}" if key != "recipe" else "1")


def test_mistakes_in_the_file_have_their_lines(tmp_path: Path) -> None:
    text = FILE.replace("agents = 64", "agents = 13")
    assert place_of(the_problem(tmp_path, text)) == "2"
    problems = problems_of(tmp_path, FILE.replace("agents = 64", 'agents = "x"\nagentz = 3').replace("7", '"7"'))
    assert [(place_of(problem), problem.key) for problem in problems] == [
        ("2", "agents"),
        ("3", "agentz"),
        ("4", "seed"),
    ]


def test_a_parameter_that_is_not_in_the_file_stands_at_the_recipe(tmp_path: Path) -> None:
    problem = the_problem(tmp_path, FILE.replace("agents = 64", ""), recipe=RECIPE.replace("Field(64", "Field(13"))
    assert (place_of(problem), problem.key) == ("1", "agents")


def test_mistakes_of_the_files_own_programs_have_their_lines(tmp_path: Path) -> None:
    problem = the_problem(tmp_path, FILE.replace('command = ["true"]', 'command = ["true"]\nstrat = "3 s"'))
    assert (place_of(problem), problem.key) == ("9", "program.mine.strat")
    problem = the_problem(tmp_path, FILE.replace('"mine"', '"agents"'))
    assert (place_of(problem), problem.key) == ("6", "program.1.name")


def test_what_was_composed_wrongly_says_who_composed_it(tmp_path: Path) -> None:
    problem = the_problem(tmp_path, recipe=RECIPE.replace('"nodes": ["gs-*"]', '"nodes": []'))
    assert (place_of(problem), problem.key) == ("1", "program.agents.nodes")
    assert "(composed by recipe_" in problem.found
    problems = problems_of(tmp_path, FILE, "shell=low", recipe=RECIPE.replace('"altitude":', '"height":'))
    assert [(place_of(problem), problem.key) for problem in problems] == [
        ("1", "shell.altitude"),
        ("1", "shell.height"),
    ]
    assert all("(composed by recipe_" in problem.found for problem in problems)


def test_names_that_match_nothing_say_who_composed_them(tmp_path: Path) -> None:
    problems = check_names(loaded(tmp_path), ["a"], ["a:b"])
    assert [(place_of(problem), problem.key) for problem in problems] == [
        ("1", "program.agents.nodes.0"), ("7", "program.mine.nodes.0"),
    ]  # fmt: skip
    assert "(composed by recipe_" in problems[0].found
    assert "composed" not in problems[1].found


@pytest.mark.parametrize(
    ("recipe", "found", "expected"),
    [
        ("", "is no recipe", "`Parameters` and a `compose`"),
        (RECIPE.replace("agents: int", "seed: int"), "has a parameter 'seed'", "another name"),
        ("import nothing_of_that_name", "fails to import", "without an error"),
    ],
)
def test_recipes_that_are_none(tmp_path: Path, recipe: str, found: str, expected: str) -> None:
    problem = the_problem(tmp_path, recipe=recipe)
    assert (place_of(problem), problem.key) == ("1", "recipe")
    assert found in problem.found
    assert expected in problem.expected


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("recipe = 3\n", "recipe"),
        ('recipe = ""\n', "recipe"),
        ('recipe = "no.such.module"\nanything = 3\n', "recipe"),
        ('recipe = "no_file.py"\n', "recipe"),
        (FILE + "[parameters]\nagents = 3\n", "parameters"),
    ],
)
def test_mistakes_about_the_recipe_itself(tmp_path: Path, text: str, key: str) -> None:
    problem = the_problem(tmp_path, text)
    assert problem.key == key
    assert problem.expected


# ---- core keys that recipes use; files may say them too


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('ends = "never"', "ends"),
        ('ends = "programs"', "ends"),
        ("rounds.fidelity = 1.1", "rounds.fidelity"),
        ("rounds.max_rounds = 0", "rounds.max_rounds"),
        ("rounds.max_messages = 1.5", "rounds.max_messages"),
        ("rounds.max_round = 1", "rounds.max_round"),
        ("prediction.rounds = [1]", "prediction.rounds"),
        ("prediction.rounds = inf", "prediction.rounds"),
        ("parameters.day = 2026-01-01", "parameters"),
        ("parameters.x = nan", "parameters"),
        ('routing = "neighbors"', "routing"),
    ],
)
def test_new_keys_are_checked(tmp_path: Path, line: str, key: str) -> None:
    problem = the_problem(tmp_path, f'topology = "scenario_fakes"\nshell.altitude = "1 km"\n{line}\n')
    assert (place_of(problem), problem.key) == ("3", key)


def test_programs_that_end_by_themselves_are_expected_to_end_well(tmp_path: Path) -> None:
    program = 'name = "a"\nnodes = ["a"]\nrun = "scenario_fakes:Probe"\nbarrier = "all"\n'
    text = f'topology = "scenario_fakes"\nshell.altitude = "1 km"\n%s\n[[program]]\n{program}'
    at_will = loaded(tmp_path, text % 'ends = "programs"').programs[0]
    assert (at_will.expect, at_will.barrier) == ("exit 0", "all")
    assert loaded(tmp_path, text % "").programs[0].expect == "running"
    assert loaded(tmp_path, f'{text}expect = "any"' % 'ends = "programs"').programs[0].expect == "any"


def test_barriers_are_for_python_programs(tmp_path: Path) -> None:
    problem = the_problem(tmp_path, FILE + 'barrier = "all"\n')
    assert problem.key == "program.mine"
    assert "`run` only" in problem.expected
