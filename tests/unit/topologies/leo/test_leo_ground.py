"""Gateways, points of presence, rain, and what `ground.terminal` makes of a network."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from emulator.model.errors import DataError
from emulator.model.network import BuildOptions
from emulator.orbit.frames import SPEED_OF_LIGHT_M_S
from emulator.schedule.routes import route_delay_s
from emulator.schedule.substep import validate
from topologies.leo import Config, LeoTopology, build
from topologies.leo.gateway_sites import GATEWAYS, POPS, great_circle_m, read_gateways, read_pops, slug
from topologies.leo.terminal_model.weather import read_rain

DATA = Path(__file__).resolve().parents[5] / "shared" / "data" / "orbits" / "starperf"
PLACES = ("osnabrueck", "louvain", "victoria")
START = datetime(2026, 11, 23, 18, tzinfo=UTC)


def topo(options: BuildOptions | None = None, gateways: dict | None = None, **ground) -> LeoTopology:
    tables = {"ground": {"stations": list(PLACES), "terminal": "starlink", **ground}, "gateways": gateways or {}}
    return build(Config.model_validate(tables), options or BuildOptions(duration_s=60.0))


def list_file(folder: Path, *entries: str) -> Path:
    path = folder / "sites.xml"
    path.write_text(f"<GSs>{''.join(entries)}</GSs>")
    return path


def entry(lat: str, lon: str, words: str) -> str:
    return f"<GS><Latitude>{lat}</Latitude><Longitude>{lon}</Longitude><Description>{words}</Description></GS>"


# --- lists ---


def test_shipped_sites() -> None:
    assert GATEWAYS["aerzen"].lat_deg == 52.0
    for sites in (GATEWAYS, POPS):
        assert all(name == site.name == slug(name) for name, site in sites.items())
        assert all(abs(site.lat_deg) < 72 and abs(site.lon_deg) <= 180 for site in sites.values())
    assert great_circle_m(50.1, 8.7, [POPS["london"]])[0] == pytest.approx(634e3, rel=0.01)


def test_lists_of_others(tmp_path: Path) -> None:
    path = list_file(tmp_path, entry("1.5", "-2", "Redmond, WA | Mega"), entry("1.5", "-2", "Redmond, WA | Mega"),
                     entry("-3", "4", "Redmond, WA"))  # fmt: skip
    assert [tuple(site) for site in read_gateways(path)] == [("redmond-wa", 1.5, -2.0), ("redmond-wa-2", -3.0, 4.0)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (entry("91", "0", "Nowhere"), "91°; expected -90 to 90"),
        (entry("x", "0", "Nowhere"), "'x' is no number of degrees"),
        ("<GS><Latitude>1</Latitude></GS>", "None is no number"),
        ("", "names no site"),
        ("<GS>", "expected an XML list"),
    ],
)
def test_lists_that_cannot_be(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_gateways(list_file(tmp_path, text))


@pytest.mark.skipif(not DATA.exists(), reason="no shared data")
def test_shared_lists() -> None:
    gateways, pops = read_gateways(DATA / "starlink-gateways.xml"), read_pops(DATA / "starlink-pops.xml")
    assert (len(gateways), len(pops)) == (222, 23)
    assert len({site.name for site in gateways}) == 222
    known = {site.name: site for site in gateways}
    assert great_circle_m(*GATEWAYS["aerzen"][1:], [known["aerzen-de"]])[0] < 15e3


# --- rain ---


def test_rain_holds_until_the_next_value(tmp_path: Path) -> None:
    path = tmp_path / "rain.csv"
    path.write_text(
        "utc, rain_mm_h, station\n2026-11-23T18:00:10Z,2.5,\n2026-11-23T19:00:30+01:00,0,\n"
        "2026-11-23T18:00:00Z,7,gs-a\n"
    )
    rain = read_rain(path, ["a", "b"], START)
    assert [rain(t_s).tolist() for t_s in (-1.0, 0.0, 10.0, 29.9, 30.0)] == [[0, 0], [7, 0], [7, 2.5], [7, 2.5], [7, 0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("t,rain\n1,2\n", "expected rain_mm_h, t or utc"),
        ("t,utc,rain_mm_h\n", "expected rain_mm_h, t or utc"),
        ("t,rain_mm_h\n1,x\n", ":2: 'x' is no number"),
        ("t,rain_mm_h\n1,nan\n", ":2: 'nan' is not finite"),
        ("t,rain_mm_h\n0,1\n1,-2\n", ":3: rain of -2 mm/h"),
        ("utc,rain_mm_h\nnow,2\n", ":2: 'now' is no time"),
        ("t,rain_mm_h,station\n1,2,gs-c\n", "'c' is no station; expected one of a, b"),
        ("t,rain_mm_h\n", "has no rain"),
    ],
)
def test_rain_that_cannot_be(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "rain.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_rain(path, ["a", "b"], START)


def test_rain_lowers_rates_only(tmp_path: Path) -> None:
    dry = next(topo().timeline.rows(20, 1))
    wet = next(topo(rain_mm_h=3.0).timeline.rows(20, 1))
    assert np.array_equal(dry.substep.delay_s, wet.substep.delay_s)
    assert (wet.substep.rate_bps[:, 0] < 0.8 * dry.substep.rate_bps[:, 0]).all()
    (tmp_path / "rain.csv").write_text("t,rain_mm_h\n0,3\n")
    filed = topo(BuildOptions(directory=str(tmp_path)), weather="rain.csv")
    assert np.array_equal(next(filed.timeline.rows(20, 1)).substep.rate_bps, wet.substep.rate_bps)


# --- the network ---


def test_rows_have_tables_of_access_ends_only() -> None:
    made = topo()
    timeline = made.timeline
    assert timeline.rates is None
    assert timeline.substep.ends.tolist() == [*range(2 * len(timeline.grid), 2 * len(timeline.grid) + 6)]
    network = made.network()
    assert all(network.end_spec(int(end)).effects.head_drop for end in timeline.substep.ends)
    for row in timeline.rows(10, 5):
        validate(row.substep, row.step, row.step + 1.0)
        ends = timeline.substep.ends
        assert row.delay_start_s[ends] == pytest.approx(row.delay_end_s[ends])
        assert (row.delay_start_s[ends] > 0.003).all()
        assert np.isfinite(route_delay_s(row, timeline.live)).all()


def test_satellites_change_at_edges_of_slots() -> None:
    made = topo()
    moves = list(made.timeline.handovers(0, 60))
    assert {move.t_s % 15 for move in moves} == {12.0}
    assert len(moves) > 8
    window = list(made.timeline.handovers(30, 30))
    assert [move for move in moves if move.t_s >= 30] == window


def test_a_window_is_the_same_whenever_it_is_computed() -> None:
    whole = list(topo(gateways={"sites": "near"}).timeline.rows(0, 46))
    part = list(topo(gateways={"sites": "near"}).timeline.rows(44, 2))
    for a, b in zip(whole[44:], part, strict=True):
        for name in ("delay_start_s", "delay_end_s", "rate_bps", "loss", "peer", "next_end"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name
        assert np.array_equal(a.substep.t_s, b.substep.t_s)
        assert np.array_equal(a.substep.delay_s, b.substep.delay_s)


def test_bent_pipe_goes_down_at_a_gateway_and_on_by_fibre() -> None:
    made = topo(gateways={"sites": ["aerzen", "bellingham"], "server_delay": "13 ms"}, stations=["osnabrueck"])
    network = made.network()
    names = [node.name for node in network.nodes]
    assert names[-7:] == [
        "gw-aerzen", "gw-bellingham", "edge-frankfurt", "edge-seattle", "pop-frankfurt", "pop-seattle", "server"
    ]  # fmt: skip
    live = [network.nodes[node].name for node in network.live]
    assert live == ["gs-osnabrueck", "pop-frankfurt", "pop-seattle", "server"]
    timeline = made.timeline
    for row, instant in zip(timeline.rows(0, 30), timeline.instants(0, 30), strict=True):
        serving, follows = instant.held.satellite[0], instant.assignment.satellite
        assert serving in follows
        assert instant.assignment.gateway.tolist() == [0]
        delays_s = route_delay_s(row, timeline.live)
        there, back = delays_s[0, 1], delays_s[1, 0]
        light = np.linalg.norm(instant.start[serving] - timeline.stations.position[0])
        light += np.linalg.norm(instant.start[serving] - timeline.gateways.position[0])
        fibre = great_circle_m(52.0, 9.3, [POPS["frankfurt"]])[0] * 1.5 / (0.6667 * SPEED_OF_LIGHT_M_S)
        least = light / SPEED_OF_LIGHT_M_S + fibre + made.config.terminal.gateway_processing_s + 250e-6
        assert least < back < there
        assert delays_s[0, 3] == pytest.approx(delays_s[0, 1] - 250e-6 + 0.013)
    places = timeline.positions(0.0)
    assert places.shape == (len(names), 2)
    assert places[names.index("gs-osnabrueck")] == pytest.approx([52.28, 8.05])
    assert places[names.index("gw-aerzen")] == pytest.approx([52.0, 9.3])
    assert np.abs(places[:1584, 0]).max() < 53.5


def test_terminals_on_one_satellite_share_a_feeder() -> None:
    stations = [{"name": f"o{number}", "lat_deg": 52.27, "lon_deg": 8.05} for number in range(12)]
    made = topo(stations=[], station=stations, gateways={"sites": ["aerzen", "usingen"], "antennas": 3})
    for instant in made.timeline.instants(0, 30):
        antenna = instant.assignment.satellite.reshape(2, 3)
        for gateway in range(2):
            used = antenna[gateway][antenna[gateway] >= 0]
            assert len(set(used.tolist())) == len(used)
        for station, gateway in enumerate(instant.assignment.gateway):
            assert gateway < 0 or instant.held.satellite[station] in antenna[gateway]
    assert (instant.assignment.gateway >= 0).sum() >= 6


def test_rules_of_others() -> None:
    rows = {name: next(topo(terminal=name).timeline.rows(5, 1)) for name in ("celestial", "starrynet", "opensn")}
    ideal = next(topo(terminal="ideal", policy="nearest", min_dwell="0 s").timeline.rows(5, 1))
    for row in rows.values():
        assert row.substep is None
        assert np.array_equal(row.peer, ideal.peer)
        assert np.array_equal(row.delay_start_s, row.delay_end_s)
    assert np.array_equal(rows["celestial"].delay_start_s, ideal.delay_start_s)
    assert rows["starrynet"].delay_start_s == pytest.approx(ideal.delay_start_s * 29.5 / 17.31)


# --- mistakes ---


def test_steps_have_to_meet_slots() -> None:
    with pytest.raises(DataError, match="do not meet the edges of slots"):
        topo(BuildOptions(step_s=2.0))
    with pytest.raises(DataError, match="no gateway within 1 km"):
        topo(gateways={"sites": "near", "reach": "1 km"})


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"gateways": {"sites": ["aertzen"]}}, "did you mean 'aerzen'"),
        ({"gateways": {"sites": []}}, "no gateway"),
        ({"gateways": {"sites": "near", "pops": ["Frankfurt"]}}, "no known point of presence"),
        ({"ground": {"terminal": "starlink", "weather": "a.csv", "rain_mm_h": 1.0}}, "both `weather` and `rain_mm_h`"),
        ({"ground": {"terminal": "starling"}}, "starlink"),
        ({"ground": {"station": [{"name": "a", "lat_deg": 1.0, "lon_deg": 1.0, "hour": 24.0}]}}, "less than 24"),
    ],
)
def test_tables_that_cannot_be(tables: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Config.model_validate(tables)
