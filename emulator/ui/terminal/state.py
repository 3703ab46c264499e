"""What is looked at, and what a key makes of it.

Invariant: pure. `press` gives the next state and what is asked of the source; the same keys on the same snapshots give
the same screens, and no key whatever can raise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from emulator.model.verbs import Kind
from emulator.observe.snapshot import Phase, Snapshot
from emulator.observe.view import View
from emulator.ui.terminal import faults, rows
from emulator.ui.terminal.faults import Choice

PANELS = ("overview", "nodes", "links", "protocol", "contacts", "map", "events")
SORTS = {  # keys of the rows in the order in which `s` goes through them; numbers begin with the largest
    "nodes": ("node", "role", "-cpu", "-memory_bytes", "-sent_bps", "-received_bps"),
    "links": ("end", "-asked_ms", "-seen_ms", "-rate_bps", "-asked_bps", "-drops"),
}
FILTERED = ("nodes", "links", "contacts", "events")
NAME_KEYS = {"nodes": "node", "links": "end"}
MOST_FILTER = 40
SECOND_S, PAGE_S = 1.0, 10.0
PAGE_ROWS = 10
SCROLLED_ROWS = 60  # a run sends no more

Mode = Literal["look", "filter", "fault", "help", "stop"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Do this to the network."""

    action: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stop:
    """End the run."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Detach from a live run, or close a finished one."""


@dataclass(frozen=True, slots=True)
class Seek:
    """Move the time cursor of a finished run."""

    delta_s: float


Request = Fault | Stop | Leave | Seek


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the picture depends on beside the snapshot."""

    panel: str = "overview"
    protocol: int = 0  # which of the protocols' panels
    mode: Mode = "look"
    filters: Mapping[str, str] = field(default_factory=dict)  # by panel
    sorts: Mapping[str, str] = field(default_factory=dict)  # by panel
    selected: Mapping[str, str] = field(default_factory=dict)  # by panel: the name of the row
    detail: str = ""  # the node or link end that is looked at
    aim: tuple[Kind, str] | None = None  # what the list of faults is for; rows may move beneath it
    choice: int = 0  # in that list
    scroll: int = 0  # lines back from the newest event, or down a long list
    frozen: bool = False
    status: str = ""  # the answer to the last key, at the foot of the screen
    finished: bool = False  # the source is a run that has ended
    body_rows: int = 20  # how many the panel has
    phase: Phase | None = None
    phase_began_s: float = 0.0  # on the wall clock
    took_s: Mapping[Phase, float] = field(default_factory=dict)  # the phases that are over

    @property
    def filter(self) -> str:
        """What the panel's rows must fit."""
        return self.filters.get(self.panel, "")

    def filtered(self, pattern: str) -> State:
        """With another filter for the panel."""
        return replace(self, filters={**self.filters, self.panel: pattern})

    @property
    def sort(self) -> str:
        """The order of the panel's rows, as View has it."""
        return self.sorts.get(self.panel, "")

    def view(self) -> View:
        """What the source is told. Lists that scroll ask for more rows than the screen has."""
        scrolls = self.panel in ("nodes", "links", "events")
        view: View = {"panel": self.panel, "rows": max(self.body_rows, SCROLLED_ROWS) if scrolls else self.body_rows}
        if self.filter:
            view["filter"] = self.filter
        if self.sort:
            view["sort"] = self.sort
        if self.detail:
            view["detail"] = self.detail
        return view

    def observe(self, snapshot: Snapshot) -> State:
        """Follow the phases, to know how long each took."""
        phase, now_s = snapshot.get("phase", "schedule"), max(0.0, snapshot.get("elapsed_s", 0.0))
        if phase == self.phase:
            return self
        took_s = self.took_s if self.phase is None else {**self.took_s, self.phase: now_s - self.phase_began_s}
        return replace(self, phase=phase, phase_began_s=now_s, took_s=took_s)

    def spent_s(self, snapshot: Snapshot) -> dict[Phase, float]:
        """How long each phase has taken, the present one so far."""
        if self.phase is None:
            return dict(self.took_s)
        return {**self.took_s, self.phase: max(0.0, snapshot.get("elapsed_s", 0.0) - self.phase_began_s)}


def rows_of(state: State, snapshot: Snapshot) -> list[Any]:
    """The rows of the panel that a row can be chosen from."""
    if state.panel == "nodes":
        return rows.nodes(snapshot, state.filter, state.sort)
    return rows.links(snapshot, state.filter, state.sort) if state.panel == "links" else []


def position(state: State, found: list[Any]) -> int:
    """The number of the selected row; the first where it has gone. -1: there is none."""
    key, name = NAME_KEYS.get(state.panel, ""), state.selected.get(state.panel)
    return next((number for number, row in enumerate(found) if row.get(key) == name), 0 if found else -1)


def target(state: State, snapshot: Snapshot) -> tuple[Kind, str] | None:
    """The node or link end that a fault would hit."""
    if state.detail:
        return "link" if ":" in state.detail else "node", state.detail
    found = rows_of(state, snapshot)
    at = position(state, found)
    if at < 0:
        return None
    return "node" if state.panel == "nodes" else "link", str(found[at].get(NAME_KEYS[state.panel], ""))


def offered(state: State) -> list[Choice]:
    """The list of faults for what it was opened on."""
    return faults.choices(*state.aim) if state.aim else []


def press(state: State, key: str, snapshot: Snapshot) -> tuple[State, list[Request]]:
    """The state after a key, and what is asked of the source."""
    state = replace(state, status="")
    match state.mode:
        case "filter":
            return _typing(state, key), []
        case "fault":
            return _choosing(state, key)
        case "stop":
            sure = key in ("y", "Y")
            return replace(state, mode="look", status="stopping the run" if sure else ""), [Stop()] if sure else []
        case "help":
            return replace(state, mode="look"), []
    return _looking(state, key, snapshot)


def _looking(state: State, key: str, snapshot: Snapshot) -> tuple[State, list[Request]]:
    if state.finished and (delta_s := _seeks(key)) is not None:
        return state, [Seek(delta_s)]
    match key:
        case "q":
            return state, [Leave()]
        case "Q":
            return (state, [Leave()]) if state.finished else (replace(state, mode="stop"), [])
        case "?":
            return replace(state, mode="help"), []
        case " ":
            return replace(state, frozen=not state.frozen), []
        case "/" if state.panel in FILTERED and not state.detail:
            return replace(state, mode="filter"), []
        case "esc":
            return _back(state), []
        case "tab":
            return _to(state, PANELS[(PANELS.index(state.panel) + 1) % len(PANELS)], snapshot), []
        case "f":
            return _fault(state, snapshot), []
        case "s" | "S":
            return _sorted(state, turned=key == "S"), []
        case "enter":
            hit = target(state, snapshot)
            return (replace(state, detail=hit[1]) if hit else state), []
        case "up" | "down" | "pgup" | "pgdn" | "home" | "end":
            return _moved(state, key, snapshot), []
        case "left" | "right" if state.panel == "protocol":
            return _next_protocol(state, snapshot, 1 if key == "right" else -1), []
        case _ if key in "1234567" and len(key) == 1:
            return _to(state, PANELS[int(key) - 1], snapshot), []
    return state, []


def _seeks(key: str) -> float | None:
    infinity = float("inf")
    moves = {"left": -SECOND_S, "right": SECOND_S, "pgup": -PAGE_S, "pgdn": PAGE_S, "home": -infinity, "end": infinity}
    return moves.get(key)


def _to(state: State, panel: str, snapshot: Snapshot) -> State:
    if panel == state.panel and panel == "protocol" and not state.detail:
        return _next_protocol(state, snapshot, 1)
    return replace(state, panel=panel, detail="", scroll=0)


def _next_protocol(state: State, snapshot: Snapshot, step: int) -> State:
    return replace(state, protocol=(state.protocol + step) % max(1, len(snapshot.get("panels", []))))


def _back(state: State) -> State:
    """Out of whatever one is in, one step a key."""
    if state.detail:
        return replace(state, detail="")
    if state.filter:
        return state.filtered("")
    return replace(state, scroll=0)


def _typing(state: State, key: str) -> State:
    match key:
        case "enter":
            return replace(state, mode="look")
        case "esc":
            return replace(state, mode="look").filtered("")
        case "backspace":
            return state.filtered(state.filter[:-1])
        case "clear":
            return state.filtered("")
        case "up" | "down":
            return replace(state, mode="look")
    if len(key) == 1 and len(state.filter) < MOST_FILTER:
        return state.filtered(state.filter + key)
    return state


def _fault(state: State, snapshot: Snapshot) -> State:
    if state.finished:
        return replace(state, status="this run has ended: nothing can be done to it")
    if snapshot.get("phase", "play") != "play":
        return replace(state, status="faults are for play: the run is not there now")
    hit = target(state, snapshot)
    if hit is None:
        return replace(state, status="choose a node in 2 nodes, or a link in 3 links, first")
    return replace(state, mode="fault", aim=hit, choice=0)


def _choosing(state: State, key: str) -> tuple[State, list[Request]]:
    found = offered(state)
    if key in ("esc", "q", "f") or not found:
        return replace(state, mode="look"), []
    at = min(state.choice, len(found) - 1)
    match key:
        case "up":
            return replace(state, choice=(at - 1) % len(found)), []
        case "down":
            return replace(state, choice=(at + 1) % len(found)), []
        case "enter":
            status = f"asked for: {found[at].words}, {state.aim[1] if state.aim else ''}"
            return replace(state, mode="look", status=status), [Fault(found[at].action)]
    return state, []


def _sorted(state: State, turned: bool) -> State:
    orders = SORTS.get(state.panel)
    if orders is None or state.detail:
        return state
    now = state.sort
    if turned:
        following = (now.lstrip("-") if now.startswith("-") else f"-{now}") if now else orders[0]
    else:
        plain = [order.lstrip("-") for order in orders]
        at = plain.index(now.lstrip("-")) + 1 if now else 0
        following = orders[at] if at < len(orders) else ""
    return replace(state, sorts={**state.sorts, state.panel: following})


def _moved(state: State, key: str, snapshot: Snapshot) -> State:
    """To another row, or to earlier and later lines."""
    far = 10**6
    step = {"up": -1, "down": 1, "pgup": -PAGE_ROWS, "pgdn": PAGE_ROWS, "home": -far, "end": far}[key]
    if state.detail:
        return state
    if state.panel in NAME_KEYS:
        found = rows_of(state, snapshot)
        at = position(state, found)
        if at < 0:
            return state
        name = found[max(0, min(len(found) - 1, at + step))].get(NAME_KEYS[state.panel], "")
        return replace(state, selected={**state.selected, state.panel: str(name)})
    if state.panel == "events":
        most = max(0, len(rows.events(snapshot, state.filter)) - 1)
        return replace(state, scroll=max(0, min(most, state.scroll - step)))
    if state.panel == "contacts":
        most = max(0, len(rows.contacts(snapshot, state.filter)) - 1)
        return replace(state, scroll=max(0, min(most, state.scroll + step)))
    return state
