"""A test that runs a scenario by the pytest plug-in, in a session of its own and with real namespaces."""

import pytest

pytest_plugins = ["pytester"]
pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_sandbox")]

SCENARIO = """
name = "pair"
topology = "topologies.links"
duration = "5 s"
[fidelity]
lateness_p99 = "1 s"
[[link]]
a = "a"
b = "b"
delay = "10 ms"
[[program]]
name = "probe"
nodes = ["*"]
run = "nodes.traffic.probe:Probe"
config = { interval = "100 ms" }
[[expect]]
figure = "probe_loss.judged"
at_least = 5
"""


def test_a_scenario_runs_by_the_fixture(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (pytester.path / "pair.toml").write_text(SCENARIO)
    pytester.makepyfile("""
        def test_pair(skyloom):
            run = skyloom.run("pair.toml", duration="1 s", **{"link.0.delay": "20 ms"})
            assert run.passed, run
            assert 40 <= run.figure("probes.0.seen_ms") < 60
            assert run.samples["name"].to_list().count("rtt_s") >= 5
            assert "play" in run.events["kind"].to_list()
    """)
    pytester.runpytest_subprocess("-p", "emulator.cli.pytest_plugin", timeout=60).assert_outcomes(passed=1)
