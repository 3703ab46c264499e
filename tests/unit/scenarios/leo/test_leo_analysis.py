"""The leo scenario's own figures, and the drawings of its traffic, from tables with known content."""

import pytest

from emulator.record.events import EventLog, SampleLog
from emulator.record.folder import RunFolder
from emulator.record.links import LinkLog
from emulator.record.load import load_run
from emulator.report import drawing
from nodes.traffic.figures import figures
from scenarios.leo.analysis import summarise


@pytest.fixture
def run(tmp_path):
    def make(probes=True):
        folder = RunFolder.create(tmp_path, "leo")
        folder.write_scenario('name = "leo"\n')
        events, samples, links = EventLog(folder), SampleLog(folder), LinkLog(folder, ["a:x"])
        for number in range(10 if probes else 0):
            samples.append(float(number), "gs-oslo", "probe", "rtt_s", "gs-lima", 0.1 + number / 100)
            samples.append(float(number), "gs-lima", "probe", "rtt_s", "gs-oslo", 0.1)
        events.append(9.0, "gs-oslo", "probe", "probe", {"sent": 12, "lost": 2})
        events.append(5.0, "", "", "handover", {})
        events.append(9.0, "gs-lima", "bulk", "flow", {"peer": "gs-oslo", "flow": 1, "mean_bps": 4e6, "bytes": 5e6})
        for spool in (events, samples, links):
            spool.finish()
        return load_run(folder.path)

    return make


def test_summary(run):
    summary = summarise(run())
    assert summary["probes_lost_share"] == pytest.approx(2 / 12)
    assert summary["handovers"] == 1
    assert summary["slowest_flow_mbit_s"] == 4.0
    assert (summary["rtt_ms"]["min"], summary["rtt_ms"]["max"]) == (100.0, 190.0)


def test_drawings(run):
    shares, times = figures(run())
    assert "All 20 answered probes" in shares.caption
    assert ">oslo → lima</text>" in drawing.svg(times.figure)
    assert "lima → oslo" not in drawing.svg(times.figure)


def test_nothing_to_draw(run):
    assert figures(run(probes=False)) == []
