"""The keys as people read them: the line at the foot of the screen, and the help of each view.

Invariant: what is said here is what `state.press` does; the first few always stand on the screen.
"""

from __future__ import annotations

from emulator.ui.terminal.state import FILTERED, NAME_KEYS, PANELS, SORTS, State


def footer(state: State) -> list[tuple[str, str]]:
    """Key and word, the most needed first."""
    if state.mode == "fault":
        return [("↑↓", "choose"), ("Enter", "do it"), ("Esc", "leave it")]
    leave = [("q", "quit")] if state.finished else [("q", "detach"), ("Q", "stop")]
    found = [("?", "help"), *leave, ("1-7", "panels")]
    if state.finished:
        found += [("←→", "1 s"), ("PgUp PgDn", "10 s"), ("Home End", "")]
    if state.detail:
        found += [("Esc", "back"), ("f", "fault")][: 1 if state.finished else 2]
    elif state.panel in NAME_KEYS:
        found += [("Enter", "details"), ("f", "fault")][: 1 if state.finished else 2]
        found += [("s", "sort"), ("/", "filter")]
    elif state.panel in ("events", "contacts"):
        found += [("↑↓", "scroll"), ("/", "filter")]
    return [*found, ("space", "freeze")]


def keys_of(state: State) -> list[tuple[str, str]]:
    """Every key of this view and what it does."""
    found = [("1-7, Tab", ", ".join(PANELS))]
    if state.panel in NAME_KEYS:
        found += [("up, down", "choose a row; PgUp, PgDn, Home, End go further"), ("Enter", "details of it")]
        if not state.finished:
            found.append(("f", "do something to it: a fault from a list"))
    if state.panel in SORTS:
        found.append(("s, S", "sort by the next column; the other way round"))
    if state.panel == "protocol":
        found.append(("4, left, right", "the next protocol of this run, where it has several"))
    if state.panel in ("events", "contacts"):
        found.append(("up, down", "scroll"))
    if state.panel in FILTERED:
        found.append(("/", "part of a name, or a glob (gs-*); Enter keeps it, Esc clears it"))
    found += [("Esc", "back"), ("space", "freeze the picture, and go on; the run goes on by itself")]
    if state.finished:
        found += [
            ("left, right", "a second back, on"),
            ("PgUp, PgDn", "ten seconds"),
            ("Home, End", "the ends of the run"),
        ]
        found.append(("q", "close"))
    else:
        found += [
            ("q", "detach: the run goes on; `skyloom watch` comes back to it"),
            ("Q", "stop the run, after a question; Ctrl-C does so without one"),
        ]
    return found
