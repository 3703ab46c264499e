"""containerlab topologies as scenarios: nodes, links with the file's interfaces, and refusals with line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("yaml", reason="PyYAML is not installed")

from emulator.scenario.importers import ImportOptions, containerlab, yaml_tree
from emulator.scenario.importers.draft import Draft

LAB = """\
name: ospf lab
mgmt: {network: x}
topology:
  defaults: {env: {A: 1}}
  kinds:
    linux: {binds: [one:/etc/one/__x]}
  nodes:
    r1: {kind: frr, binds: ["r1/frr.conf:/etc/frr/frr.conf", "daemons:/etc/frr/daemons"]}
    h1:
      exec:
      - ip addr add 10.0.0.1/24 dev eth1
      - sh -c 'echo {x}'
      cmd: sleep 60
      env: {B: "2"}
      startup-delay: 3
      ports: ["80:80"]
  links:
  - endpoints: ["r1:eth1", "h1:eth1"]
    mtu: 9500
    x-skyloom: {delay: 5 ms}
  - type: veth
    endpoints: [{node: r1, interface: eth2}, {node: h1, interface: data0}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "r1").mkdir()
    (tmp_path / "r1/frr.conf").write_text("router ospf\n")
    (tmp_path / "daemons").write_text("ospfd=yes\nbgpd=no\n")
    (tmp_path / "one").write_text("1")
    return tmp_path


def draft(text: str, folder: Path = Path("/nowhere"), options: ImportOptions | None = None) -> Draft:
    options = options or ImportOptions()
    return containerlab.read(yaml_tree.parse(text, "lab.clab.yml"), folder, "lab.clab.yml", options)


def test_a_lab_becomes_links_hosts_programs_and_actions(folder) -> None:
    made = draft(LAB, folder)
    assert not made.problems
    data = made.data
    assert (data["name"], data["topology"], data["routing"], data["addresses"]) == (
        "ospf-lab", "topologies.links", "none", False,
    )  # fmt: skip
    assert data["nodes"] == ["r1", "h1"]
    assert data["link"] == [
        {"a": "r1", "b": "h1", "a_port": "eth1", "b_port": "eth1", "ethernet": True, "delay": "5 ms"},
        {"a": "r1", "b": "h1", "a_port": "eth2", "b_port": "data0", "ethernet": True},
    ]
    h1 = next(each for each in data["program"] if each["name"] == "h1")
    assert h1["command"] == ["sleep", "60"]
    assert (h1["environment"], h1["start"]) == ({"A": "1", "B": "2"}, "3 s")
    assert [each["command"] for each in data["action"] if each["nodes"] == ["h1"]] == [
        ["sh", "-c", "s=0; ip addr add 10.0.0.1/24 dev eth1 || s=$?; sh -c 'echo {{x}}' || s=$?; exit $s"],
    ]
    assert made.lines["action", 0, "command"] == 10
    assert [each.split("  ")[1].split(":")[0] for each in made.warnings] == [
        "mgmt", "topology.nodes.r1.env", "topology.nodes.h1.ports", "topology.links.0.mtu",
    ]  # fmt: skip


def test_the_kind_frr_runs_the_daemons_that_its_own_file_chooses(folder) -> None:
    data = draft(LAB, folder).data
    assert [each["name"] for each in data["program"] if each["name"].startswith("frr-")] == [
        "frr-zebra", "frr-staticd", "frr-ospfd",
    ]  # fmt: skip
    assert data["action"][-1]["command"] == ["vtysh", "-b"]
    host = next(each for each in data["host"] if each["nodes"] == ["r1"])
    assert {each if isinstance(each, str) else each["path"] for each in host["private"]} >= {"/etc/frr", "/run"}


REFUSED = {
    "topology: {nodes: {a: {kind: ceos}}}": ("topology.nodes.a.kind", "linux or frr"),
    "topology: {nodes: {a: {license: x}}}": ("topology.nodes.a.license", "a node without it"),
    "topology: {nodes: {a: {image: alpine}}}": ("topology.nodes.a.image", "docker save alpine"),
    "topology: {nodes: {a: {binds: [x]}}}": ("topology.nodes.a.binds.0", "SOURCE:TARGET"),
    "topology: {nodes: {a: {binds: ['x:/y']}}}": ("topology.nodes.a.binds.0", "a file or a folder"),
    "topology: {nodes: {a.b: {}}}": ("topology.nodes.a.b", "letters, digits"),
    "topology: {nodes: {a: {startup-delay: 1}}}": ("topology.nodes.a.startup-delay", "`cmd`"),
    "topology: {nodes: {}}": ("topology.nodes", "at least one"),
    "topology: {nodes: {a: }, links: [{endpoints: [a:eth1, c:eth1]}]}": ("topology.links.0.endpoints.1", "a node of a"),
    "topology: {nodes: {a: }, links: [{endpoints: [a:eth1]}]}": ("topology.links.0.endpoints", "two"),
    "topology: {nodes: {a: }, links: [{type: macvlan}]}": ("topology.links.0.type", "'veth'"),
    "topology: {nodes: {a: , b: }, links: [{endpoints: [a:e, b:e], mtu: 900}]}": ("topology.links.0.mtu", "1500"),
    "topology: {nodes: {a: , b: }, links: [{endpoints: [a:e, b:e]}, {endpoints: [a:e, b:f]}]}":
        ("topology.links.1.endpoints", "each interface once"),
    "topology: {nodes: {a: , b: }, links: [{endpoints: [host:e, b:e]}]}": ("topology.links.0.endpoints.0", "a node of"),
    "topology: {groups: {}, nodes: {a: }}": ("topology.groups", "defaults, kinds"),
    "topology: {nodes: {a: }}\nsettings2: 1": ("settings2", "`name` and `topology`"),
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_supported_is_refused_with_line_and_key(text: str) -> None:
    key, part = REFUSED[text]
    (problem,) = draft(text).problems
    assert problem.key == key
    assert part in problem.expected
    assert problem.where == f"lab.clab.yml:{2 if key == 'settings2' else 1}"


def test_a_map_is_refused() -> None:
    (problem,) = draft("topology: {nodes: {a: }}", options=ImportOptions("five-regions")).problems
    assert "--wan" in problem.found
