"""What people see of chains and relayers: the panel and the figures, from records made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emulator.record.events import EventLog, SampleLog
from emulator.record.folder import RunFolder
from emulator.record.links import LinkLog
from emulator.record.load import load_run
from emulator.report import drawing
from emulator.sdk.protocol import PanelContext
from nodes.ibc.figures import figures
from nodes.ibc.panel import IbcPanel


def panel() -> IbcPanel:
    return IbcPanel(PanelContext(("a-0", "b-0", "relayer-1", "relayer-2"), {}, {}, (), 60.0))


def widget(of: IbcPanel, title: str) -> Any:
    return next(each for each in of.widgets(10.0) if str(each.get("title", "")).startswith(title))


def facts(of: IbcPanel) -> dict[str, str]:
    (rows,) = [each["rows"] for each in of.widgets(10.0) if each["kind"] == "facts"]
    return dict(rows)


def test_packets_are_counted_by_chains_and_backlogs_by_ends() -> None:
    of = panel()
    of.event(1.0, "a-0", "block", {"chain": "a-1", "height": 7, "txs": 3, "failed": 1, "gas": 9, "settled": 20})
    of.event(1.5, "b-0", "block", {"chain": "b-1", "height": 6, "txs": 1, "failed": 0, "gas": 9, "settled": 5})
    of.event(1.6, "b-1", "block", {"chain": "b-1", "height": 6, "txs": 1, "failed": 0, "gas": 9, "settled": 5})  # again
    for relayer in ("relayer-1", "relayer-2"):  # both serve the path
        of.sample(2.0, relayer, "backlog_size", 30.0, "a-0/07-tendermint-0")
        of.sample(2.0, relayer, "backlog_size", 4.0, "b-0/07-tendermint-0")
        of.sample(2.0, relayer, "latency_s", 3.0, "")
    assert facts(of)["packets settled"] == "25"
    assert facts(of)["on the way"] == "34"
    assert facts(of)["sent to settled"].startswith("3.0 / 3.0 s")
    assert widget(of, "Chains")["rows"][0] == ["a-0", "7", "3", "1", "0", "20", "0"]
    assert widget(of, "Packets settled")["series"][0]["values"][1] == 25.0


def test_stages_are_bars_by_their_medians() -> None:
    of = panel()
    for stage, length_s in (("event", 2.0), ("proof", 1.0), ("confirmed", 0.5), ("unknown", 9.0)):
        of.sample(2.0, "relayer-1", "stage_s", length_s, stage)
    rows = {name: round(share, 2) for name, share, _ in widget(of, "Stages")["rows"]}
    assert rows == {"event": 1.0, "proof": 0.5, "confirmed": 0.25}


def test_what_is_amiss_is_said() -> None:
    of = panel()
    assert not {"PARKED", "MISBEHAVIOUR", "audit: HARMED", "audit: harmed"} & set(facts(of))
    of.sample(2.0, "relayer-1", "parked", 2.0, "")
    of.event(2.0, "relayer-1", "misbehaviour", {"text": "a-0"})
    audit = {"sent": 9, "acknowledged": 8, "lost": 1, "duplicated": 0, "escrows": 2, "escrow_errors": 1}
    of.event(3.0, "a-0", "audit", audit)
    assert facts(of)["PARKED"].startswith("2 packets")
    assert facts(of)["audit: HARMED"] == "1 lost"
    assert facts(of)["audit: escrow"] == "2 accounts compared, 1 wrong"


def test_figures_draw_what_was_recorded(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "ibc")
    folder.write_scenario('name = "ibc"\n')
    events, samples, links = EventLog(folder), SampleLog(folder), LinkLog(folder, ["a-0:up"])
    for second in range(6):
        events.append(float(second), "a-0", "chain-a", "block", {"chain": "a-1", "height": second, "settled": 2})
        if second < 3:  # then the relayer is killed
            samples.append(float(second), "relayer-1", "relayer-1", "backlog_size", "a-0/x", 10.0)
        samples.append(float(second), "relayer-2", "relayer-2", "backlog_size", "b-0/x", 1.0)
        samples.append(float(second), "relayer-2", "relayer-2", "stage_s", "proof", 0.25)
        samples.append(float(second), "relayer-2", "relayer-2", "client_age_s", "b-0/x", 2.0 + second)
    for spool in (events, samples, links):
        spool.finish()
    made = {each.name: each for each in figures(load_run(folder.path))}
    assert list(made) == ["ibc-stages", "ibc-backlog", "ibc-packets", "ibc-clients"]
    assert "proof, median 0.25 s" in drawing.svg(made["ibc-stages"].figure)
    (line,) = made["ibc-backlog"].figure.axes[0].lines
    assert list(line.get_ydata()) == [11.0] * 6  # what the killed one knew last still counts
    assert made["ibc-packets"].caption == "12 packets; bars are 1 s wide."


def test_a_run_without_packets_has_no_figures(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "ibc")
    folder.write_scenario('name = "ibc"\n')
    for spool in (EventLog(folder), SampleLog(folder), LinkLog(folder, ["a-0:up"])):
        spool.finish()
    assert figures(load_run(folder.path)) == []
