"""The messages of a window: from captures, whose hops become one message, or from probes; and their drawing."""

from types import SimpleNamespace

import polars as pl
import pytest
from made_captures import capture, udp

from emulator.model.errors import UsageError
from emulator.record.pcapng import Interface
from emulator.report import drawing
from emulator.report.sections import spacetime
from emulator.report.sections.messages import Window, messages
from emulator.report.sections.scheduled import ScheduledValues
from emulator.report.sections.spacetime import space_time

T0_NS = 1_700_000_000_000_000_000
NAMES = {"10.0.0.1": "a", "10.0.0.2": "b"}
HOPS = (Interface("a:up", "a -> hub"), Interface("hub -> b", "hub:b, switch"))


def at(t_s):
    return T0_NS + round(t_s * 1e9)


@pytest.fixture
def run(tmp_path):
    """A run whose link hub:b is asked for 20 ms in its first second and 30 ms in its second."""
    links = pl.DataFrame(
        {"end": ["a:up", "hub:b", "hub:b"], "t_s": [1.0, 1.0, 2.0], "asked_delay_ms": [5.0, 20.0, 30.0]}
    )
    samples = pl.DataFrame(
        [(1.0, "a", "owd_s", "b", 0.25), (1.1, "b", "probe_lost", "a", 1.0), (3.0, "a", "owd_s", "b", 0.2),
         (1.0, "a", "rtt_s", "b", 0.5)],
        schema=["t_s", "node", "name", "key", "value"], orient="row",
    )  # fmt: skip
    events = pl.DataFrame([(0.0, "play", f'{{"t0_utc_ns":{T0_NS}}}')], schema=["t_s", "kind", "data"], orient="row")
    return SimpleNamespace(path=tmp_path, links=links, samples=samples, events=events, own_events=events, verdict=None)


def test_hops_of_a_packet_are_one_message(run):
    capture(run.path / "capture.pcapng", [
        (0, at(1.2), udp(), ""), (1, at(1.205), udp(ttl=63), ""),
        (0, at(1.3), udp(number=2), ""), (1, at(1.305), udp(number=2, ttl=63), "dropped: queue full"),
        (0, at(1.4), udp(number=3), ""),
    ], HOPS)  # fmt: skip
    found, source = messages(run, Window(1.0, 2.0), ScheduledValues(names=NAMES))
    assert "capture" in source
    assert [(one.sender, one.receiver, one.kind) for one in found] == [("a", "b", "udp 7000")] * 3
    assert [one.sent_s for one in found] == pytest.approx([1.2, 1.3, 1.4])
    assert found[0].arrived_s == pytest.approx(1.205 + 0.030)  # of the second that it is in
    assert (found[1].arrived_s, found[1].cause) == (None, "queue full")
    assert found[1].lost_s == pytest.approx(1.305)
    assert (found[2].arrived_s, found[2].lost_s) == (None, None)


def test_equal_packets_sent_again_are_messages_of_their_own(run):
    capture(run.path / "capture.pcapng", [(0, at(1.0 + 0.1 * n), udp(), "") for n in range(4)], HOPS)
    assert len(messages(run, Window(1.0, 2.0), ScheduledValues(names=NAMES))[0]) == 4


def test_where_the_last_link_was_not_captured_the_schedule_tells_the_arrival(run):
    capture(run.path / "capture.pcapng", [(0, at(1.2), udp(), "")], HOPS)
    paths = SimpleNamespace(delay_s=lambda sender, receiver, t_s: {("a", "b"): 0.025}.get((sender, receiver)))
    found = messages(run, Window(1.0, 2.0), ScheduledValues(names=NAMES, paths=paths))[0]
    assert found[0].arrived_s == pytest.approx(1.225)
    assert found[0].scheduled


def test_a_packet_under_way_when_the_window_begins_is_not_sent_in_it(run):
    capture(run.path / "capture.pcapng", [(0, at(0.99), udp(), ""), (1, at(1.01), udp(ttl=63), "")], HOPS)
    assert messages(run, Window(1.0, 2.0), ScheduledValues(names=NAMES))[0] == []


def test_addresses_of_nobody_stay_addresses(run):
    capture(run.path / "capture.pcapng", [(0, at(1.2), udp(destination="192.0.2.9"), "")], HOPS)
    assert messages(run, Window(1.0, 2.0), ScheduledValues(names=NAMES))[0][0].receiver == "192.0.2.9"


def test_probes_where_there_is_no_capture(run):
    found, source = messages(run, Window(0.5, 2.0), ScheduledValues())
    assert "no capture" in source
    assert [(one.sender, one.receiver, one.arrived_s, one.lost_s) for one in found] == [
        ("a", "b", 1.25, None), ("b", "a", None, 1.1),
    ]  # fmt: skip


def test_only_the_wanted_nodes(run):
    capture(run.path / "capture.pcapng", [(0, at(1.2), udp(), ""), (0, at(1.3), udp(destination="9.9.9.9"), "")], HOPS)
    assert len(messages(run, Window(1.0, 2.0, ("a", "b*")), ScheduledValues(names=NAMES))[0]) == 1


def test_the_drawing_says_how_many_there_are_and_draws_no_more_than_it_may(run, monkeypatch):
    monkeypatch.setattr(spacetime, "MOST_MESSAGES", 20)
    packets = [(0, at(1.0 + n / 10_000), udp(number=n), "") for n in range(25)]
    capture(run.path / "capture.pcapng", packets, HOPS)
    drawn = space_time(run, Window(1.0, 2.0), ScheduledValues(names=NAMES))
    assert "25 messages" in drawn.caption
    assert "The first 20 are drawn" in drawn.caption
    assert "20 of whose arrival nothing is known" in drawn.caption
    assert "udp 7000" in drawing.svg(drawn.figure)


def test_crosses_and_an_empty_window(run):
    capture(run.path / "capture.pcapng", [(0, at(1.2), udp(), "dropped: random loss")], HOPS)
    drawn = space_time(run, Window(1.0, 2.0), ScheduledValues(names=NAMES))
    assert "Crosses: lost (random loss 1)" in drawn.caption
    assert drawn.figure.axes[0].lines[0].get_marker() == "x"
    assert "0 messages" in space_time(run, Window(5.0, 6.0), ScheduledValues(names=NAMES)).caption


def test_windows():
    assert Window.of("10s:10.5s", ["gs-*"]) == Window(10.0, 10.5, ("gs-*",))
    assert Window.of("100 ms:2 s") == Window(0.1, 2.0)


@pytest.mark.parametrize("said", ["10s", "10s:", "5s:4s", "1s:unlimited", "1:2", "4s:4s", "::"])
def test_what_is_no_window(said):
    with pytest.raises(UsageError, match="START:END"):
        Window.of(said)
