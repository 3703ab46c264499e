"""Replay: the same records give the same numbers as the live screen; seeking, crashed runs, long runs in pieces."""

from __future__ import annotations

import json
import select
import shutil
from dataclasses import replace
from random import Random
from types import SimpleNamespace

import polars as pl
import pytest

from emulator.link.lateness import Lateness
from emulator.link.stats import EndStats
from emulator.model.errors import DataError, UsageError
from emulator.observe.expected_rtt import ExpectedRtt
from emulator.observe.panels import Panels
from emulator.observe.replay import Replay
from emulator.observe.replay import feed as feeding
from emulator.observe.replay.altered import Altered
from emulator.observe.replay.programs import PastJobs, PastProcesses
from emulator.observe.replay.schedule_view import ReplayRows
from emulator.observe.schedule_view import ScheduleView
from emulator.observe.snapshot_builder import SnapshotBuilder
from emulator.observe.source import Seekable
from emulator.observe.usage import Usage
from emulator.record.folder import RunFolder
from emulator.record.verdict import Verdict
from emulator.record.verdict.judge import conclude
from emulator.runtime.supervisor.collector import Collector
from emulator.scenario import load
from emulator.scenario.build import build_network
from emulator.schedule.ring import RowRing
from emulator.sdk.protocol import Panel, protocol_of

SECONDS = 60
SCENARIO = f"""
name = "small"
topology = "topologies.leo"
duration = "{SECONDS} s"
step = "1 s"
[shell]
planes = 24
per_plane = 16
phasing = 5
[ground]
stations = ["tokyo", "paris", "sydney"]
min_elevation_deg = 10
min_dwell = "1 s"
policy = "nearest"
[[program]]
name = "probe"
nodes = ["gs-*"]
run = "nodes.traffic.probe:Probe"
"""
STATIONS = ["gs-tokyo", "gs-paris", "gs-sydney"]
NOT_RECORDED = {"cpu", "memory_bytes"}


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenario") / "small.toml"
    path.write_text(SCENARIO)
    return load(path)


@pytest.fixture(scope="module")
def network(scenario):
    return build_network(scenario)


def test_rows_that_are_worked_out_again_are_a_source_of_rows_as_a_ring_is(network):
    rows = ReplayRows(network, 5)
    asked = ExpectedRtt(network, rows)
    assert rows.reach(2, lambda: True)
    asked.remember(2)
    assert rows.copied(2) is rows.row(2)
    assert rows.holds(2)
    with pytest.raises(LookupError):
        rows.copied(5)


class Played:
    """A run without processes: what its nodes and its relay would report goes into the real collector."""

    def __init__(self, root, scenario, network):
        self.folder = RunFolder.create(root, "small", "abc123")
        self.folder.write_scenario(SCENARIO)
        self.network = network
        self.ring = RowRing(2 * len(network.links), len(network.nodes), len(network.live), SECONDS + 4)
        for row in network.timeline.rows(0, SECONDS):
            self.ring.put(row)
        self.collector = Collector(self.folder, network, Panels.of(scenario, network))
        self.collector.metrics.expected_rtt = ExpectedRtt(network, self.ring)
        self.schedule_view = ScheduleView(network, self.ring)
        self.jobs = PastJobs(scenario, network, _no_events())
        self.snapshot_builder = SnapshotBuilder(
            network, self.schedule_view, self.jobs, PastProcesses(self.jobs), self.collector, Usage()
        )
        self.counters = {}
        self.random = Random(7)

    def play(self, looks):
        """The whole run; the snapshots of {time: view}, taken as the live screen takes them."""
        found = {}
        self.collector.event(0.0, "", "skyloom", "play", {"t0_monotonic_ns": 5, "t0_utc_ns": 1_700_000_000 * 10**9})
        for second in range(SECONDS):
            for handover in self.ring.row(second).handovers:
                self.schedule_view.handed_over(handover)
                names = [self.network.nodes[n].name if n >= 0 else "" for n in (handover.before, handover.after)]
                link = self.network.links[handover.link]
                data = {"link": link.name, "before": names[0], "after": names[1]}
                self.collector.event(handover.t_s, self.network.nodes[link.a].name, "", "handover", data)
            self._records(second)
            self._report(second + 0.9)
            self.collector.relay_report(self._stats(second + 0.91, {}))  # closes the interval
            self.collector.intervals()  # as four snapshots a second would
            for t_s in [t_s for t_s in looks if second + 0.91 < t_s < second + 1]:
                found[t_s] = json.loads(json.dumps({"t_s": t_s, **self.snapshot_builder.rows(looks[t_s], t_s)}))
        self.collector.event(SECONDS - 0.05, "gs-paris", "probe", "program-ended", {"status": 1, "text": "fell over"})
        return found

    def _records(self, second):
        for share in (0.1, 0.6):
            for node in STATIONS:
                for peer in STATIONS:
                    if node != peer:
                        name, value = ("rtt_s", 0.1 + self.random.random() / 50) if self.random.random() < 0.9 else (
                            "probe_lost", 1.0)  # fmt: skip
                        record = [round((second + share) * 1e9), name, value, peer]
                        self.collector.record(SimpleNamespace(node=node, program="probe"), record)

    def _report(self, t_s):
        ends = {}
        for end in self.random.sample(range(2 * len(self.network.links)), 40):
            values = self.counters.setdefault(end, [0.0] * len(EndStats))
            packets, lost = self.random.randrange(1, 50), self.random.randrange(3)
            values[EndStats.SENT_PACKETS] += packets + lost
            values[EndStats.DELIVERED_PACKETS] += packets
            values[EndStats.SENT_BYTES] += 1000 * (packets + lost)
            values[EndStats.DELIVERED_BYTES] += 1000 * packets
            values[EndStats.DROP_QUEUE] += lost
            values[EndStats.ASKED_DELAY_SUM_S] += 0.012 * packets
            values[EndStats.LATE_SUM_S] += 0.001 * packets
            ends[end] = list(values)
        self.collector.relay_report(self._stats(t_s, ends))

    def _stats(self, t_s, ends):
        return {"op": "stats", "t_s": t_s, "ends": ends, "lateness": Lateness().pack()}

    def finish(self, verdict=True):
        for spool in (self.collector.events, self.collector.samples, self.collector.links):
            if verdict:
                spool.finish()
            else:
                spool.close()
        if verdict:
            late = {"p50": 0.1, "p99": 0.9, "max": 2.0}
            made = Verdict(scenario="small", seed=1, duration_s=float(SECONDS), lateness_ms=late)
            self.folder.write_verdict(conclude(made).to_json())
        return self.folder.path


def _no_events():
    import polars as pl

    return pl.DataFrame(schema={"t_s": float, "node": str, "program": str, "kind": str, "data": str})


VIEWS = {
    5.95: {"panel": "overview", "rows": 30},
    9.95: {"panel": "links", "rows": 20, "filter": "gs-"},
    12.95: {"panel": "links", "rows": 60, "sort": "-drops"},
    17.95: {"panel": "nodes", "rows": 20, "sort": "-sent_bps"},
    40.95: {"panel": "contacts", "rows": 20},
    43.95: {"panel": "map", "rows": 20},
    45.95: {"panel": "protocol", "rows": 20},
    48.95: {"panel": "events", "rows": 20, "filter": "handover"},
    53.95: {"panel": "nodes", "detail": "gs-paris"},
    56.95: {"panel": "links", "detail": "gs-tokyo:up"},
}


@pytest.fixture(scope="module")
def played(tmp_path_factory, scenario, network):
    """The folder of a finished run, and what its live screens showed."""
    run = Played(tmp_path_factory.mktemp("runs"), scenario, network)
    live = run.play(VIEWS)
    return run.finish(), live


def without(snapshot):
    """A snapshot without what the tables do not hold."""
    kept = {key: value for key, value in snapshot.items() if key not in ("lateness_ms", "nodes")}
    kept["node_rows"] = [{k: v for k, v in row.items() if k not in NOT_RECORDED} for row in kept["node_rows"]]
    if "detail" in kept:
        facts = [fact for fact in kept["detail"]["facts"] if fact[0] not in ("processor", "memory")]
        kept["detail"] = kept["detail"] | {"facts": facts}
    return kept


def shown(replay, t_s, view):
    replay.view(view)
    replay.seek(t_s - replay.t_s)
    return json.loads(json.dumps(replay.snapshot()))


def test_replay_shows_what_the_live_screen_showed(played):
    folder, live = played
    replay = Replay(folder, 0.0)
    times = [*VIEWS, *reversed(VIEWS)]  # forwards, then backwards
    assert len(live) == len(VIEWS)
    for t_s in times:
        found = shown(replay, t_s, VIEWS[t_s])
        expected = without(live[t_s])
        assert found["t_s"] == pytest.approx(t_s)
        for key in expected.keys() - {"t_s"}:
            assert found[key] == expected[key], f"{key} at {t_s}"
    assert any(len(row["spans"]) > 1 for row in live[40.95]["contacts"])
    assert live[43.95]["map"]["paths"]
    assert any("error_ms" in row for row in live[5.95]["probes"])
    assert live[48.95]["events"]


def test_snapshots_do_not_depend_on_how_the_cursor_came_there(played):
    replay, fresh = Replay(played[0], 31.0), Replay(played[0], 31.0)
    straight = fresh.snapshot()
    for t_s in (2.0, 59.0, 11.0, 31.0):
        found = shown(replay, t_s, {})
    assert found == json.loads(json.dumps(straight))


def test_header_and_end(played):
    replay = Replay(played[0])
    assert isinstance(replay, Seekable)
    assert replay.receive()["label"] == "opening the run"
    snapshot = replay.snapshot()
    assert (snapshot["scenario"], snapshot["run_id"], snapshot["seed"]) == ("small", "abc123", 1)
    assert snapshot["t_s"] == snapshot["duration_s"] == SECONDS
    assert snapshot["phase"] == "done"
    assert snapshot["lateness_ms"] == {"p50": 0.1, "p99": 0.9, "max": 2.0}
    assert snapshot["t0_utc_s"] == 1_700_000_000
    assert snapshot["handovers"] == len([row for row in replay.run.events["kind"] if row == "handover"]) > 0
    states = {row["node"]: row["state"] for row in snapshot["node_rows"]}
    assert states == {"gs-tokyo": "up", "gs-paris": "failed", "gs-sydney": "up"}
    assert snapshot["nodes"]["processes"] == 2
    before = shown(replay, 30.0, {})
    assert {row["state"] for row in before["node_rows"]} == {"up"}
    assert "lateness_ms" not in before  # nobody wrote down what it was then


def test_cursor_stays_within_the_run_and_the_descriptor_tells_of_moves(played):
    replay = Replay(played[0], 7.0)
    assert select.select([replay.fd], [], [], 0)[0]
    replay.receive()
    while select.select([replay.fd], [], [], 0)[0]:
        assert replay.receive()["t_s"] == 7.0
    for delta_s, t_s in ((-100.0, 0.0), (1.5, 1.5), (float("inf"), SECONDS), (float("-inf"), 0.0), (float("nan"), 0.0)):
        replay.seek(delta_s)
        assert replay.t_s == t_s
    assert select.select([replay.fd], [], [], 0)[0]
    with pytest.raises(UsageError, match="has ended"):
        replay.fault({"do": "crash"})
    replay.detach()
    assert replay.receive() is None


def test_far_seeks_come_in_pieces(played, monkeypatch):
    monkeypatch.setattr(feeding, "PIECE", 50)
    now = iter(range(10**6))
    replay = Replay(played[0], SECONDS, clock=lambda: next(now) * 0.15)  # every look at the clock takes long
    replay.receive()
    pieces = []
    while select.select([replay.fd], [], [], 0)[0]:
        pieces.append(replay.receive())
    assert len(pieces) > 3
    assert (pieces[0]["label"], pieces[0]["phase"]) == ("records read", "analysis")
    done = [piece["done"] for piece in pieces if piece["label"] == "records read"]
    assert done == sorted(set(done))
    assert done[-1] < pieces[0]["total"]
    assert (pieces[-1]["label"], pieces[-1]["phase"]) == ("", "done")
    assert json.dumps(replay.snapshot()) == json.dumps(Replay(played[0], SECONDS).snapshot())


def test_going_back_starts_from_a_copy(played, monkeypatch):
    monkeypatch.setattr(feeding, "COPY_EVERY", 100)
    replay = Replay(played[0], SECONDS)
    replay.snapshot()
    feed = replay._opened()._feed
    assert feed._copies
    assert len(feed._copies) <= feeding.COPIES
    given = []
    give = feed._give
    monkeypatch.setattr(feed, "_give", lambda start, stop: (given.append(stop - start), give(start, stop)))
    found = shown(replay, 30.0, {})
    assert 0 < sum(given) < feed.position(30.0)
    assert found == json.loads(json.dumps(Replay(played[0], 30.0).snapshot()))


def test_crashed_run_is_opened_from_its_spools(tmp_path, scenario, network):
    run = Played(tmp_path, scenario, network)
    run.play({})
    folder = run.finish(verdict=False)
    before = sorted(path.name for path in folder.iterdir())
    snapshot = Replay(folder).snapshot()
    assert snapshot["warnings"] == ["the run has no verdict: it was killed, or failed before its end"]
    assert snapshot["t_s"] == pytest.approx(SECONDS - 0.05)
    assert snapshot["link_count"] > 0
    assert sorted(path.name for path in folder.iterdir()) == before


def test_run_that_recorded_nothing(tmp_path):
    folder = RunFolder.create(tmp_path, "small", "abc123")
    folder.write_scenario(SCENARIO)
    folder.write_verdict(conclude(Verdict(scenario="small", seed=1)).to_json())
    snapshot = Replay(folder.path).snapshot()
    assert snapshot["t_s"] == 0.0
    assert snapshot["links"] == []
    with pytest.raises(DataError, match="no such run folder"):
        Replay(tmp_path / "nothing")


def test_ends_under_an_action_are_known_at_any_time(network):
    import polars as pl

    def told(t_s, kind, **data):
        return {"t_s": t_s, "node": "", "program": "skyloom", "kind": kind, "data": json.dumps(data)}

    up = 2 * next(number for number, link in enumerate(network.links) if link.name == "gs-tokyo:up")
    first, second = network.nodes[0].name, network.nodes[1].name
    rows = [
        told(1.0, "action", do="set", links=["gs-tokyo:up"], delay_s=0.2),
        told(2.0, "action", do="set", links=["gs-tokyo:up"], delay_s=None),
        told(3.0, "action", do="link-down", links=["gs-tokyo:up"]),
        told(4.0, "action", do="link-up", links=["gs-tokyo:up"]),
        told(5.0, "action", do="partition", groups=[["gs-tokyo", second]]),
        told(6.0, "handover", link="gs-tokyo:up", before=first, after=second),
        told(7.0, "action", do="heal"),
        told(8.0, "action", do="hold", nodes=["gs-tokyo"]),
    ]
    altered = Altered(network, pl.DataFrame(rows))
    isl = set(range(2 * len(network.links))) - {up, up + 1}
    assert [sorted(set(altered.at(t_s)) - isl) for t_s in (0.5, 1.0, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 9.0)] == [
        [], [up], [], [up, up + 1], [], [up, up + 1], [], [], [up, up + 1],
    ]  # fmt: skip
    assert set(altered.at(6.5)) & isl  # the ISLs of the satellite on the station's side
    assert Altered(network, _no_events()).at(3.0) == {}


class Broken(Panel):
    def event(self, t_s, node, kind, data):
        raise RuntimeError("no such kind")


def test_a_panel_that_breaks_says_so_in_its_place_and_nowhere_else(played, monkeypatch, capsys):
    protocol = protocol_of("nodes.traffic.probe:Probe")
    monkeypatch.setattr("nodes.traffic.protocol.PROTOCOL", replace(protocol, panel=f"{__name__}:Broken"))
    snapshot = Replay(played[0]).snapshot()
    assert snapshot["panels"][0]["widgets"] == [
        {"kind": "facts", "rows": [["this panel broke", "RuntimeError: no such kind"]]}
    ]
    said = capsys.readouterr()
    assert said.err == said.out == ""


def test_programs_may_call_their_events_as_the_run_calls_its_own(played, tmp_path):
    folder = shutil.copytree(played[0], tmp_path / "again-abc123")
    events = pl.read_parquet(folder / "events.parquet")
    kinds = ["handover", "action", "play", "flow", "flow", "program-ended"]
    data = ['{"to":3}', '{"do":["x"]}', '{"t0_utc_ns":1}', '{"bytes":"many"}', "{}", '{"status":"odd"}']
    count = len(kinds)
    columns = {"t_s": [1.0] * count, "node": ["gs-tokyo"] * count, "program": ["mine"] * count}
    theirs = pl.DataFrame({**columns, "kind": kinds, "data": data})
    pl.concat([events, theirs]).write_parquet(folder / "events.parquet")
    before, after = Replay(played[0], 20.0).snapshot(), Replay(folder, 20.0).snapshot()
    assert {row["text"] for row in after["events"]} > {row["text"] for row in before["events"]}
    for key in before.keys() - {"events", "folder"}:
        assert after[key] == before[key], key
