"""The tables [[host]] and [[file]]: what overrides what, what is refused and where, and what a run folder keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.model.errors import Problem, ScenarioError
from emulator.scenario import Scenario, load
from emulator.scenario.build import build_network
from emulator.scenario.schema.host import host_of
from emulator.scenario.toml.writer import scenario_toml

HEAD = 'topology = "topologies.wan"\n[wan]\nhosts = 3\n'
PROGRAM = '[[program]]\nname = "one"\nnodes = "v*"\n'


def loaded(tmp_path: Path, text: str) -> Scenario:
    file = tmp_path / "lab.toml"
    file.write_text(HEAD + text)
    return load(file)


def problem(tmp_path: Path, text: str) -> Problem:
    """The one problem of a scenario, by itself or with its network."""
    with pytest.raises(ScenarioError) as caught:
        build_network(loaded(tmp_path, text))
    [found] = caught.value.problems
    return found


def test_later_tables_override_key_by_key(tmp_path: Path) -> None:
    scenario = loaded(
        tmp_path,
        '[[host]]\nnodes = "*"\nprivate = ["/run", { path = "/etc/frr", from = "host" }]\n'
        'cpu = 0.5\nmemory = "256 MB"\n'
        '[[host]]\nnodes = ["v1", "v2"]\ncpu = 2.0\nread_only = true\n',
    )
    first, second = host_of(scenario.hosts, "v0"), host_of(scenario.hosts, "v1")
    assert first is not None
    assert second is not None
    assert (first.cpu, first.read_only, first.memory_bytes) == (0.5, None, 256e6)
    assert (second.cpu, second.read_only, second.memory_bytes) == (2.0, True, 256e6)
    assert second.private is not None
    assert [(folder.path, folder.from_) for folder in second.private] == [("/run", None), ("/etc/frr", "host")]
    assert host_of(scenario.hosts[1:], "v0") is None


def test_a_run_folder_keeps_tables_and_templates(tmp_path: Path) -> None:
    (tmp_path / "app.conf").write_text("name {node}\npeers {nodes:v*}\n")
    scenario = loaded(
        tmp_path,
        '[[host]]\nnodes = "v0"\nprivate = ["/run"]\nsysctl = { "net.ipv4.ip_forward" = 1 }\n'
        "limits = { nofile = 4096 }\n"
        '[[host]]\nnodes = "*"\nread_only = true\n'
        '[[file]]\nnodes = "*"\npath = "/tmp/app.conf"\nfrom = "app.conf"\nmode = "0640"\n',
    )
    assert scenario.files[0].content == "name {node}\npeers {nodes:v*}\n"
    again = tmp_path / "kept.toml"
    again.write_text(scenario_toml(scenario))
    (tmp_path / "app.conf").unlink()
    assert load(again) == scenario.model_copy(update={"name": load(again).name})


@pytest.mark.parametrize(
    ("text", "key", "found", "expected"),
    [
        ('[[host]]\nnodes = "x"\n', "host.0.nodes.0", "matches nothing", "live node"),
        ('[[host]]\nnodes = "*"\nprivate = ["run"]\n', "host.0.private.0", "'run'", "absolute path"),
        ('[[host]]\nnodes = "*"\nprivate = ["/proc"]\n', "host.0.private.0", "'/proc'", "another folder"),
        ('[[host]]\nnodes = "*"\nlimits = { nofiles = 3 }\n', "host.0.limits.nofiles", "'nofiles'", "'nofile'"),
        ('[[host]]\nnodes = "*"\nsysctl = { "kernel.x" = 1 }\n', 'host.0.sysctl."kernel.x"', "kernel.x", "network"),
        ('[[host]]\nnodes = "*"\ncpu = 0.0\n', "host.0.cpu", "0", "at least 0.01 cores"),
        ('[[host]]\nnodes = "*"\nmemory = "3 kB"\n', "host.0.memory", "3 kB", "at least 1 MB"),
        ('[[file]]\nnodes = "*"\npath = "/etc/x"\ncontent = ""\n', "file.0.path", "is the machine's", '"/etc"'),
        ('[[file]]\nnodes = "*"\npath = "../x"\ncontent = ""\n', "file.0", "'../x'", "without '..'"),
        ('[[file]]\nnodes = "*"\npath = "x"\nfrom = "gone"\n', "file.0", "No such file", "can be read"),
        ('[[file]]\nnodes = "*"\npath = "x"\ncontent = "{nod}"\n', "file.0.content", "{nod}", "{node}"),
        ('[[file]]\nnodes = "*"\npath = "x"\ncontent = "{address:v9}"\n', "file.0.content", "no node 'v9'", "node"),
        ('[[file]]\nnodes = "*"\npath = "x"\ncontent = ""\nmode = "rw"\n', "file.0.mode", "'rw'", "octal"),
        (PROGRAM, "program.one", "neither `run` nor `command`", "nodes with an image"),
        (PROGRAM + 'command = "x"\nentry_point = ["y"]\n', "program.one", "`entry_point`", "[[host]] has an image"),
        (
            PROGRAM + 'run = "nodes.traffic.probe:Probe"\nconfig = { interval = "1 s" }\n'
            + '[[host]]\nnodes = "v1"\nimage = "a.tar"\n',
            "program.one.run", "which has the image 'a.tar'", "without an image",
        ),
    ],
)  # fmt: skip
def test_it_is_refused_at_its_key(tmp_path: Path, text: str, key: str, found: str, expected: str) -> None:
    refused = problem(tmp_path, text)
    assert refused.key == key
    assert found in refused.found
    assert expected in refused.expected
