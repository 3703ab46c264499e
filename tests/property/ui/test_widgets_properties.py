"""Whatever the values and the room: a picture is never larger than its room, and nothing raises."""

import math

from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from emulator.report.text import ASCII, UNICODE
from emulator.ui.widgets import draw, draw_all, gantt, sparkline, world

texts = st.text(max_size=12)
numbers = st.floats() | st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e308, 5e-324]) | st.integers()
values = st.none() | numbers
facts = st.fixed_dictionaries({"kind": st.just("facts"), "rows": st.lists(st.lists(texts, max_size=3), max_size=12)})
charts = st.fixed_dictionaries(
    {
        "kind": st.just("chart"), "title": texts, "x_label": texts, "y_label": texts,
        "x": st.lists(numbers, max_size=9),
        "series": st.lists(
            st.fixed_dictionaries({"name": texts, "values": st.lists(values, max_size=9)}), max_size=5
        ),
    }
)  # fmt: skip
bars = st.fixed_dictionaries(
    {"kind": st.just("bars"), "title": texts, "rows": st.lists(st.tuples(texts, numbers, texts), max_size=8)}
)
listings = st.fixed_dictionaries(
    {
        "kind": st.just("listing"), "title": texts, "columns": st.lists(texts, max_size=5),
        "rows": st.lists(st.lists(texts, max_size=6), max_size=8),
    }
)  # fmt: skip
grids = st.fixed_dictionaries(
    {
        "kind": st.just("grid"), "title": texts, "rows": st.lists(st.tuples(texts, st.text(max_size=60)), max_size=8),
        "tones": st.dictionaries(st.characters(), st.sampled_from(["good", "bad", "warn", "dim", "plain"]), max_size=4),
        "legend": texts,
    }
)  # fmt: skip
widgets = facts | charts | bars | listings | grids
rooms = st.tuples(st.integers(0, 130), st.integers(0, 30))
signs = st.sampled_from([UNICODE, ASCII])


def check_fits(picture, width, height):
    assert len(picture.lines) <= max(0, height)
    for line in picture.lines:
        text = "".join(segment.text for segment in line)
        assert text.isprintable()
        assert cell_len(text) <= max(0, width)


@settings(max_examples=100)
@given(widgets, rooms, signs)
def test_widgets_fit(widget, room, signs):
    check_fits(draw(widget, *room, signs), *room)


@settings(max_examples=30)
@given(st.lists(widgets, max_size=6), rooms)
def test_panels_fit(found, room):
    check_fits(draw_all({"protocol": "p", "title": "P", "widgets": found}, *room), *room)


spans = st.lists(st.tuples(numbers, numbers, texts), max_size=6)
contacts = st.lists(st.fixed_dictionaries({"link": texts, "node": texts, "spans": spans}), max_size=6)


@settings(max_examples=50)
@given(contacts, numbers, numbers, numbers, rooms, signs)
@example([], 0.0, 0.0, 5e-324, (5, 1), UNICODE)
@example([], 0.0, 0.0, 7.2e307, (5, 1), UNICODE)
def test_gantt_fits(rows, t_s, from_s, until_s, room, signs):
    check_fits(gantt(rows, t_s, from_s, until_s, *room, signs), *room)


@settings(max_examples=50)
@given(contacts, st.floats(0, 1e4), st.floats(-100, 1e4), st.floats(1e-3, 1e5), rooms, signs)
def test_gantt_of_sane_times_fits(rows, t_s, from_s, length_s, room, signs):
    check_fits(gantt(rows, t_s, from_s, from_s + length_s, *room, signs), *room)


places = st.fixed_dictionaries({"node": texts, "lat_deg": numbers, "lon_deg": numbers})
maps = st.fixed_dictionaries(
    {},
    optional={
        "places": st.lists(places, max_size=5),
        "satellites": st.lists(st.integers(-200, 200), max_size=40),
        "paths": st.lists(st.lists(st.tuples(st.floats(-90, 90), st.floats(-540, 540)), max_size=4), max_size=3),
    },
)


@settings(max_examples=50)
@given(maps, rooms, signs)
def test_maps_fit(world_map, room, signs):
    check_fits(world(world_map, *room, signs), *room)


@given(st.lists(values, max_size=30), st.integers(-3, 40), signs)
def test_sparklines_fit(percent, width, signs):
    assert len(sparkline(percent, width, signs)) == max(0, width)
