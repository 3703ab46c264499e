"""Files of other tools run as they are: a docker-compose file with an image, a containerlab topology with FRR."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_images import BUSYBOX, busybox_layer, docker_files, write_archive
from skyloom_command import skyloom_in_time

from emulator.model.errors import EXIT_PASS

pytest.importorskip("yaml", reason="PyYAML is not installed")

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]

LATENESS = "fidelity: {lateness_p99: 200 ms}"
COMPOSE = f"""\
x-skyloom: {{duration: 4 s, {LATENESS}}}
services:
  server:
    image: box:1
    volumes: ["./www:/www:ro", "data:/data"]
    healthcheck: {{test: wget -q -O /dev/null http://127.0.0.1/, interval: 1s, timeout: 1s}}
    x-skyloom: {{region: us-east-1}}
  client:
    image: box:1
    environment: {{GREETING: "${{WHO:-you}} {{there}}"}}
    command: [sh, -c, "hostname; id -un; pwd; echo $$GREETING; wget -q -O - http://server/; sleep 100"]
    depends_on: {{server: {{condition: service_healthy}}}}
    user: web
    working_dir: /made/here
    x-skyloom: {{region: us-west-1}}
    container_name: c
volumes: {{data: }}
"""
LAB = f"""\
name: routers
x-skyloom:
  duration: 4 s
  {LATENESS}
  action:
  - {{at: 3 s, do: exec, nodes: h1, command: ping -c 1 -W 1 10.0.2.2, expect: exit 0}}
topology:
  nodes:
    r1: {{kind: frr, binds: ["daemons:/etc/frr/daemons", "r1.conf:/etc/frr/frr.conf"]}}
    r2: {{kind: frr, binds: ["daemons:/etc/frr/daemons", "r2.conf:/etc/frr/frr.conf"]}}
    h1: {{exec: ["ip addr add 10.0.1.2/24 dev eth1", "ip route add default via 10.0.1.1"]}}
    h2: {{exec: ["ip addr add 10.0.2.2/24 dev eth1", "ip route add default via 10.0.2.1"]}}
  links:
  - endpoints: ["h1:eth1", "r1:eth1"]
  - endpoints: ["r1:eth2", "r2:eth2"]
    x-skyloom: {{delay: 5 ms}}
  - endpoints: ["r2:eth1", "h2:eth1"]
"""
ROUTER = """\
interface eth1
 ip address 10.0.{number}.1/24
interface eth2
 ip address 10.0.0.{number}/24
ip route 10.0.{other}.0/24 10.0.0.{other}
"""


@pytest.mark.skipif(not BUSYBOX.exists(), reason="no busybox here (Debian: busybox-static)")
def test_a_compose_file_with_an_image_runs_over_a_map(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    layers = [busybox_layer("sh", "sleep", "wget", "httpd", "hostname", "echo", "id", "pwd")]
    command = ["sh", "-c", "httpd -f -p 80 -h /www"]
    write_archive(tmp_path / "images/box.tar", docker_files(layers, Cmd=command, Env=["PATH=/bin"]))
    (tmp_path / "www").mkdir()
    (tmp_path / "www/index.html").write_text("hello {x}\n")
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE)
    done = skyloom_in_time("run", file, "--wan", "five-regions", "--no-tui", "--runs", tmp_path / "runs")
    assert done.returncode == EXIT_PASS, done.stdout + done.stderr
    assert f"note: {file}:16  services.client.container_name: " in done.stderr
    run = tmp_path / "runs" / tmp_path.name / "latest"
    said = (run / "logs/client/client.txt").read_text().splitlines()
    assert said == ["client", "web", "/made/here", "you {there}", "hello {x}"]


@pytest.mark.skipif(not Path("/usr/lib/frr/staticd").exists(), reason="no FRR here (Debian: frr)")
def test_routers_of_a_containerlab_topology_load_their_configuration(tmp_path: Path) -> None:
    (tmp_path / "daemons").write_text("ospfd=no\n")
    for number in (1, 2):
        (tmp_path / f"r{number}.conf").write_text(ROUTER.format(number=number, other=3 - number))
    file = tmp_path / "lab.clab.yml"
    file.write_text(LAB)
    done = skyloom_in_time("run", file, "--no-tui", "--runs", tmp_path / "runs")
    assert done.returncode == EXIT_PASS, done.stdout + done.stderr
