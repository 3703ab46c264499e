"""What a run granted its links: its network, built again from scenario.toml without programs."""

from math import inf

import pytest

from emulator.record.load import Run
from emulator.report.sections.scheduled import Grant, scheduled_values

SCENARIO = """
name = "small"
duration = "20 s"
topology = "topologies.links"
[[link]]
a = "a"
b = "hub"
delay = "10 ms"
rate = "2 Mbit/s"
loss = "1 %"
[[link]]
a = "hub"
b = "b"
delay = "5 ms"
[[program]]
name = "gone"
nodes = ["a"]
run = "no_such_module:Program"
"""


def run_of(tmp_path, text=SCENARIO):
    return Run(tmp_path, text, None)


def test_grants_names_and_paths(tmp_path):
    asked = scheduled_values(run_of(tmp_path))
    assert asked.trouble == ""
    assert list(asked.grants) == ["a:eth0", "hub:eth0", "hub:eth1", "b:eth0"]
    grants = list(asked.grants.values())
    assert grants[0] == Grant(2e6, 0.01)
    assert grants[2] == Grant(inf, 0.0)
    assert {"a", "b"} <= set(asked.nodes)
    assert {"a", "b"} <= set(asked.names.values())
    assert asked.paths is not None
    assert asked.paths.delay_s("a", "b", 3.5) == pytest.approx(0.015)
    assert asked.paths.delay_s("a", "nobody", 3.5) is None


def test_a_network_that_cannot_be_built_again_is_said_to_be_so(tmp_path):
    asked = scheduled_values(run_of(tmp_path, SCENARIO.replace("topologies.links", "topologies.gone")))
    assert "cannot be built again" in asked.trouble
    assert asked.grants == {}
    assert "cannot be built again" in scheduled_values(run_of(tmp_path, "")).trouble


def test_bursts_count_by_their_mean():
    from emulator.model.network import Effects, EndSpec, GilbertElliott
    from emulator.report.sections.scheduled import _with_bursts

    spec = EndSpec(Effects(burst_loss=GilbertElliott(0.01, 0.09, 0.0, 0.5)))
    assert _with_bursts(0.1, spec) == pytest.approx(1 - 0.9 * 0.95)
    assert _with_bursts(0.1, EndSpec()) == 0.1
