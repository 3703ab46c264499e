"""One run over 1, 2 and 3 hosts: the same packets are lost and doubled at every link end, also where its sender changes
hosts at a handover.

Programs number their packets and send them within a part of each step, so that everything has arrived when a handover
comes. A run that itself says that it was late (a program, the engine, or a queue on its way to another host) is no
evidence, and is played again, at most three times.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from capture_streams import blocks
from skyloom_command import SKYLOOM

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]

STEPS, PER_STEP = 3, 60
TOPOLOGY = """
from emulator.model.builder import NetworkBuilder
from emulator.model.network import Effects, EndSpec, GilbertElliott, Handover, ScheduleRow
from pydantic import BaseModel
import numpy as np

STATION, SATELLITES, GATEWAY, DELAY_S = 0, (1, 2), 3, 0.2

class Config(BaseModel):
    pass

class Alternating:
    rates = substep = None

    def __init__(self, step_s):
        self.step_s = step_s

    def rows(self, first, count, with_routes=True):
        for step in range(first, first + count):
            before, serving = SATELLITES[step % 2 - 1], SATELLITES[step % 2]
            peer = np.array([serving, STATION, GATEWAY, SATELLITES[0], GATEWAY, SATELLITES[1]], np.int32)
            next_end = np.full((2 if with_routes else 0, 4), -1, np.int32)
            if with_routes:
                next_end[0, [serving, GATEWAY]] = 1, 1 + 2 * serving
                next_end[1, [STATION, *SATELLITES]] = 0, 2, 4
            moves = (Handover(step * self.step_s, 0, before, serving),) if step else ()
            delay_s, ones = np.full(6, DELAY_S), np.ones(6)
            yield ScheduleRow(step, delay_s, delay_s, ones * 1e6, ones * 0.1, ones > 0, peer, next_end, moves)

def build(config, options):
    builder = NetworkBuilder(options)
    end = EndSpec(Effects(burst_loss=GilbertElliott(0.05, 0.3), duplicate=0.05))
    builder.add_node("station", live=True)
    for name in ("one", "other"):
        builder.add_node(name, "satellite", forwards=True, shared_downlink=True)
    builder.add_node("gateway", live=True)
    builder.add_link(STATION, SATELLITES[0], end, moving=True)
    for satellite in SATELLITES:
        builder.add_link(satellite, GATEWAY, end)
    builder.timeline = Alternating(options.step_s)
    return builder
"""
PROGRAM = f"""
from emulator.sdk.node import Node

class Numbered(Node):
    async def setup(self):
        self.socket = self.context.datagrams(4000, lambda *_: None)

    async def run(self):
        [peer] = self.context.peers.values()
        for number in range({STEPS * PER_STEP}):
            step, place = divmod(number, {PER_STEP})
            await self.context.sleep_until(step + 0.1 + place / 250)
            if self.context.now() > step + 0.5:
                raise TimeoutError("this packet would still be under way when the handover comes")
            self.socket.send(number.to_bytes(4, "big"), peer.ipv4, 4000)
        await self.context.stopping.wait()
"""
SCENARIO = f"""
topology = "topo.py"
duration = "{STEPS} s"
step = "1 s"
[fidelity]
lateness_p99 = "200 ms"
[cluster]
apart = [["one", "other"]]
[[program]]
name = "numbered"
nodes = ["station", "gateway"]
run = "numbered:Numbered"
[capture]
links = ["*"]
"""


class Met(NamedTuple):
    """A packet as it left a link end, or not."""

    number: int
    dropped: str


class Played(NamedTuple):
    met: dict[str, list[Met]]  # by link end, in the order of departure
    verdict: dict[str, Any]


def play(folder: Path, hosts: int) -> subprocess.Popen[str]:
    command = [*SKYLOOM, "run", str(folder / "drops.toml"), "--hosts", str(hosts), "--no-tui"]
    command += ["--runs", str(folder / f"on-{hosts}")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def played(folder: Path, hosts: int) -> Played:
    run = folder / f"on-{hosts}" / "drops" / "latest"
    met: dict[str, list[Met]] = {}
    for block in blocks((run / "capture.pcapng").read_bytes()):
        if hasattr(block, "packet_data"):
            comments = "; ".join(block.options.get_all("opt_comment"))
            one = Met(int.from_bytes(block.packet_data[28:]), comments.partition("dropped: ")[2])
            met.setdefault(block.interface.options["if_name"], []).append(one)
    return Played(met, json.loads((run / "verdict.json").read_text()))


def in_time(verdict: dict[str, Any]) -> bool:
    return verdict["verdict"] == "pass" and not [text for text in verdict["warnings"] if "too late" in text]


@pytest.mark.timeout(300)  # for a machine that is busy with other things
@pytest.mark.filterwarnings("ignore::DeprecationWarning:pcapng.*")
def test_every_link_end_loses_the_same_packets_on_any_number_of_hosts(tmp_path: Path) -> None:
    for name, text in (("topo.py", TOPOLOGY), ("numbered.py", PROGRAM), ("drops.toml", SCENARIO)):
        (tmp_path / name).write_text(text)
    said: list[str] = []
    runs: list[Played] = []
    for _ in range(3):
        processes = [play(tmp_path, hosts) for hosts in (1, 2, 3)]
        said = [process.communicate(timeout=95)[0] for process in processes]
        runs = [played(tmp_path, hosts) for hosts in (1, 2, 3)]
        if all(in_time(run.verdict) for run in runs):
            break
    whole, *split = runs
    assert all(in_time(run.verdict) for run in runs), said
    assert [len(run.verdict["machines"]) for run in split] == [2, 3]
    assert all(run.verdict["trunks"]["crossings"] > STEPS * PER_STEP for run in split)
    assert len(whole.met) == 8  # those of the moving link under the name of each satellite
    for end, met in whole.met.items():
        lost = [one for one in met if one.dropped == "random loss"]
        assert len(lost) > 2, end
        assert {one.dropped for one in met} == {"", "random loss"}, end
    for run in split:
        assert run.met == whole.met
