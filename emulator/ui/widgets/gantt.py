"""Who serves each station, over time: the contacts Gantt.

Invariant: a span never reaches beyond its times, rounded to whole characters; where several fall on one character the
latest is seen. Every span begins with a bar, so that spans differ without colour, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil, floor, inf, isfinite, log10

from rich.segment import Segment

from emulator.observe.snapshot import ContactRow
from emulator.report import text
from emulator.report.text import ASCII, UNICODE, Signs
from emulator.ui.widgets.lines import DIM, Lines, cell_len, clean, padded, segment

LONGEST_NAME = 20
NOW, OTHERWISE = "bold cyan", "blue"
CURSOR = "bold yellow"
TICK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def gantt(
    contacts: Sequence[ContactRow],
    t_s: float,
    from_s: float,
    until_s: float,
    width: int,
    height: int,
    signs: Signs = UNICODE,
) -> Lines:
    """A line for each moving link, then the axis with the present time `t_s` marked; names where they fit."""
    picture = Lines(width)
    names = [clean(name) for name in _names(contacts)]
    label = min(LONGEST_NAME, width // 3, max(map(cell_len, names), default=0))
    room = width - label - 1
    if room < 4 or height < 1 or not until_s > from_s or not isfinite(until_s - from_s):
        return picture
    per_s = room / (until_s - from_s)
    if not isfinite(per_s) or not isfinite(10 / per_s):
        return picture
    cursor = floor((t_s - from_s) * per_s) if isfinite(t_s) and from_s <= t_s < until_s else -1
    plain = signs == ASCII
    shown = contacts if len(contacts) < height else contacts[: max(0, height - 2)]
    for name, row in zip(names, shown, strict=False):
        cells, styles = [" "] * room, [""] * room
        for begin_s, end_s, node in row.get("spans", []):
            if not node or not begin_s <= end_s or end_s <= from_s or begin_s >= until_s:
                continue
            begin = max(0, round((max(begin_s, from_s) - from_s) * per_s))
            end = min(room, round((min(end_s, until_s) - from_s) * per_s))
            style = NOW if begin_s <= t_s < end_s else OTHERWISE
            _span(cells, styles, begin, max(end, begin + 1), begin_s >= from_s, style, plain)
            _name(cells, begin, end, clean(node), cursor)
        if 0 <= cursor < room:
            cells[cursor], styles[cursor] = "|" if plain else "┃", CURSOR
        picture.lines.append([segment(padded(name, label) + " ", ""), *_runs(cells, styles)])
    if len(shown) < len(contacts) and picture.height < height - 1:
        picture.add((f"{'...' if plain else '…'} {len(contacts) - len(shown)} more", DIM))
    if picture.height < height:
        picture.lines.append(_axis(t_s, from_s, until_s, label, room, cursor, plain))
    return picture.cut(height)


def _names(contacts: Sequence[ContactRow]) -> list[str]:
    """The node of each link, and the link's own name where its node has several."""
    links = Counter(row.get("node", "") for row in contacts)
    return [row.get("link", "") if links[node := row.get("node", "")] > 1 or not node else node for row in contacts]


def _span(cells: list[str], styles: list[str], begin: int, end: int, starts: bool, style: str, plain: bool) -> None:
    """One span into a line of characters."""
    end = min(end, len(cells))
    cells[begin:end] = ("=" if plain else "━") * (end - begin)
    styles[begin:end] = [style] * (end - begin)
    if starts and begin < end:
        cells[begin] = "[" if plain else "┣"


def _name(cells: list[str], begin: int, end: int, name: str, cursor: int) -> None:
    """Who it is, at the beginning of its span or behind the present time, where there is room."""
    words = f" {name} "
    at = begin + 1
    if at <= cursor < at + len(words):
        at = cursor + 1
    if name.isascii() and at + len(words) <= end - 1:
        cells[at : at + len(words)] = words


def _runs(cells: Sequence[str], styles: Sequence[str]) -> list[Segment]:
    found: list[Segment] = []
    begin = 0
    for place in range(1, len(cells) + 1):
        if place == len(cells) or styles[place] != styles[begin]:
            found.append(segment("".join(cells[begin:place]), styles[begin]))
            begin = place
    return found


def _axis(t_s: float, from_s: float, until_s: float, label: int, room: int, cursor: int, plain: bool) -> list[Segment]:
    """Times below the lines, and where the present is."""
    cells = [" "] * room
    per_s = room / (until_s - from_s)
    step_s = tick_step_s(10 / per_s)
    now, at = "", -1
    if 0 <= cursor < room:
        now = f"{'^' if plain else '▲'}{text.clock(t_s)}"[:room]
        at = cursor
        if cursor + len(now) > room:
            at, now = max(0, cursor - len(now) + 1), now[1:] + now[0]
    tick, taken = ceil(from_s / step_s), -1
    while tick * step_s < until_s:
        place = floor((tick * step_s - from_s) * per_s)
        words = text.clock(tick * step_s)
        free = place > taken and (not now or place + len(words) < at or place > at + len(now))
        if free and place + len(words) <= room:
            cells[place : place + len(words)] = words
            taken = place + len(words)
        tick += 1
    if not now:
        return [segment(" " * (label + 1) + "".join(cells), DIM)]
    before, after = "".join(cells[:at]), "".join(cells[at + len(now) :])
    return [segment(" " * (label + 1) + before, DIM), segment(now, CURSOR), segment(after, DIM)]


def tick_step_s(least_s: float) -> float:
    """A round number of seconds, at least that many."""
    if least_s > TICK_STEPS_S[-1] or not least_s < inf:
        return 3600.0 * 10.0 ** ceil(log10(max(least_s, 1.0) / 3600.0))
    return float(next(step for step in TICK_STEPS_S if step >= least_s))
