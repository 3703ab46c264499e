"""Ethernet over orbit links: ARP and broadcasts below a satellite, packets across ISLs, carrier at handovers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from skyloom_command import skyloom_in_time

from emulator.record.load import Run, load_run

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]

SKY = """
topology = "topologies.leo"
duration = "6 s"
materialise = "all"
routing = "{routing}"
[shell]
planes = 2
per_plane = 3
inclination_deg = 90
altitude = "8000 km"
phasing = 0
[isl]
ethernet = {ethernet}
carrier = true
[ground]
stations = ["quito", "singapore", "bogota"]
min_elevation_deg = 5
ethernet = {ethernet}
carrier = true
"""
ROUTED = """
[[action]]
at = "1 s"
do = "exec"
nodes = "gs-quito"
command = "sh -c 'ping -c1 -W2 gs-singapore && ping -6 -c1 -W2 gs-singapore && ip -br link show dev up'"
expect = "exit 0"
[[action]]
at = "3 s"
do = "link-down"
links = ["sat-0101:isl0"]
"""
# Nobody routes, and what the fabric knows of neighbours is forgotten: the satellite finds its stations by itself.
ALONE = '''
[[action]]
at = "0.5 s"
do = "exec"
nodes = "gs-*"
command = "ip route add 10.0.0.0/8 dev up"
expect = "exit 0"
[[action]]
at = "1 s"
do = "exec"
nodes = "sat-*"
command = """sh -c 'ip neigh flush all nud permanent; ip route add 10.255.0.0/16 dev down
for n in 1 2 3; do ping -c1 -W0.5 10.255.0.$n >/dev/null && echo reaches $n; done
ping -c2 -i0.3 -W0.5 -I down 224.0.0.1; true'"""
[[action]]
at = "0.5 s"
do = "exec"
nodes = "gs-*"
command = "sysctl -q net.ipv4.icmp_echo_ignore_broadcasts=0"
expect = "exit 0"
'''


def play(tmp_path: Path, text: str, routing: str, ethernet: str) -> Run:
    file = tmp_path / "sky.toml"
    file.write_text(SKY.format(routing=routing, ethernet=ethernet) + text)
    ended = skyloom_in_time("run", file, "--no-tui", "--runs", tmp_path / "runs", "--set", "fidelity.lateness_p99=1 s")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return load_run(tmp_path / "runs" / "sky" / "latest")


def test_packets_are_routed_over_ethernet_from_end_to_end(tmp_path: Path) -> None:
    run = play(tmp_path, ROUTED, "least-delay", "true")
    said = (run.path / "logs" / "gs-quito.txt").read_text()
    assert said.count(" 0% packet loss") == 2
    assert "02:00:00:00:00" in said  # an Ethernet address
    carriers = [json.loads(row["data"]) for row in run.own_events.to_dicts() if row["kind"] == "carrier"]
    assert ("sat-0101:isl0", False) in [(each["link"], each["up"]) for each in carriers]


@pytest.mark.parametrize("ethernet", ["true", "false"])
def test_a_satellite_reaches_the_stations_that_it_serves_without_routes(tmp_path: Path, ethernet: str) -> None:
    run = play(tmp_path, ALONE, "none", ethernet)
    said = [path.read_text() for path in (run.path / "logs").glob("sat-*.txt")]
    reached = [text.count("reaches") for text in said]
    assert sum(reached) == 3, reached
    assert max(reached) >= 2, "quito and bogota share a satellite"
    both = [text for text in said if "from 10.255.0.1:" in text and "from 10.255.0.3:" in text]
    assert len(both) == 1, "and both answer what it sends to all"
