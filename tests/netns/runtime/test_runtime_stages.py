"""A run that breaks or is stopped at any stage of its supervisor ends with a verdict and its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from host_topology import host_topology

from emulator.model.errors import EXIT_INTERNAL, EXIT_INTERRUPTED

PLAYED_WITHIN_S = 300  # all cases, one after the other
pytestmark = [pytest.mark.netns, pytest.mark.timeout(PLAYED_WITHIN_S + 30)]

SUPERVISOR = "emulator.runtime.supervisor.supervisor"
# Places on the way of a run, in its order.
PLACES = [
    "emulator.runtime.control.session:begin",
    "emulator.observe.panels:Panels.of",
    f"{SUPERVISOR}:Collector",
    "emulator.runtime.parts:DataPlane",
    "emulator.runtime.data_plane:DataPlane.start_planner",
    "emulator.runtime.parts:ZygoteLink",
    "emulator.runtime.programs.zygote_link:ZygoteLink.prepare",
    "emulator.record.folder:RunFolder.write_platform",
    "emulator.runtime.data_plane:DataPlane.build",
    "emulator.runtime.data_plane:DataPlane.wait_for_rows",
    "emulator.runtime.data_plane:DataPlane.apply_first_routes",
    f"{SUPERVISOR}:writer_for",
    f"{SUPERVISOR}:Running",
    "emulator.runtime.data_plane:DataPlane.start_relay",
    f"{SUPERVISOR}:_new_loop",
    "emulator.runtime.programs.processes:Processes.attach",
    "emulator.runtime.programs.jobs:Jobs.spawn_all",
    "emulator.runtime.programs.processes:Processes.wait_ready",
    "emulator.runtime.data_plane:DataPlane.tell_relay",
    "emulator.runtime.capture.writer:CaptureWriter.start",
    "emulator.runtime.data_plane:DataPlane.start",
    "emulator.runtime.programs.jobs:Jobs.start_all",
    f"{SUPERVISOR}:LiveControl",
    "emulator.runtime.supervisor.run_loop:RunLoop.until_end",
]
ENDING = [
    "emulator.runtime.supervisor.live:LiveControl.detach",
    "emulator.runtime.programs.jobs:Jobs.stop",
    "emulator.runtime.data_plane:DataPlane.stop_relay",
    "emulator.runtime.running:Running.look",
    "emulator.runtime.capture.writer:CaptureWriter.finish",
    "emulator.runtime.supervisor.ending:figures_of",
    "emulator.runtime.supervisor.ending:observed",
    "emulator.runtime.supervisor.ending:round_table",
    "emulator.runtime.supervisor.late:why_late",
    "emulator.runtime.supervisor.ending:conclude",
    "emulator.record.verdict:Verdict.to_json",
]
# A stop while programs get ready waits for their grace, 3 s each: one such place is enough.
SLOW = ("writer_for", "Running", "start_relay", "_new_loop", "attach", "spawn_all")
CASES = [
    *((place, "fail") for place in PLACES + ENDING),
    *((place, "stop") for place in PLACES[1:] if not place.endswith(SLOW)),  # before it, SIGTERM kills the process
    *((place, "leave") for place in (PLACES[2], PLACES[-1], "emulator.runtime.supervisor.ending:figures_of")),
]


@pytest.fixture(scope="module")
def ended(with_root, tmp_path_factory):
    """What came of each case, by place and manner."""
    folder = tmp_path_factory.mktemp("stages")
    (folder / "topo.py").write_text(host_topology("ab"))
    command = [sys.executable, str(Path(__file__).with_name("stages.py")), str(folder)]
    command += [f"{place}={how}" for place, how in CASES]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=PLAYED_WITHIN_S).stdout.splitlines()
    return {(came["place"], came["how"]): came for came in map(json.loads, lines)}


@pytest.mark.parametrize(("place", "how"), CASES)
def test_a_verdict_whatever_happens(ended, place, how):
    came = ended[place, how]
    assert "raised" not in came, came["raised"]
    verdict = came["verdict"]
    assert verdict is not None
    assert verdict["exit_code"] == came["code"]
    assert verdict["interrupted"] == (how == "stop")
    if how == "stop":
        assert (came["code"], verdict["error"]) == (EXIT_INTERRUPTED, "")
    else:
        said = {"fail": f"RuntimeError: broken at {place.rpartition(':')[2]}", "leave": "SystemExit: 3"}[how]
        assert came["code"] == EXIT_INTERNAL
        assert said in verdict["error"]
        assert verdict["error"] == came["error"]
