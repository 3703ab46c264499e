"""What people see of messages over several chains: the panel and the figure, from records made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulator.record.events import EventLog, SampleLog
from emulator.record.folder import RunFolder
from emulator.record.links import LinkLog
from emulator.record.load import load_run
from emulator.sdk.protocol import PanelContext, load, protocol_of
from nodes.xroute.figures import figures
from nodes.xroute.panel import XroutePanel


def panel() -> XroutePanel:
    return XroutePanel(PanelContext(("a-0", "relayer-1", "relayer-2"), {}, {}, (), 60.0))


def widget(of: XroutePanel, title: str) -> Any:
    return next(each for each in of.widgets(10.0) if str(each.get("title", "")).startswith(title))


def facts(of: XroutePanel) -> dict[str, str]:
    (rows,) = [each["rows"] for each in of.widgets(10.0) if each["kind"] == "facts"]
    return dict(rows)


def test_programs_name_the_panel() -> None:
    for program in (
        "nodes.xroute.chain:Chain", "nodes.xroute.relayer.process:Relayer", "nodes.xroute.load:Load",
        "scenarios.xroute.audit:Audit",
    ):  # fmt: skip
        protocol = protocol_of(program)
        assert protocol is not None
        assert load(protocol.panel) is XroutePanel


def test_messages_that_all_relayers_see_are_counted_once() -> None:
    of = panel()
    for relayer, delivered in (("relayer-1", 7.0), ("relayer-2", 6.0)):
        of.sample(2.0, relayer, "jobs", 5.0, "")
        of.sample(2.0, relayer, "delivered", delivered, "")
        of.sample(2.0, relayer, "latency_s", 3.0, "")
    assert (facts(of)["on the way"], facts(of)["delivered"], facts(of)["settled"]) == ("5", "7", "0")
    assert facts(of)["sent to settled"].startswith("3.0 / 3.0 s")
    assert widget(of, "Relayers")["rows"][1] == ["relayer-2", "5", "6", "0", "0"]
    assert widget(of, "Messages")["series"][0]["values"][-1] == 5.0


def test_the_baseline_beside_it_is_counted_apart() -> None:
    of = panel()
    for relayer, delivered in (("relayer-1", 7.0), ("hub-relayer-1", 9.0)):
        of.sample(2.0, relayer, "jobs", 1.0, "")
        of.sample(2.0, relayer, "delivered", delivered, "")
    of.event(3.0, "a-0", "audit", {"sent": 7, "delivered": 7})
    of.event(3.0, "hub-a-0", "audit", {"sent": 12, "delivered": 9, "stuck": 3})
    found = facts(of)
    assert (found["delivered"], found["hub delivered"]) == ("7", "9")
    assert (found["audit: harmed"], found["hub audit: HARMED"]) == ("none", "3 stuck")
    assert [each["name"] for each in widget(of, "Messages")["series"]] == ["messages", "hub"]


def test_what_a_model_of_proofs_delivered_is_called_so() -> None:
    of = panel()
    assert not any("MODEL" in what for what in facts(of))
    of.sample(2.0, "relayer-1", "delivered_by_model", 5.0, "")
    assert facts(of)["delivered by a MODEL of proofs"] == "5: nothing was proved"


def test_blocks_are_added_up_by_chain() -> None:
    of = panel()
    for height in (1, 2):
        of.event(1.0 * height, "a-0", "block", {"chain": "a-1", "height": height, "txs": 3, "failed": 1, "gas": 9})
    assert widget(of, "Chains")["rows"] == [["a-0", "2", "6", "2"]]


def test_what_the_audit_found_is_said() -> None:
    of = panel()
    assert "audit: harmed" not in facts(of)
    of.event(3.0, "a-0", "audit", {"sent": 9, "delivered": 8, "violations": 1, "lost": 0})
    assert (facts(of)["audit: delivered"], facts(of)["audit: HARMED"]) == ("8 of 9", "1 violations")


@pytest.mark.parametrize("by_model", [False, True])
def test_the_figure_has_what_the_relayer_knew_that_had_seen_most(tmp_path: Path, by_model: bool) -> None:
    folder = RunFolder.create(tmp_path, "xroute")
    folder.write_scenario('name = "xroute"\n')
    events, samples, links = EventLog(folder), SampleLog(folder), LinkLog(folder, ["a-0:up"])
    for second in range(3):
        for relayer, delivered in (("relayer-1", 2.0 * second), ("relayer-2", 1.0 * second)):
            samples.append(second + 0.5, relayer, relayer, "delivered", "", delivered)
    if by_model:
        samples.append(2.5, "relayer-1", "relayer-1", "delivered_by_model", "", 4.0)
    for spool in (events, samples, links):
        spool.finish()
    (made,) = figures(load_run(folder.path))
    lines = {line.get_label(): list(line.get_ydata()) for line in made.figure.axes[0].lines}
    assert lines == {"on the way": [], "delivered": [0.0, 2.0, 4.0], "settled": []}
    assert ("nothing was proved" in made.caption) == by_model


def test_a_run_without_relayers_has_no_figure(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "xroute")
    folder.write_scenario('name = "xroute"\n')
    for spool in (EventLog(folder), SampleLog(folder), LinkLog(folder, ["a-0:up"])):
        spool.finish()
    assert figures(load_run(folder.path)) == []
