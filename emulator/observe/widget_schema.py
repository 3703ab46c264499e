"""Whether a widget is made as `emulator.sdk.protocol` says, before it goes to screens.

Invariant: what passes can be packed and drawn; a panel that gives anything else has an error of its own, which names
the field.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any, get_args

from emulator.model.errors import Unfit
from emulator.sdk.protocol import Tone

Fits = Callable[[Any], bool]
TONES = get_args(Tone)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, int | float)


def _all(fits: Fits) -> Fits:
    return lambda value: isinstance(value, list | tuple) and all(map(fits, value))


def _row(*fits: Fits) -> Fits:
    def one(row: Any) -> bool:
        if not isinstance(row, list | tuple) or len(row) != len(fits):
            return False
        return all(fit(cell) for fit, cell in zip(fits, row, strict=True))

    return _all(one)


def _only(*types: type) -> Fits:
    """Lists of values of these types; a set of a thousand values' types takes a tenth of asking each."""
    exactly = frozenset(types)
    return lambda value: (
        isinstance(value, list | tuple)
        and (exactly.issuperset(map(type, value)) or all(isinstance(one, types) for one in value))
    )


def _series(value: Any) -> bool:
    return isinstance(value, dict) and _text(value.get("name")) and _values(value.get("values"))


def _tones(value: Any) -> bool:
    return isinstance(value, dict) and all(_text(key) and tone in TONES for key, tone in value.items())


_values = _only(float, int, NoneType)
TITLE = ("title", _text, "text")
CELLS = ("rows", _all(_only(str)), "rows of text")
FIELDS: dict[str, tuple[tuple[str, Fits, str], ...]] = {
    "facts": (CELLS,),
    "chart": (
        TITLE,
        ("x_label", _text, "text"),
        ("y_label", _text, "text"),
        ("x", _only(float, int), "numbers"),
        ("series", _all(_series), "names, and values that are numbers or None"),
    ),
    "bars": (TITLE, ("rows", _row(_text, _number, _text), "rows of a text, a number and a text")),
    "listing": (TITLE, ("columns", _only(str), "texts"), CELLS),
    "grid": (
        TITLE,
        ("rows", _row(_text, _text), "rows of two texts"),
        ("tones", _tones, f"characters and {', '.join(TONES)}"),
        ("legend", _text, "text"),
    ),
}


def check(widget: Any) -> None:
    """ValueError where it is no widget."""
    kind = widget.get("kind") if isinstance(widget, dict) else None
    if kind not in FIELDS:
        raise Unfit(f"a widget of kind {kind!r}", f"{', '.join(FIELDS)}")
    for name, fits, expected in FIELDS[kind]:
        if not fits(widget.get(name)):
            raise Unfit(f"{name} of {kind}: {str(widget.get(name))[:80]}", expected)
    if kind == "chart" and any(len(series["values"]) != len(widget["x"]) for series in widget["series"]):
        raise Unfit(f"a chart with {len(widget['x'])} x and a series of other length", "as many")
