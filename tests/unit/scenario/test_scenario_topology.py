"""The code behind `topology`: our modules, modules by file, and plain Mininet files."""

from __future__ import annotations

from pathlib import Path

import pytest
import scenario_fakes
from scenario_fakes import GOOD, write

from emulator.model.builder import NetworkBuilder
from emulator.model.errors import DataError, ScenarioError, UsageError
from emulator.scenario import build_topology, from_topo_file, load

MININET = """\
from mininet.topo import Topo

class Pair(Topo):
    def build(self, n=2):
        switch = self.addSwitch("s1")
        for i in range(n):
            self.addLink(self.addHost(f"h{i + 1}"), switch, bw=10, delay="5ms")
"""


def hosts(builder: NetworkBuilder) -> list[str]:
    return [node.name for node in builder.nodes if not node.bridge]


def test_build_gets_the_tables_and_the_options(tmp_path: Path) -> None:
    topo = build_topology(load(write(tmp_path, GOOD), overrides=["step=500ms", "materialise=['a*']"], skip_bad=True))
    assert sorted(node.name for node in topo.nodes) == ["gs-paris", "gs-tokyo"]
    options = topo.options
    assert (options.step_s, options.materialise, options.seed, options.duration_s) == (0.5, ("a*",), 7, 60.0)
    assert (options.directory, options.skip_bad, options.routing) == (str(tmp_path), True, "least-delay")


def test_a_topology_that_raises_is_a_data_error_with_its_line(tmp_path: Path) -> None:
    scenario = load(write(tmp_path, GOOD), overrides=["shell.planes=13"])
    with pytest.raises(
        DataError, match=r"scenario_fakes: ZeroDivisionError: thirteen planes \(scenario_fakes.py:\d+\)"
    ):
        build_topology(scenario)


def test_a_topology_that_refuses_is_quoted(tmp_path: Path) -> None:
    build = "from pydantic import BaseModel\nclass Config(BaseModel): pass\ndef build(config, options):\n"
    write(tmp_path, f'{build}    raise ValueError("5 nodes of 5; expected fewer")\n', "refusing.py")
    scenario = load(write(tmp_path, 'topology = "refusing.py"'))
    with pytest.raises(DataError, match=r"^topology refusing.py: 5 nodes of 5; expected fewer$"):
        build_topology(scenario)


def test_a_topology_of_the_users_own_next_to_the_scenario(tmp_path: Path) -> None:
    own = Path(scenario_fakes.__file__).read_text(encoding="utf-8")
    write(tmp_path, own, "own_topology.py")
    scenario = load(write(tmp_path, GOOD.replace('topology = "scenario_fakes"', 'topology = "own_topology.py"')))
    assert sorted(node.name for node in build_topology(scenario).nodes) == ["gs-paris", "gs-tokyo"]


def test_a_program_of_the_users_own_next_to_the_scenario(tmp_path: Path) -> None:
    name = f"own_program_of_{tmp_path.name}"
    write(tmp_path, "from emulator.sdk.node import Node\nclass Mine(Node):\n    pass\n", f"{name}.py")
    scenario = load(write(tmp_path, GOOD.replace("scenario_fakes:Probe", f"{name}:Mine")), ["program.probe.config={}"])
    assert scenario.programs[0].config_values == {}


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def build(:\n", "SyntaxError"),
        ("import no_such_module\n", "no_such_module"),
        ("x = 1\nraise RuntimeError('on import')\n", "on import (own.py:2)"),
        ("def build(config, options): ...\n", "no `Config`"),
        ("x = 1\n", "describes no topology"),
        ("topos = {'a': 3}\n", "cannot be called"),
    ],
)
def test_code_that_cannot_serve_is_a_problem_at_the_topology_key(tmp_path: Path, code: str, found: str) -> None:
    write(tmp_path, code, "own.py")
    with pytest.raises(ScenarioError) as caught:
        load(write(tmp_path, 'topology = "own.py"\n'))
    (problem,) = caught.value.problems
    assert (problem.key, problem.where.rpartition(":")[2]) == ("topology", "1")
    assert found in problem.found
    assert problem.expected


def test_a_mininet_file_with_one_class(tmp_path: Path) -> None:
    scenario = from_topo_file(write(tmp_path, MININET, "pair.py"), overrides=["duration=5s"])
    assert (scenario.name, scenario.duration_s, scenario.materialise) == ("pair", 5.0, "all")
    assert scenario.routing == "none"
    assert scenario.tables is None
    assert sorted(node.name for node in build_topology(scenario).nodes) == ["h1", "h2", "s1"]


def test_topos_name_several_and_functions_serve(tmp_path: Path) -> None:
    file = write(tmp_path, f"{MININET}\ntopos = {{'two': Pair, 'four': lambda: Pair(4)}}\n", "several.py")
    assert len(hosts(build_topology(from_topo_file(f"{file}:four")))) == 4
    with pytest.raises(ScenarioError, match=r"expected  one of several\.py:two, several\.py:four"):
        from_topo_file(file)
    with pytest.raises(ScenarioError, match="did you mean 'four'"):
        from_topo_file(f"{file}:fuor")


def test_one_entry_of_topos_is_chosen_although_there_are_more_classes(tmp_path: Path) -> None:
    file = write(tmp_path, f"{MININET}\nclass Base(Topo): pass\ntopos = {{'pair': Pair}}\n", "chosen.py")
    assert len(hosts(build_topology(from_topo_file(file)))) == 2


def test_a_mininet_file_as_the_topology_of_a_scenario(tmp_path: Path) -> None:
    write(tmp_path, MININET, "pair.py")
    text = 'topology = "pair.py"\n[[program]]\nname = "a"\nnodes = ["h1"]\ncommand = ["true"]\n'
    assert len(build_topology(load(write(tmp_path, text))).links) == 2
    with pytest.raises(ScenarioError, match="unknown key 'shell'"):
        load(write(tmp_path, text + '[shell]\naltitude = "1 km"\n'))


def test_no_such_topology_file() -> None:
    with pytest.raises(UsageError, match=r"FILE\.py:NAME"):
        from_topo_file("no_such_file.py:Pair")


def test_a_function_that_gives_no_topo(tmp_path: Path) -> None:
    scenario = from_topo_file(write(tmp_path, "topos = {'a': lambda: 3}\n", "three.py"))
    with pytest.raises(DataError, match=r"gave int, expected a mininet\.topo\.Topo"):
        build_topology(scenario)
