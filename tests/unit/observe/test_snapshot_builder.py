"""Snapshots of a run as screens want them: filtered and sorted rows, contacts, details, panels; without a kernel."""

from __future__ import annotations

import json
from copy import deepcopy
from types import SimpleNamespace

import msgpack
import numpy as np
import pytest

from emulator.link.lateness import Lateness
from emulator.link.overrides import Faults
from emulator.link.stats import EndStats
from emulator.model.network import EndSpec, Handover, LinkSpec, Network, NodeSpec, PiecewiseSchedule, ScheduleRow
from emulator.observe.live_metrics import EVENTS_KEPT, EVENTS_SHOWN, LiveMetrics, fits
from emulator.observe.panels import VIEW_BYTES, Panels
from emulator.observe.schedule_view import ScheduleView
from emulator.observe.snapshot import VERSION, Snapshot, decode, encode
from emulator.observe.snapshot_builder import About, Moment, SnapshotBuilder, at_stage, opening
from emulator.observe.usage import Usage
from emulator.record import RunFolder
from emulator.runtime.control.encoding import MESSAGE_BYTES
from emulator.runtime.supervisor.collector import Collector
from emulator.schedule.ring import RowRing
from emulator.sdk.protocol import Panel, PanelContext, Protocol, TrafficRecords

STEP_S = 1.0
MARGIN = 200


class Line:
    step_s = STEP_S
    rates = None
    substep = None

    def positions(self, t_s):
        return np.array([[0.0, 0.0], [1.0, 2.0], [float("nan")] * 2, [40.0, -170.0 + t_s]])


def network():
    """A station with a moving link to three satellites: nodes 0 (station), 1, 2, 3."""
    nodes = (
        NodeSpec("gs-oslo", "ground station", True, "10.0.0.1", position=(59.9, 10.7)),
        *(NodeSpec(f"sat-{n}", "satellite", n == 3, f"10.0.1.{n}") for n in (1, 2, 3)),
    )
    link = LinkSpec("gs-oslo:up", 0, 1, "up", "down", EndSpec(), EndSpec(), moving=True)
    return Network(nodes, (link,), Line())


def row(step, peer, handovers=()):
    one = np.ones(2)
    next_end = np.full((2, 4), -1, dtype=np.int32)
    next_end[1, 0], next_end[0, peer] = 0, 1
    return ScheduleRow(
        step, one * 0.010, one * 0.020, np.array([1e6, 4e6]), one * 0.0, np.array([True, True]),
        np.array([peer, 0], dtype=np.int32), next_end, tuple(handovers),
    )  # fmt: skip


def ring_of(*rows):
    ring = RowRing(2, 4, 2, capacity=8)
    for each in rows:
        ring.put(each)
    return ring


def counters(packets, queue=0):
    values = [0.0] * len(EndStats)
    values[EndStats.SENT_PACKETS], values[EndStats.SENT_BYTES] = packets + queue, 1250 * (packets + queue)
    values[EndStats.DELIVERED_PACKETS], values[EndStats.DELIVERED_BYTES] = packets, 1250 * packets
    values[EndStats.ASKED_DELAY_SUM_S], values[EndStats.DROP_QUEUE] = 0.015 * packets, queue
    return values


def report(collector, t_s, ends):
    collector.relay_report({"op": "stats", "t_s": t_s, "ends": ends, "lateness": Lateness().pack()})


@pytest.fixture
def snapshot_builder(tmp_path):
    net = network()
    ring = ring_of(row(0, 3), row(1, 3), row(2, 2, [Handover(2.0, 0, 3, 2)]))
    collector = Collector(RunFolder.create(tmp_path, "x"), net)
    report(collector, 1.0, {0: counters(10, queue=2), 1: counters(40)})
    report(collector, 1.25, {0: counters(10, queue=2)})
    job = SimpleNamespace(
        node="gs-oslo", program=SimpleNamespace(name="probe"), process=SimpleNamespace(pid=1), alive=True, unasked="",
        statuses=[],
    )  # fmt: skip
    jobs = SimpleNamespace(all=[job])
    made = SnapshotBuilder(net, ScheduleView(net, ring), jobs, SimpleNamespace(alive=lambda: [job.process]), collector)
    made.job = job
    return made


def test_links_that_drop_come_first_and_a_sort_says_otherwise(snapshot_builder):
    assert [link["end"] for link in snapshot_builder.rows({}, 1.5)["links"]] == ["gs-oslo:up", "gs-oslo:up~down"]
    by_rate = snapshot_builder.rows({"panel": "links", "sort": "-rate_bps"}, 1.5)["links"]
    assert [link["end"] for link in by_rate] == ["gs-oslo:up~down", "gs-oslo:up"]
    only = snapshot_builder.rows({"panel": "links", "filter": "*~down", "rows": 5}, 1.5)
    assert [link["end"] for link in only["links"]] == ["gs-oslo:up~down"]
    assert only["link_count"] == 1


def test_a_link_row_has_what_was_asked_and_what_came_of_it(snapshot_builder):
    link = snapshot_builder.rows({}, 1.5)["links"][0]
    assert link["asked_ms"] == pytest.approx(15.0)
    assert link["far"] == "sat-3"
    assert link["capacity_bps"] == 1e6
    assert link["rate_bps"] == pytest.approx(10 * 1250 * 8)
    assert link["history"] == [10]
    assert link["causes"] == {"queue": 2}


def test_nodes_tell_programs_rates_and_how_they_ended(snapshot_builder):
    found = snapshot_builder.rows({"panel": "nodes", "sort": "-received_bps"}, 1.5)
    first = found["node_rows"][0]
    assert (first["node"], first["state"], first["programs"]) == ("gs-oslo", "up", ["probe"])
    assert first["received_bps"] == pytest.approx(4 * first["sent_bps"])
    assert found["node_count"] == 2
    snapshot_builder.job.alive, snapshot_builder.job.unasked, snapshot_builder.job.statuses = False, "it broke", [1]
    assert snapshot_builder.rows({"panel": "nodes", "filter": "oslo"}, 1.5)["node_rows"][0]["state"] == "failed"


def test_contacts_know_the_past_and_what_is_planned(snapshot_builder):
    contacts = snapshot_builder.rows({"panel": "contacts"}, 0.5)["contacts"]
    assert contacts == [{"link": "gs-oslo:up", "node": "gs-oslo", "spans": [(0.0, 2.0, "sat-3"), (2.0, 3.0, "sat-2")]}]
    snapshot_builder.schedule_view.handed_over(Handover(2.0, 0, 3, 2))
    later = snapshot_builder.rows({"panel": "contacts", "filter": "oslo"}, 2.5)["contacts"]
    assert later[0]["spans"] == [(0.0, 2.0, "sat-3"), (2.0, 3.0, "sat-2")]
    assert snapshot_builder.rows({"panel": "contacts", "filter": "paris"}, 2.5)["contacts"] == []


def test_the_map_has_places_satellites_and_the_ways_of_traffic(snapshot_builder):
    snapshot_builder.metrics.sample(1.0, "gs-oslo", "probe", "rtt_s", 0.03, "sat-3")
    world = snapshot_builder.rows({"panel": "map"}, 1.0)["map"]
    assert world["places"] == [{"node": "gs-oslo", "lat_deg": 59.9, "lon_deg": 10.7}]
    assert world["satellites"] == [1, 2, 40, -169]
    assert world["paths"] == [[(59.9, 10.7), (40.0, -169.0)]]
    assert "map" not in snapshot_builder.rows({"panel": "nodes"}, 1.0)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("gs-oslo:up", {"leads to": "sat-3", "state": "up", "delay asked": "15.000 ms", "dropped: queue": "2"}),
        ("gs-oslo", {"role": "ground station", "programs": "probe", "place": "59.90°, 10.70°"}),
        ("sat-1", {"state": "transit, inside the relay"}),
        ("nobody", {"": "there is no such node or link end in this run"}),
    ],
)
def test_details(snapshot_builder, name, facts):
    detail = snapshot_builder.rows({"detail": name}, 1.5)["detail"]
    assert facts.items() <= dict(detail["facts"]).items()


def test_of_a_run_on_several_hosts_details_tell_them(snapshot_builder):
    def facts(name):
        return dict(snapshot_builder.rows({"detail": name}, 1.5)["detail"]["facts"])

    assert "host" not in snapshot_builder.node_row(0) | facts("gs-oslo")
    assert "hosts" not in facts("gs-oslo:up")
    snapshot_builder.node_hosts = ["host 0", "host 0", "host 0", "host 1"]
    assert snapshot_builder.node_row(0)["host"] == facts("gs-oslo")["host"] == "host 0"
    assert facts("gs-oslo:up")["hosts"] == "host 0 → host 1"
    assert facts("gs-oslo:up~down")["hosts"] == "host 1 → host 0"


def test_a_link_down_by_its_own_table_is_shown_down():
    up = np.array([True, False])
    knots = PiecewiseSchedule(np.array([0.0, 1.0]), np.zeros(2), np.full(2, np.inf), np.zeros(2), up)
    nodes = (NodeSpec("a", "host", True), NodeSpec("b", "host", True))
    schedule_view = ScheduleView(Network(nodes, (LinkSpec("a:up", 0, 1, "up", "up", EndSpec(schedule=knots)),)), None)
    assert schedule_view.scheduled(0, 0.5).peer == 1
    assert schedule_view.scheduled(0, 1.5)[3:] == (False, -1)
    assert schedule_view.scheduled(1, 0.0).up is False  # nobody says anything of it


class Counting(Panel):
    def __init__(self, setup):
        super().__init__(setup)
        self.count = 0

    def event(self, t_s, node, kind, data):
        self.count += 1
        if kind == "bad":
            raise KeyError("oops")

    def widgets(self, t_s):
        wide = [["row", "x" * 3000]] * self.count
        return [{"kind": "facts", "rows": [[str(self.count), "events"]]}, {"kind": "facts", "rows": wide}]


def panels():
    protocol = Protocol("p", "A protocol", panel=f"{__name__}:Counting", quiet=frozenset({"murmur"}))
    return Panels([(protocol, PanelContext(("a",), {"prog": {}}, {}, (), 10.0))])


def test_the_protocol_names_the_records_of_its_traffic():
    named = TrafficRecords("ping_s", lost=None, flow_rate="rate", flow_size="size", flow_end="over")
    metrics = LiveMetrics(
        Panels([(Protocol("p", "P", traffic=named), PanelContext(("a",), {"prog": {}}, {}, (), 10.0))])
    )
    for program in ("prog", "other"):
        for name in ("ping_s", "rtt_s", "probe_lost", ""):
            metrics.sample(1.0, "a", program, name, 0.5, f"{program} {name}")
    assert [peer for _, peer in metrics.probes] == ["prog ping_s", "other rtt_s", "other probe_lost"]
    metrics.sample(2.0, "b", "prog", "size", 5e6, "a")
    metrics.event(3.0, "b", "prog", "over", {"peer": "a", "bytes": 6_000_000, "duration_s": 2.0})
    metrics.event(3.0, "b", "prog", "flow", {"peer": "c", "bytes": 1, "duration_s": 2.0})
    assert [(row["pair"], row["bytes"]) for row in metrics.flow_rows()] == [("a → b", 6_000_000)]


def test_the_mean_of_a_flow_in_its_first_second_is_that_of_the_interval_before_its_first_samples():
    metrics = LiveMetrics()
    means = []
    for second in (1, 2, 3):  # started at 0 s; rate and size are told a few microseconds one after the other
        metrics.sample(second, "b", "prog", "goodput_bps", 40e6, "a")
        metrics.sample(second + 9e-6, "b", "prog", "flow_bytes", 5e6 * second, "a")
        means += [row["mean_bps"] for row in metrics.flow_rows()]
    assert means == pytest.approx([40e6] * 3, rel=1e-4)


def test_panels_see_their_programs_only_and_quiet_kinds_are_no_news():
    metrics = LiveMetrics(panels())
    for program, kind in (("prog", "murmur"), ("prog", "news"), ("other", "news")):
        metrics.event(1.0, "a", program, kind, {"x": 1})
    assert [row["kind"] for row in metrics.tail] == ["news", "news"]
    (view,) = metrics.panels.views(1.0)
    assert view["widgets"][0] == {"kind": "facts", "rows": [["2", "events"]]}


def test_a_panel_that_breaks_says_so_and_one_that_is_too_large_is_cut(capsys):
    metrics = LiveMetrics(panels())
    for _ in range(3):
        metrics.event(1.0, "a", "prog", "news", {})
    (view,) = metrics.panels.views(1.0)
    assert len(view["widgets"]) == 1
    assert len(msgpack.packb(view)) < VIEW_BYTES
    metrics.event(1.0, "a", "prog", "bad", {})
    metrics.event(1.0, "a", "prog", "news", {})
    (view,) = metrics.panels.views(1.0)
    assert "KeyError" in view["widgets"][0]["rows"][0][1]
    assert "oops" in capsys.readouterr().err


def test_a_panel_that_cannot_be_had_says_so(capsys):
    shown = Panels([(Protocol("q", "Q", panel="no.such:Panel"), PanelContext((), {"prog": {}}, {}, (), 1.0))])
    assert "No module named" in shown.views(0.0)[0]["widgets"][0]["rows"][0][1]
    assert "ModuleNotFoundError" in capsys.readouterr().err


def test_the_event_log_is_bounded_and_filtered():
    metrics = LiveMetrics()
    for number in range(EVENTS_KEPT + 50):
        metrics.event(number, "a" if number % 2 else "b", "prog", "tick", {"n": number})
    assert len(metrics.event_rows({"panel": "events", "rows": 500})) == EVENTS_SHOWN
    rows = metrics.event_rows({"panel": "events", "filter": "n=449", "rows": 20})
    assert [row["t_s"] for row in rows] == [449]
    assert {row["node"] for row in metrics.event_rows({"panel": "events", "filter": "a"})} == {"a"}


@pytest.mark.parametrize(
    ("expected", "text", "whether"), [("oslo", "gs-Oslo", True), ("gs-*", "gs-oslo", True), ("g?-x", "gs-oslo", False)]
)
def test_filters_are_parts_of_names_or_globs(expected, text, whether):
    assert fits(expected, "zzz", text) is whether


def test_a_snapshot_too_large_loses_the_least_interesting_first():
    snapshot = {
        "version": VERSION,
        "scenario": "x",
        "map": {"satellites": list(range(200)) * 200},
        "links": [{"end": "a" * 20_000}] * 2,
    }
    data = encode(snapshot, MESSAGE_BYTES)
    sent = decode(data)
    assert "map" not in sent
    assert len(sent["links"]) == 2
    assert len(data) < MESSAGE_BYTES


@pytest.mark.parametrize("most_bytes", [60, 2000, 20_000, 10**6])
def test_an_encoded_snapshot_has_no_more_bytes_than_allowed_and_is_one_map(most_bytes):
    rows = {key: ["x" * 1500] for key in ("map", "contacts", "panels", "events", "probes", "flows", "links")}
    data = encode({"version": VERSION, "scenario": "x", **rows, "node_rows": []}, most_bytes)
    assert len(data) <= most_bytes
    assert decode(data) == msgpack.unpackb(data)
    assert ("links" in decode(data), "map" in decode(data)) == (most_bytes >= 2000, most_bytes >= 20_000)


@pytest.mark.parametrize(
    "data", [b"", b"noise", msgpack.packb([1]), msgpack.packb({"scenario": "x"}), msgpack.packb({"version": 2})]
)
def test_what_is_no_snapshot_of_this_version_is_a_value_error(data):
    with pytest.raises(ValueError, match="snapshot"):
        decode(data)


def test_hosts_with_the_latest_packets_and_slow_trunks_come_first(snapshot_builder):
    first = opening(About("x", 1, "a1", "runs/x", 60.0, 2.0), snapshot_builder.network)
    machines = [{"name": "a", "lateness_ms": {}}, {"name": "b", "lateness_ms": {"p99": 2.0}}]
    trunks = [{"pair": f"{number}", "latency_p99_ms": number} for number in range(30)]
    shown = snapshot_builder.snapshot(first, {}, Moment(1.5, None, [], machines=machines, trunks=trunks))
    assert [row["name"] for row in shown["machines"]] == ["b", "a"]
    assert [row["pair"] for row in shown["trunks"]] == [f"{number}" for number in range(29, 9, -1)]
    assert not {"machines", "trunks"} & snapshot_builder.snapshot(first, {}, Moment(1.5, None, [])).keys()


def test_a_snapshot_is_a_new_value_each_time_and_json_carries_it(snapshot_builder):
    first = opening(About("x", 1, "a1", "runs/x", 60.0, 2.0), snapshot_builder.network)
    built = at_stage(first, "build", 3, 9, "links", 0.5)
    moment = Moment(1.5, 1e9, ["w" * 999] * 20, 1.0)
    before = deepcopy((first, built))
    played = snapshot_builder.snapshot(built, {"panel": "contacts", "detail": "gs-oslo"}, moment)
    snapshot_builder.handed_over({"t_s": 2.0, "link": "gs-oslo:up", "before": "sat-3", "after": "sat-2"})
    kept = deepcopy(played)
    later = snapshot_builder.snapshot(played, {"panel": "nodes"}, Moment(2.5, 1e9, []))
    ended = at_stage(later, "analysis", 1, 4, "tables", 9.0)
    assert (first, built, played) == (*before, kept)
    for snapshot in (first, built, played, later, ended):
        assert snapshot["version"] == VERSION
        assert json.loads(json.dumps(snapshot, allow_nan=False)) == json.loads(
            json.dumps(decode(encode(snapshot, 10**6)))
        )
    assert {"detail", "contacts"} <= played.keys()
    assert not {"detail", "contacts"} & later.keys(), "of an earlier view"
    assert (later["handovers"], later["handover_tail"][0]["after"]) == (1, "sat-2")
    assert (ended["phase"], ended["label"], ended["links"]) == ("analysis", "tables", later["links"])
    assert len(played["warnings"]) == 10


def test_every_key_of_a_snapshot_is_read_only():
    """As the type checker sees it; the annotation stands for each key."""
    assert all(hint.__forward_arg__.startswith("ReadOnly[") for hint in Snapshot.__annotations__.values())


def test_usage_reads_a_few_processes_a_turn(tmp_path):
    def write(pid, ticks, kilobytes):
        folder = tmp_path / str(pid)
        folder.mkdir(exist_ok=True)
        fields = ["S", *["0"] * 10, str(ticks), "0", *["0"] * 8, "0", "0"]
        (folder / "stat").write_text(f"{pid} (a) b) {' '.join(fields)}\n")
        pages = f"00-ff ---p [rollup]\nPss: 9 kB\nPrivate_Clean: 1 kB\nPrivate_Dirty: {kilobytes} kB\n"
        (folder / "smaps_rollup").write_text(pages)

    usage = Usage(tmp_path)
    write(5, 100, 10)
    usage.read([5, 6], 0.0)
    assert usage.of(6) is None
    write(5, 150, 20)
    usage.read([5, 6], 0.5)  # too soon
    assert usage.of(5).cpu == 0.0
    usage.read([5, 6], 1.0)
    assert usage.of(5) == (pytest.approx(0.5), 11 * 1024)  # memory is not read anew so soon
    many = list(range(1000, 1000 + MARGIN))
    for pid in many:
        write(pid, 1, 1)
    usage.read(many, 2.0)
    assert 0 < sum(usage.of(pid) is not None for pid in many) < MARGIN


def test_what_an_action_did_to_a_link_is_shown_instead_of_its_schedule(snapshot_builder):
    faults = Faults(snapshot_builder.network, lambda order: None)
    snapshot_builder.overrides = faults.overrides
    faults.set([1], {"delay_s": 0.2, "rate_bps": 1e5})
    row = snapshot_builder.link_row("gs-oslo:up~down", 5.0)
    assert (row["up"], row["capacity_bps"]) == (True, 1e5)
    assert (
        dict(snapshot_builder.rows({"detail": "gs-oslo:up~down"}, 1.5)["detail"]["facts"])["delay asked"]
        == "200.000 ms"
    )
    faults.switch([0], up=False)
    faults.hold([0], held=True)
    row = snapshot_builder.link_row("gs-oslo:up", 1.5)
    assert (row["up"], row["far"]) == (False, "")
    facts = dict(snapshot_builder.rows({"detail": "gs-oslo:up"}, 1.5)["detail"]["facts"])
    assert (facts["state"], facts["by a fault"]) == ("down", "down, packets wait")
