"""Widgets of panels that got something wrong: refused with the field's name, and the panel ends in its place."""

import pytest

from emulator.observe import panels
from emulator.observe.panels import Panels
from emulator.observe.widget_schema import check
from emulator.sdk.protocol import Panel, PanelContext, Protocol
from emulator.ui.widgets import draw

CHART = {"kind": "chart", "title": "t", "x_label": "x", "y_label": "y", "x": [0.0, 1.0]}
GRID = {"kind": "grid", "title": "t", "rows": [("n0", "..#")], "tones": {"#": "good"}, "legend": ""}
GOOD = [
    {"kind": "facts", "rows": [["round", "7"]]},
    {**CHART, "series": [{"name": "a", "values": [1, None]}, {"name": "b", "values": [float("nan"), float("inf")]}]},
    {"kind": "bars", "title": "t", "rows": [("a", 0.5, "half"), ("b", float("nan"), "")]},
    {"kind": "listing", "title": "t", "columns": ["a", "b"], "rows": [["1"], ["1", "2", "3"], []]},
    GRID,
]
BAD = [
    (None, "kind None; expected facts, chart"),
    ({"kind": "pie"}, "kind 'pie'"),
    ({"kind": "facts", "rows": [["round", 7]]}, "rows of facts: .*7.*; expected rows of text"),
    ({"kind": "facts"}, "rows of facts: None"),
    ({**CHART, "series": [{"name": "a", "values": [1.0]}]}, "2 x and a series of other length"),
    ({**CHART, "series": [{"name": "a", "values": ["1", 2]}]}, "series of chart"),
    ({"kind": "bars", "title": "t", "rows": [("a", 0.5)]}, "rows of bars"),
    ({"kind": "listing", "title": 3, "columns": [], "rows": []}, "title of listing: 3; expected text"),
    ({**GRID, "tones": {"#": "pink"}}, "tones of grid: .*pink"),
]


@pytest.mark.parametrize("widget", GOOD, ids=lambda widget: widget["kind"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (20, 4), (120, 30)])
def test_what_passes_can_be_drawn(widget, width, height):
    check(widget)
    assert draw(widget, width, height).height <= height


@pytest.mark.parametrize(("widget", "said"), BAD)
def test_what_is_none_is_named(widget, said):
    with pytest.raises(ValueError, match=said):
        check(widget)


def test_a_panel_that_gives_none_ends_in_its_place(monkeypatch, capsys):
    class Numbers(Panel):
        def widgets(self, t_s):
            return [{"kind": "facts", "rows": [["count", 5]]}]

    monkeypatch.setattr(panels, "load", lambda name: Numbers)
    setup = PanelContext((), {"program": {}}, {}, (), 1.0)
    shown = Panels([(Protocol("mine", "Mine", panel="mine:Numbers"), setup)])
    (view,) = shown.views(1.0)
    assert view["widgets"][0]["rows"][0][0] == "this panel broke"
    assert "rows of facts" in view["widgets"][0]["rows"][0][1]
    assert "rows of facts" in capsys.readouterr().err
