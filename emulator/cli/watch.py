"""`skyloom watch`: the live screen of a run in another terminal, or of one that is over.

Invariant: watching changes nothing in a run unless a key asks for it, and leaving it never ends it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emulator.model.printable import one_line, printable

if TYPE_CHECKING:
    from emulator.observe.snapshot import Snapshot

SETTLE_S = 60.0  # how long a run may take from the end of play to its verdict
POLL_S = 0.1


def watch(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="Id of a run (its beginning is enough), a run folder, a scenario's name or `latest`; "
            "without it the live run, or where there is none the latest.",
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option(help='Where a finished run opens, such as "30s"; without it at its end.')
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where run folders are.")] = Path("runs"),
    tui: Annotated[bool | None, typer.Option("--tui/--no-tui", help="Live screen, or plain lines.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one snapshot and end.")] = False,
) -> None:
    """Watch a live run from any terminal, or go through a finished one with a time cursor (left and right)."""
    from emulator.model.errors import UsageError

    found = chosen(run, runs)
    if isinstance(found, Path):
        _finished(found, _seconds(at), tui, json)
    elif at is not None:
        raise UsageError(f"--at {at}: run {found} is live; a time cursor is for finished runs")
    else:
        _live(found, tui, json)


def chosen(run: str | None, runs: Path) -> str | Path:
    """What is meant: the id of a live run, or the folder of a finished one. UsageError."""
    from emulator.client.find import find, is_sweep
    from emulator.client.watch import live_runs
    from emulator.model.errors import UsageError

    live = live_runs()
    if run in live or (run is None and len(live) == 1):
        return run or live[0]
    fitting = [name for name in live if run is None or (run and name.startswith(run))]
    if len(fitting) > 1:
        raise UsageError(f"{len(fitting)} live runs fit; choose one: {', '.join(fitting)}")
    if fitting:
        return fitting[0]
    folder = find(run or "latest", runs)
    if is_sweep(folder):
        raise UsageError(f"{folder} is a sweep; expected one of its runs")
    run_id = folder.name.rpartition("-")[2]
    return run_id if run_id in live else folder


def _seconds(at: str | None) -> float | None:
    from emulator.model.errors import UsageError
    from emulator.model.units import parse

    if at is None:
        return None
    try:
        return parse(at, "duration")
    except ValueError as error:
        raise UsageError(f"--at {at}: {error}") from None


def _live(run_id: str, tui: bool | None, json: bool) -> None:
    from emulator.client.watch import Watch
    from emulator.report.summary import print_summary
    from emulator.ui import LiveScreen

    source = Watch(run_id)
    first = source.receive()
    if json:
        source.detach()
        _print(first or {})
        return
    scenario, folder = (first or {}).get("scenario", ""), Path((first or {}).get("folder", ""))
    if LiveScreen(enabled=tui, scenario=scenario).follow(source):
        sys.stderr.write(f"detached: run {run_id} goes on\n")
        return
    _await_verdict(run_id)
    if (folder / "verdict.json").is_file():
        print_summary(folder)


def _await_verdict(run_id: str) -> None:
    """Wait until the run has gone: between the end of play and that lie the tables and the verdict."""
    import time

    from emulator.client.watch import live_runs

    give_up_s = time.monotonic() + SETTLE_S
    while run_id in live_runs() and time.monotonic() < give_up_s:
        time.sleep(POLL_S)


def _finished(folder: Path, at_s: float | None, tui: bool | None, json: bool) -> None:
    from emulator.model.errors import UsageError
    from emulator.observe.replay import Replay
    from emulator.report.summary import print_summary
    from emulator.ui import LiveScreen

    screen = LiveScreen(enabled=tui)
    if at_s is not None and not (json or screen.draws):
        raise UsageError(f"--at {at_s:g} s: no screen opens here; expected a terminal, or --json for that instant")
    if json:
        _print(Replay(folder, at_s).snapshot())
    elif screen.draws:
        screen.follow(Replay(folder, at_s))
    elif (folder / "verdict.json").is_file():
        print_summary(folder)
    else:
        sys.stderr.write(f"{one_line(str(folder))} has no verdict: the run was killed, or it failed before its end\n")


def _print(snapshot: Snapshot) -> None:
    from emulator.record.spool import to_json

    sys.stdout.write(printable(f"{to_json(dict(snapshot))}\n"))
