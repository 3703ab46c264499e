"""What `run` and `plan` make of a scenario's name or of --topo, with every option that changes the scenario."""

from __future__ import annotations

import sys

import pytest

from emulator.cli import main
from emulator.cli.chosen import choose
from emulator.model.errors import ScenarioError, UsageError

SKY = "from topologies.leo import Config, build\n"
SCENARIO = """
topology = "topologies.leo"
[shell]
walker = "53.0:384/24/5"
altitude = "550 km"
[ground]
stations = ["tokyo"]
"""
MININET = """
from mininet.topo import Topo

class Pair(Topo):
    def build(self):
        self.addLink(self.addHost("a"), self.addHost("b"))
"""


class Seen(BaseException):
    """The scenario that a command was going to play or to plan."""


@pytest.fixture
def files(tmp_path, monkeypatch):
    for name, text in (("sky.py", SKY), ("sky.toml", SCENARIO), ("pair.py", MININET), ("sets.tle", "")):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def seen_by(command, monkeypatch, *words):
    """The scenario that the command ends with; its other options are those of a run or plan."""

    def see(scenario, *rest):
        raise Seen(scenario)

    monkeypatch.setattr("emulator.cli.play.play", see)
    monkeypatch.setattr("emulator.cli.plan.facts_of", see)
    monkeypatch.setattr(sys, "argv", ["skyloom", command, *words])
    with pytest.raises(Seen) as seen:
        main()
    return seen.value.args[0]


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("source", [["sky.toml"], ["--topo", "sky.py"]])
def test_element_sets_and_skip_bad_count_for_both_ways_to_name_a_network(command, source, files, monkeypatch) -> None:
    more = [] if source == ["sky.toml"] else ["--set", 'ground.stations=["tokyo"]']
    scenario = seen_by(command, monkeypatch, *source, "--elements", "sets.tle", "--skip-bad", *more)
    assert scenario.skip_bad
    assert scenario.tables.shell.elements == str(files / "sets.tle")


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_topology_without_a_shell_refuses_element_sets(command, files, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["skyloom", command, "--topo", "pair.py", "--elements", "sets.tle"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == ScenarioError.exit_code
    assert "--elements" in capsys.readouterr().err


@pytest.mark.parametrize(("scenario", "topo"), [(None, None), ("sky.toml", "sky.py")])
def test_one_of_both_is_named(scenario, topo, files) -> None:
    with pytest.raises(UsageError, match="name one scenario"):
        choose(scenario, topo, [], None, False)
