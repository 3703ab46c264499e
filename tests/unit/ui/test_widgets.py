"""Widgets, Gantt and map as pictures: golden files at fixed sizes, and what a picture must tell."""

import io
import math
import os
import time
from pathlib import Path

import pytest
from rich.console import Console

from emulator.report.text import ASCII, UNICODE
from emulator.ui.widgets import draw, draw_all, gantt, sparkline, world
from emulator.ui.widgets.canvas import Canvas
from emulator.ui.widgets.land import is_land
from emulator.ui.widgets.layout import share_out
from emulator.ui.widgets.world import along

GOLDEN = Path(__file__).parents[2] / "golden" / "widgets"
X = [number * 0.5 for number in range(80)]
FACTS = {"kind": "facts", "rows": [["round", "812"], ["agents", "64"], ["leading opinion", "3 (61 %)"]]}
CHART = {
    "kind": "chart", "title": "Opinions", "y_label": "agents", "x_label": "scenario time in s", "x": X,
    "series": [
        {"name": "red", "values": [20 + 10 * math.sin(x / 4) for x in X]},
        {"name": "blue", "values": [None if 14 < x < 22 else 30 - x / 2 for x in X]},
    ],
}  # fmt: skip
BARS = {"kind": "bars", "title": "Shares", "rows": [("red", 0.31, "20 of 64"), ("blue", 0.5, "32 of 64")]}
LISTING = {
    "kind": "listing", "title": "Validators", "columns": ["name", "round", "p50 ms"],
    "rows": [[f"v-{number:02}", str(95 + number), f"{400.5 + number}"] for number in range(9)],
}  # fmt: skip
GRID = {
    "kind": "grid", "title": "Space-time", "rows": [("n0", ".o" * 60), ("n1", "..x#" * 30)],
    "tones": {"o": "good", "x": "bad", "#": "warn", ".": "dim"}, "legend": "o holds, # sends, x lost",
}  # fmt: skip
VIEW = {"protocol": "plurality", "title": "Plurality", "widgets": [FACTS, CHART, BARS, LISTING, GRID]}
CONTACTS = [
    {"link": "gs-tokyo:up", "node": "gs-tokyo",
     "spans": [(0.0, 15.0, "sat-0012"), (15.0, 64.0, "sat-0312"), (64.0, 66.0, ""), (66.0, 120.0, "sat-0313")]},
    {"link": "gs-lima:up", "node": "gs-lima", "spans": [(0.0, 90.0, ""), (90.0, 120.0, "sat-1583")]},
    {"link": "gs-oslo:up", "node": "gs-oslo", "spans": []},
]  # fmt: skip
MAP = {
    "places": [
        {"node": "gs-tokyo", "lat_deg": 35.7, "lon_deg": 139.7},
        {"node": "gs-paris", "lat_deg": 48.9, "lon_deg": 2.4},
        {"node": "gs-london", "lat_deg": 51.5, "lon_deg": -0.1},
        {"node": "gs-sydney", "lat_deg": -33.9, "lon_deg": 151.2},
        {"node": "gs-los-angeles", "lat_deg": 34.1, "lon_deg": -118.2},
    ],
    "satellites": [value for number in range(60) for value in ((number * 7) % 106 - 53, (number * 31) % 360 - 180)],
    "paths": [[(-33.9, 151.2), (34.1, -118.2)], [(35.7, 139.7), (48.9, 2.4)]],
}


def check(name, picture):
    path, found = GOLDEN / name, picture.text() + "\n"
    if os.environ.get("SKYLOOM_GOLDEN") == "write":
        path.write_text(found)
    assert found == path.read_text()


@pytest.mark.parametrize("signs", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize(("width", "height"), [(40, 8), (78, 14)])
@pytest.mark.parametrize("widget", [FACTS, CHART, BARS, LISTING, GRID], ids=lambda widget: widget["kind"])
def test_golden_widgets(widget, width, height, signs):
    kind = "ascii" if signs == ASCII else "unicode"
    check(f"{widget['kind']}-{width}x{height}-{kind}.txt", draw(widget, width, height, signs))


@pytest.mark.parametrize(("width", "height"), [(80, 20), (160, 30)])
def test_golden_panel(width, height):
    check(f"panel-{width}x{height}.txt", draw_all(VIEW, width, height))


@pytest.mark.parametrize("signs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_golden_gantt_and_map(signs):
    kind = "ascii" if signs == ASCII else "unicode"
    check(f"gantt-{kind}.txt", gantt(CONTACTS, 41.0, 0.0, 120.0, 80, 6, signs))
    check(f"world-{kind}.txt", world(MAP, 100, 26, signs))


def styles(picture, text):
    return {str(segment.style) for line in picture.lines for segment in line if text in segment.text}


def test_what_is_told_by_colour_has_a_sign_too():
    picture = draw(CHART, 78, 14)
    assert "a red" in picture.text()
    assert "b blue" in picture.text()
    assert styles(picture, "a red") != styles(picture, "b blue")
    assert [line for line in picture.text().splitlines()[1:] if line.rstrip().endswith(("a", "b"))]
    assert "yellow" in styles(draw(GRID, 78, 14), "#")


def test_pictures_are_drawn_by_rich_as_they_are():
    console = Console(file=io.StringIO(), width=78, force_terminal=True, color_system=None)
    console.print(draw(LISTING, 78, 14), end="")
    assert "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) == draw(LISTING, 78, 14).text()


def test_chart_without_numbers_says_so_and_a_constant_one_has_an_axis():
    empty = CHART | {"series": [{"name": "none", "values": [None, math.nan, math.inf]}]}
    assert "nothing yet" in draw(empty, 40, 8).text()
    flat = CHART | {"x": [1.0, 2.0], "series": [{"name": "flat", "values": [5.0, 5.0]}]}
    assert "flat 5" in draw(flat, 40, 8).text()
    assert draw(flat, 40, 8).text().count("┤") >= 2


def test_rows_that_do_not_fit_are_counted():
    assert draw(LISTING, 40, 5).text().splitlines()[-1] == "… 7 more"
    assert "… 2 more" in gantt(CONTACTS, 1.0, 0.0, 9.0, 60, 3).text()


def test_terminal_sequences_of_a_program_do_not_reach_the_terminal():
    text = draw({"kind": "facts", "rows": [["a\x1b[2Jb", "c\nd\te\x07"]]}, 40, 3).text()
    assert text == "a?[2Jb  c d e?"


def test_room_goes_to_the_foremost_widgets():
    assert share_out([(2, 2), (7, 12), (4, 9)], 40) == [2, 24, 9]
    assert share_out([(2, 2), (7, 12), (4, 9)], 12) == [2, 9, 0]
    assert share_out([(4, 9)], 2) == [2]
    assert share_out([], 10) == []


def test_sparkline_shows_the_last_values_at_the_right():
    assert sparkline([0, 50, 100], 5) == "  ▁▅█"
    assert sparkline(list(range(100)), 3, ASCII) == "###"
    assert sparkline([None, 250, -3, math.nan], 4) == " █▁ "
    assert sparkline([1], 0) == ""


def test_land_is_where_it_is():
    land = [(35.7, 139.3), (48.9, 2.4), (-33.0, 147.0), (-80.0, 0.0), (66.0, 170.0), (0.0, 22.0), (72.0, -40.0)]
    sea = [(0.0, -30.0), (0.0, 180.0), (-16.0, -150.0), (42.0, 51.0), (60.0, -60.0), (-60.0, 0.0)]  # 42, 51: Caspian
    assert [is_land(*place) for place in land] == [True] * len(land)
    assert [is_land(*place) for place in sea] == [False] * len(sea)


def test_ways_over_the_date_line_leave_at_one_side_and_come_in_at_the_other():
    picture = world({"paths": [[(0.0, 170.0), (0.0, -170.0)]]}, 80, 20, ASCII).text().splitlines()
    on_way = [line for line in picture[:-1] if "*" in line]
    assert len(on_way) == 1
    columns = [column for column, sign in enumerate(on_way[0]) if sign == "*"]
    assert columns == [0, 1, 2, 77, 78, 79]


def test_ways_are_great_circles():
    places = along((35.7, 139.7), (48.9, 2.4))
    northmost_deg = 68.75  # Clairaut: its cosine is sin(bearing at the begin) · cos(35.7°)
    assert max(lat for lat, _ in places) == pytest.approx(northmost_deg, abs=0.1)
    assert along((10.0, 20.0), (-10.0, -160.0))[1] == (90.0, 20.0)
    assert along((10.0, 20.0), (10.0, 20.0)) == [(10.0, 20.0), (10.0, 20.0)]


def test_dots_become_braille_and_stay_on_the_canvas():
    canvas = Canvas(2, 1)
    canvas.dots([(0, 0), (1, 3), (2, 0), (9, 9), (-1, 0)], 1)
    assert ["".join(part.text for part in line) for line in canvas.lines(["red"])] == ["⢁⠁"]
    canvas.dots([(0, 1)], 2, alone=True)
    assert ["".join(part.text for part in line) for line in canvas.lines(["red", "blue"])] == ["⠂⠁"]


def test_map_with_a_whole_shell_is_quick():
    shell = [value for number in range(1584) for value in ((number * 7) % 106 - 53, (number * 31) % 360 - 180)]
    full = MAP | {"satellites": shell}
    world(full, 120, 34)
    took_s = []
    for _ in range(20):
        began_s = time.process_time()
        world(full, 120, 34)
        took_s.append(time.process_time() - began_s)
    assert min(took_s) < 0.008  # about 1.3 ms on a quiet machine
