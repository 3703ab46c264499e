"""Loading scenario files: what is read, and everything that is wrong reported at once, with the right lines."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from scenario_fakes import GOOD, write

from emulator.model.errors import EXIT_DATA, EXIT_USAGE, Problem, ScenarioError, UsageError
from emulator.scenario import Program, bundled, load
from emulator.scenario.schema.names import check_names
from emulator.scenario.toml.writer import scenario_toml


def problems_of(folder: Path, text: str, **options: object) -> list[Problem]:
    with pytest.raises(ScenarioError) as caught:
        load(write(folder, text), **options)  # type: ignore[arg-type]
    assert caught.value.exit_code == EXIT_DATA
    return caught.value.problems


def the_problem(folder: Path, text: str) -> Problem:
    problems = problems_of(folder, text)
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0]


def line_of(problem: Problem) -> int:
    return int(problem.where.rpartition(":")[2])


def test_a_good_file_becomes_si_values(tmp_path: Path) -> None:
    scenario = load(write(tmp_path, GOOD))
    assert (scenario.name, scenario.duration_s, scenario.step_s, scenario.seed) == ("small", 60.0, 1.0, 7)
    assert scenario.tables.shell.altitude_m == 550e3
    assert [station.name for station in scenario.tables.ground.stations] == ["tokyo", "paris"]
    assert scenario.fidelity.lateness_p99_s == 0.002
    action = scenario.actions[0]
    assert (action.at_s, action.do, action.links, action.undo_after_s) == (10.0, "link-down", ("gs-tokyo:up",), 3.0)
    assert (scenario.expects[0].figure, scenario.expects[0].at_least) == ("summary.handovers", 1)
    assert Path(scenario.directory) == tmp_path


def test_program_config_is_plain_si_values_with_defaults(tmp_path: Path) -> None:
    probe, server = load(write(tmp_path, GOOD)).programs
    values = probe.config_values
    assert values["to"] == ["gs-paris"]
    assert values["interval_s"] == 0.02
    assert values["rate_bps"] == float("inf")
    assert values["count"] == 10
    assert server.config_values == {}
    assert server.command == ("iperf3", "-s")
    assert server.environment == {"LANG": "C"}


def test_a_config_may_have_a_key_that_mappings_have_as_a_method(tmp_path: Path) -> None:
    write(
        tmp_path,
        "from dataclasses import dataclass\nfrom emulator.sdk.node import Node\nclass Signer(Node):\n"
        "    @dataclass\n    class Config:\n        keys: tuple[str, ...] = ()\n",
        "signer.py",
    )
    text = f'{GOOD}\n[[program]]\nname = "signer"\nnodes = "*"\nrun = "signer.py:Signer"\nconfig = {{ keys = ["a"] }}\n'
    assert load(write(tmp_path, text)).programs[-1].config_values == {"keys": ["a"]}


def test_expect_of_a_program_depends_on_its_kind(tmp_path: Path) -> None:
    probe, server = load(write(tmp_path, GOOD)).programs
    assert (probe.expect, server.expect) == ("running", "well")
    assert (
        Program.model_validate({"name": "a", "nodes": ["*"], "command": ["x"], "expect": "exit 3"}).expect == "exit 3"
    )


def test_the_name_falls_back_to_the_file_or_its_folder(tmp_path: Path) -> None:
    nameless = GOOD.replace('name = "small"\n', "", 1)
    assert load(write(tmp_path, nameless, "mine.toml")).name == "mine"
    folder = tmp_path / "satellites"
    folder.mkdir()
    write(folder, nameless, "scenario.toml")
    assert load(folder).name == "satellites"


# Every line with a mark is wrong, each at the key that the mark names.
BAD = """\
duration = 60             # BAD duration
topologie = "x"           # BAD topologie
topology = "scenario_fakes"
seed = -3                 # BAD seed
materialise = "some"      # BAD materialise
step = "1 parsec"         # BAD step

[shell]
altitude = 550            # BAD shell.altitude
plans = 3                 # BAD shell.plans
planes = "72"             # BAD shell.planes

[[ground.station]]
name = "tokyo"
latitude_deg = true       # BAD ground.station.tokyo.latitude_deg

[[ground.station]]        # BAD ground.station.paris.latitude_deg
name = "paris"

[[program]]
name = "probe"
nodes = 7                 # BAD program.0.nodes
run = "scenario_fakes:Probe"
[program.config]
interval = "20"           # BAD program.0.config.interval
inteval = 3               # BAD program.0.config.inteval
to = [
  "gs-paris",
  4,                      # BAD program.0.config.to.1
]

[[program]]               # BAD program.1
name = "probe"            # BAD program.1.name
nodes = ["gs-b"]

[[program]]
name = "other"
nodes = []                # BAD program.other.nodes
run = "scenario_fakes:Prob" # BAD program.other.run

[[action]]                # BAD action.0
at = "10 s"
do = "set"
links = ["gs-a:up"]

[[action]]
at = "3 s"
do = "explode"            # BAD action.1.do
program = "prob"          # BAD action.1.program

[[expect]]                # BAD expect.0
figure = "summary.handovers"

[fidelity]
lateness_p99 = "-3 ms"    # BAD fidelity.lateness_p99
"""


def test_all_problems_at_once_each_on_its_line(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, BAD)
    marks = {
        (number, match[1])
        for number, line in enumerate(BAD.splitlines(), 1)
        if (match := re.search(r"# BAD (\S+)", line))
    }
    assert {(line_of(problem), problem.key) for problem in problems} == marks
    assert [line_of(problem) for problem in problems] == sorted(line_of(problem) for problem in problems)
    assert all(problem.found and problem.expected for problem in problems)


@pytest.mark.parametrize(
    ("key", "found", "expected"),
    [
        ("duration", "60: a number without a unit", "a duration such as '12 ms'"),
        ("topologie", "unknown key 'topologie'", "did you mean 'topology'?"),
        ("step", "unknown unit 'parsec'", "units: ns, us"),
        ("shell.plans", "unknown key 'plans'", "did you mean 'planes'?"),
        ("shell.planes", '"72"', "an integer"),
        ("materialise", '"some"', "'ends' or 'all' or a list"),
        ("program.0.config.inteval", "unknown key 'inteval'", "did you mean 'interval'?"),
        ("program.1", "neither `run` nor `command`", "exactly one"),
        ("program.1.name", "'probe' a second time", "names that differ"),
        ("program.other.run", "has no 'Prob'", "did you mean 'Probe'?"),
        ("action.1.do", '"explode"', "'crash'"),
        ("action.1.program", "'prob'", "did you mean 'probe'?"),
        ("fidelity.lateness_p99", "negative", "a duration"),
        ("ground.station.paris.latitude_deg", "nothing", "this key"),
    ],
)
def test_problems_say_what_was_found_and_wanted(tmp_path: Path, key: str, found: str, expected: str) -> None:
    problem = {problem.key: problem for problem in problems_of(tmp_path, BAD)}[key]
    assert found in problem.found
    assert expected in problem.expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('name = "a"\nseed = \n', 2),
        ("[shell\n", 1),
        ("name = 'a'\nname = 'b'\n", 2),
        ("[shell]\na = 1\n[shell]\n", 3),
        ('name = """never closed\n\n', 3),
        ("x = 2026-13-41\n", 1),
    ],
)
def test_malformed_toml_is_one_problem_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    problem = the_problem(tmp_path, text)
    assert line_of(problem) == line
    assert problem.key == ""
    assert problem.expected.startswith("TOML (")


def test_what_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"name = '\xff\xfe'")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        load(path)


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    assert "nested too deeply" in the_problem(tmp_path, f"x = {'[' * 5000}{']' * 5000}").found


@pytest.mark.parametrize("text", ["0 s", "0 ms"])
def test_a_zero_length_run_is_refused(tmp_path: Path, text: str) -> None:
    problem = the_problem(tmp_path, GOOD.replace("60 s", text))
    assert (problem.key, line_of(problem)) == ("duration", 3)
    assert "above 0" in problem.expected


def test_an_empty_file_names_what_is_missing(tmp_path: Path) -> None:
    problem = the_problem(tmp_path, "")
    assert (problem.key, problem.found) == ("topology", "nothing")
    assert "Topology module" in problem.expected


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('at = "10 s"', 'at = "61 s"', "action.0.at"),
        ('at = "10 s"', 'every = "61 s"', "action.0.every"),
        ('for = "3 s"', 'until = "2 min"', "action.0.until"),
        ('name = "server"', 'name = "server"\nstart = "70 s"', "program.server.start"),
        ("seed = 7", 'seed = 7\nstep = "2 s"\nrouting_step = "3 s"', "routing_step"),
        ('name = "server"', 'name = "server"\nstart = "9 s"\nstop = "8 s"', "program.server"),
        ('name = "server"', 'name = "server"\nrun = "scenario_fakes:Probe"', "program.server"),
        ('name = "server"', 'name = "server"\nconfig = { a = 1 }', "program.server"),
        ('name = "server"', 'name = "ser ver"', "program.1.name"),
        ('name = "small"', 'name = "../etc"', "name"),
        ("min_elevation_deg = 30", "min_elevation_deg = 91", "ground"),
        ('interval = "20 ms"', "count = 13", "program.probe.config"),
        ("scenario_fakes:Probe", "scenario_fakes:NotANode", "program.probe.run"),
        ("scenario_fakes:Probe", "no_such_module:Probe", "program.probe.run"),
        ("scenario_fakes:Probe", "scenario_fakes.Probe", "program.probe.run"),
        ('"scenario_fakes"', '"no.such.topology"', "topology"),
        ('"scenario_fakes"', '"missing.py"', "topology"),
        ('"scenario_fakes"', '"emulator.model.errors"', "topology"),
    ],
)
def test_single_mistakes(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    problem = the_problem(tmp_path, text)
    assert problem.key == key
    assert problem.expected
    assert 1 <= line_of(problem) <= text.count("\n")


@pytest.mark.parametrize(
    "action",
    [
        'do = "heal"',  # neither at nor every
        'at = "1 s"\nevery = "1 s"\ndo = "heal"',
        'at = "1 s"\ndo = "link-down"',
        'at = "1 s"\ndo = "crash"',
        'at = "1 s"\ndo = "crash"\nnodes = ["a"]\nlinks = ["a:b"]',
        'at = "1 s"\ndo = "partition"\nnodes = ["a"]',
        'at = "1 s"\ndo = "set"\nlinks = ["a:b"]\ncommand = ["x"]\nup = true',
        'at = "1 s"\ndo = "exec"\nnodes = ["a"]',
        'at = "1 s"\ndo = "heal"\nfor = "2 s"',
        'at = "1 s"\ndo = "hold"\nnodes = ["a"]\nfor = "2 s"\nuntil = "4 s"',
        'at = "4 s"\ndo = "hold"\nnodes = ["a"]\nuntil = "4 s"',
        'every = "4 s"\ndo = "hold"\nnodes = ["a"]\nuntil = "8 s"',
        'every = "4 s"\ndo = "hold"\nnodes = ["a"]\nfor = "4 s"',
    ],
)
def test_actions_that_do_not_make_sense(tmp_path: Path, action: str) -> None:
    problem = the_problem(tmp_path, f"{GOOD}\n[[action]]\n{action}\n")
    assert problem.key == "action.1"
    assert line_of(problem) == GOOD.count("\n") + 2


@pytest.mark.parametrize(
    "action",
    [
        'at = "1 s"\ndo = "crash"\nprogram = "probe"\nfor = "2 s"',
        'every = "5 s"\ndo = "restart"\nnodes = ["gs-*"]',
        'at = "1 s"\ndo = "partition"\ngroups = [["gs-tokyo"], ["gs-paris"]]\nuntil = "3 s"',
        'at = "0 s"\ndo = "heal"',
        'at = "1 s"\ndo = "set"\nlinks = ["*"]\nrate = "1 Mbit/s"\ndelay = "3 ms"\nloss = "100 %"\nup = false',
        'at = "60 s"\ndo = "exec"\nnodes = ["gs-tokyo"]\ncommand = ["true"]',
    ],
)
def test_actions_that_do(tmp_path: Path, action: str) -> None:
    assert len(load(write(tmp_path, f"{GOOD}\n[[action]]\n{action}\n")).actions) == 2


def test_a_command_that_is_none_tells_both_forms(tmp_path: Path) -> None:
    problem = the_problem(tmp_path, f'{GOOD}\n[[action]]\nat = "1 s"\ndo = "exec"\nnodes = ["*"]\ncommand = false\n')
    assert (problem.found, problem.expected) == ("false: neither text nor a list", "a text or a list of words")


def test_loss_beyond_certainty_is_refused(tmp_path: Path) -> None:
    problem = the_problem(tmp_path, f'{GOOD}\n[[action]]\nat = "1 s"\ndo = "set"\nlinks = ["*"]\nloss = "101 %"\n')
    assert "100 %" in problem.expected


def test_names_are_checked_against_the_network(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    scenario = load(path, overrides=['capture.links=["gs-tokio:*"]'])
    nodes, ends = ["gs-tokyo", "sat-1"], ["gs-tokyo:up", "gs-tokyo:up~down"]
    problems = {problem.key: problem for problem in check_names(scenario, nodes, ends)}
    assert set(problems) == {"program.server.nodes.0", "capture.links.0"}
    assert line_of(problems["program.server.nodes.0"]) == GOOD[: GOOD.index('nodes = ["gs-paris"]')].count("\n") + 1
    assert problems["capture.links.0"].where == "--set capture.links"
    assert not check_names(scenario, ["gs-tokyo", "gs-paris"], ["gs-tokio:up", "gs-tokyo:up"])
    only_live = check_names(scenario, ["gs-tokyo", "gs-paris"], ["gs-tokio:up", "gs-tokyo:up"], live=["gs-tokyo"])
    assert [problem.key for problem in only_live] == ["program.server.nodes.0"]


@pytest.mark.parametrize("source", ["no-such-scenario", "nowhere/at/all.toml", "/", "no.toml"])
def test_a_scenario_that_does_not_exist_is_a_usage_error(source: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(source)
    assert caught.value.exit_code == EXIT_USAGE


def test_a_misspelt_bundled_name_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean 'leo'"):
        load("le0")


def test_a_python_file_is_no_scenario(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--topo"):
        load(write(tmp_path, "x = 1\n", "topo.py"))


def test_every_bundled_scenario_loads_and_has_a_description() -> None:
    entries = bundled()
    assert "leo" in [entry.name for entry in entries]
    for entry in entries:
        scenario = load(entry.name)
        assert scenario.name == entry.name
        assert entry.description == scenario.description.splitlines()[0]


def test_tle_becomes_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scenario = load(write(tmp_path, GOOD), elements="sets.tle", skip_bad=True)
    assert scenario.tables.shell.elements == str(tmp_path / "sets.tle")
    assert scenario.skip_bad


def test_a_problem_with_tle_names_the_option(tmp_path: Path) -> None:
    text = GOOD.replace('[shell]\naltitude = "550 km"', "").replace('"scenario_fakes"', '"plain.py"')
    write(tmp_path, "from pydantic import BaseModel\nclass Config(BaseModel): pass\ndef build(c, o): ...\n", "plain.py")
    problems = problems_of(tmp_path, text, elements="sets.tle")
    assert [(problem.where, problem.key) for problem in problems if "shell" in problem.key] == [("--elements", "shell")]


def test_importing_the_room_or_loading_costs_no_numpy() -> None:
    code = "import sys, emulator.scenario; assert not {'numpy', 'pydantic'} & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys; from emulator.scenario import load, Scenario; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "key", ["duration", "step", "routing_step", "program.probe.start", "program.probe.stop", "action.0.at",
            "action.0.for", "capture.snaplen"],
)  # fmt: skip
def test_what_needs_an_end_cannot_be_unlimited(tmp_path, key):
    with pytest.raises(ScenarioError) as caught:
        load(write(tmp_path, GOOD), [f'{key}="unlimited"'])
    assert [(problem.key, problem.found) for problem in caught.value.problems] == [(key, "'unlimited'")]


def test_unlimited_survives_being_written(tmp_path):
    text = GOOD.replace('do = "link-down"', 'do = "set"\nrate = "unlimited"')
    overrides = ['fidelity.lateness_p99="unlimited"', 'capture.max_size="unlimited"']
    scenario = load(write(tmp_path, text), overrides)
    assert load(write(tmp_path, scenario_toml(scenario), "again.toml")) == scenario


@pytest.mark.parametrize("config", ['interval = "0 s"', 'interval = "unlimited"', 'timeout = "unlimited"'])
def test_traffic_with_senseless_times_is_refused(tmp_path, config):
    text = GOOD.replace("scenario_fakes:Probe", "nodes.traffic.probe:Probe")
    text = text.replace('to = ["gs-paris"], interval = "20 ms"', config)
    with pytest.raises(ScenarioError, match=r"program\.probe\.config"):
        load(write(tmp_path, text))
