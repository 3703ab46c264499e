"""The whole screen: header, run folder and progress, the panels' names, one panel, warnings, keys.

Invariant: pure; the snapshot is all that it sees of a run. It is `height` lines of at most `width` columns.
"""

from __future__ import annotations

from emulator.observe.snapshot import Snapshot
from emulator.report import text
from emulator.report.text import BAD, DIM, GOOD, HEAD, WARN, Signs
from emulator.ui.terminal import overview, panels, phases
from emulator.ui.terminal.keymap import footer
from emulator.ui.terminal.lines import SELECTED, Frame, Line, beside, crop, length, line, printable
from emulator.ui.terminal.state import PANELS, State

ABOVE = 3  # lines over the panel
BELOW = 1
PROGRESS = 24  # columns at least for the bar and its counts
NEWS_S = 4.0  # how long an action's event stands above the keys


def frame(snapshot: Snapshot, state: State, width: int, height: int, signs: Signs = text.UNICODE) -> Frame:
    """What to put on a terminal of that size."""
    warned = warnings(snapshot, _most_warnings(height), signs)
    rows = panel_rows(snapshot, height)
    shown = body(snapshot, state, width, rows, signs)[:rows]
    shown += [[] for _ in range(rows - len(shown))]
    lines = [header(snapshot, width, signs), whereabouts(snapshot, state, width), tabs(snapshot, state, width), *shown]
    lines += [*warned, foot(snapshot, state, width, signs)]
    return Frame([crop(pieces, width) for pieces in lines][:height])


def panel_rows(snapshot: Snapshot, height: int) -> int:
    """How many lines the panel has."""
    return max(0, height - ABOVE - BELOW - min(len(snapshot.get("warnings", ())), _most_warnings(height)))


def _most_warnings(height: int) -> int:
    return min(3, max(1, height // 10))


def body(snapshot: Snapshot, state: State, width: int, rows: int, signs: Signs) -> list[Line]:
    """The part in the middle."""
    if state.mode == "help":
        return panels.help_page(state, width, rows)
    if state.mode == "fault":
        return panels.fault_list(state, width, rows)
    if phases.building(snapshot):
        return phases.all_phases(snapshot, width, signs, state.spent_s(snapshot))
    if state.detail:
        return panels.detail(snapshot, state, width, rows, signs)
    if state.panel in panels.DRAWN:
        return panels.DRAWN[state.panel](snapshot, state, width, rows, signs)
    if rows > 30:
        chips = phases.chips(snapshot, signs, state.took_s)
        return [chips, [], *overview.body(snapshot, width, rows - 2, signs)]
    return overview.body(snapshot, width, rows, signs)


def header(snapshot: Snapshot, width: int, signs: Signs) -> Line:
    """Which run this is, its time, and whether it keeps up."""
    left = line(("skyloom ", HEAD), (snapshot.get("scenario", ""), HEAD))
    if "seed" in snapshot:
        left += line((f"  seed {snapshot['seed']}", DIM))
    late, nodes = snapshot.get("lateness_ms"), snapshot.get("nodes")
    played = "t_s" in snapshot and snapshot.get("phase") in ("play", "analysis", "done")
    limit = f"/{snapshot['lateness_limit_ms']:g}" if "lateness_limit_ms" in snapshot else ""
    words = [  # what stands nearest to the edge matters most and is kept longest
        verdict(snapshot, signs),
        (f"{text.clock(snapshot['t_s'])}/{text.clock(snapshot.get('duration_s'))} ", HEAD) if played else ("", ""),
        (f"late p99 {text.milliseconds(late['p99'])}{limit} ms{late_by(snapshot)}  ", "") if late else ("", ""),
        (f"wall {text.clock(snapshot['elapsed_s'])}  ", DIM) if "elapsed_s" in snapshot else ("", ""),
        (f"{nodes.get('live', 0)} live + {nodes.get('transit', 0):,} transit  ", DIM) if nodes else ("", ""),
    ]
    right: Line = []
    for word, style in words:
        if word and length(left) + length(right) + len(word) + 2 <= width:
            right = line((word, style)) + right
    run = line((f"  run {snapshot['run_id']}", DIM)) if "run_id" in snapshot else []
    if length(left) + length(run) + length(right) + 2 <= width:
        left += run
    return beside(left, right, width)


def is_late(snapshot: Snapshot) -> bool:
    """Whether packets have left later than the scenario allows."""
    late, limit_ms = snapshot.get("lateness_ms"), snapshot.get("lateness_limit_ms")
    return late is not None and limit_ms is not None and late["p99"] > limit_ms


def late_by(snapshot: Snapshot) -> str:
    """ " (scheduler)": what made a run late, where it is."""
    return f" ({snapshot['late_by']})" if snapshot.get("late_by") and is_late(snapshot) else ""


def verdict(snapshot: Snapshot, signs: Signs) -> tuple[str, str]:
    """How the run stands so far: a sign and a word."""
    if is_late(snapshot):
        return f"{signs.bad} late", BAD
    if snapshot.get("warnings"):
        return f"{signs.warn} warned", WARN
    return f"{signs.good} ok", GOOD


def whereabouts(snapshot: Snapshot, state: State, width: int) -> Line:
    """How far the run is, and its folder, of whose path the end matters most."""
    path = printable(snapshot.get("folder", ""))
    building = phases.building(snapshot)
    room = width - len("folder ") - (0 if building else PROGRESS + 1)
    if len(path) > room:
        path = f"…{path[len(path) - max(0, room - 1) :]}"
    folder = line((f"folder {path}", DIM)) if path else []
    if building:
        return crop(folder, width)
    spent_s = state.spent_s(snapshot).get(snapshot.get("phase", "schedule"))
    return beside(phases.one_line(snapshot, min(width // 2, width - length(folder) - 1), spent_s), folder, width)


def tabs(snapshot: Snapshot, state: State, width: int) -> Line:
    """The panels by their digits, the present one between brackets."""
    pieces: Line = []
    for number, name in enumerate(PANELS, 1):
        here = name == state.panel
        pieces += line((f"[{number} {name}]", HEAD) if here else (f" {number} {name} ", DIM))
    frozen = line((f" FROZEN at {text.clock(snapshot.get('t_s'))} ", SELECTED)) if state.frozen else []
    return beside(pieces, frozen, width) if frozen else crop(pieces, width)


def foot(snapshot: Snapshot, state: State, width: int, signs: Signs) -> Line:
    """The last line: what is typed or asked, what has just come of a key, or the keys."""
    if state.mode == "filter":
        words = line(("/", HEAD), state.filter, ("█", ""))
        return beside(words, line(("Enter keep  Esc clear", DIM)), width)
    if state.mode == "stop":
        return crop(line((f"{signs.warn} stop the run? y/n", WARN)), width)
    if state.status:
        return crop(line((f"{signs.now} {state.status}", HEAD)), width)
    pieces: Line = []
    for key, word in footer(state):
        piece = line((key, HEAD), (f" {word}  " if word else "  ", ""))
        if length(pieces) + length(piece) - 2 <= width:
            pieces += piece
    news = _news(snapshot)
    return beside(pieces, news, width) if news and length(pieces) + length(news) < width else crop(pieces, width)


def _news(snapshot: Snapshot) -> Line:
    """The last thing done to the network, for a few seconds."""
    for row in reversed(snapshot.get("events", [])):
        if snapshot.get("t_s", 0.0) - row.get("t_s", 0.0) > NEWS_S:
            break
        if row.get("kind", "").startswith("action"):
            return line((f"{row['kind']} {row.get('text', '')}", WARN))
    return []


def warnings(snapshot: Snapshot, most: int, signs: Signs) -> list[Line]:
    """The last warnings, a line each."""
    found = snapshot.get("warnings", [])
    lines = [line((f"{signs.warn} {warning}", WARN)) for warning in found[-most:]]
    if len(found) > len(lines) and lines:
        lines[-1] = line((f"{signs.warn} {found[-1]} (and {len(found) - len(lines)} before)", WARN))
    return lines
