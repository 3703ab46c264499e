"""`skyloom sweep`: a scenario run again and again over values of its keys and over seeds, into one table.

Invariant: every combination is loaded and its network built before the first run begins, and whatever happens after
that leaves a valid table with a row for each run that was played to its end. Runs follow one another: they share the
machine's cores, and a run that competes with another one is late.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from emulator.cli.sweep_values import Combination
    from emulator.record.sweep import Sweep
    from emulator.scenario import Scenario
    from emulator.show.progress import RunProgress

MOST_TRIES = 3  # of a run that was too late to trust


class Keep(StrEnum):
    """Which run folders a sweep leaves."""

    all = "all"
    failed = "failed"


def sweep(
    scenario: Annotated[str, typer.Argument(help="A bundled scenario's name (see `list`) or a file.")],
    over: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=V1,V2,...", help="Values of a key, as for --set; repeated: every combination."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each combination, with seeds from the scenario's on.")] = 1,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key, in every run.")
    ] = None,
    duration: Annotated[str | None, typer.Option(help='How long each run plays, such as "60s".')] = None,
    keep: Annotated[Keep, typer.Option(help="Run folders to keep: all, or only of runs that did not pass.")] = Keep.all,
    runs: Annotated[Path, typer.Option(help="Where run folders are made.")] = Path("runs"),
    json: Annotated[bool, typer.Option("--json", help="Print sweep.json at the end.")] = False,
) -> None:
    """Run a scenario over values and seeds, one run after another, and make one table and report of it."""
    from emulator.cli.sweep_values import combinations
    from emulator.errors import PlatformError
    from emulator.record.sweep import Sweep
    from emulator.show.progress import RunProgress

    fixed = [] if duration is None else [f'duration="{duration}"']
    fixed += overrides or []
    grid = combinations(over or [], seeds)
    first = _check(scenario, fixed, grid)
    values = {key: list(dict.fromkeys(each.values[key] for each in grid)) for key in grid[0].values}
    about = {"command": sys.argv, "analysis": first[0].analysis, "directory": first[0].directory}
    table = Sweep.create(runs, first[0].name, values, seeds, **about)
    table.save()
    plan = [
        (each, seed)
        for each, loaded in zip(grid, first, strict=True)
        for seed in range(loaded.seed, loaded.seed + seeds)
    ]
    progress = RunProgress(len(plan))
    with _stops() as stopped:
        for combination, seed in plan:
            if not stopped:
                try:
                    _one(scenario, fixed, combination, seed, runs, keep, table, progress, stopped)
                except PlatformError:
                    if not table.rows:
                        table.discard()
                    raise
        table.complete = not stopped
        progress.close()
        table.save()
        _conclude(table, json)
    raise typer.Exit(_exit_code(table))


def _check(source: str, fixed: list[str], grid: list[Combination]) -> list[Scenario]:
    """The scenario of each combination at its first seed; every problem of all of them where there is one."""
    from emulator.errors import Problem, ScenarioError
    from emulator.runtime.handle import build_network
    from emulator.scenario import load

    scenarios: list[Scenario] = []
    problems: dict[Problem, None] = {}
    for combination in grid:
        try:
            scenarios.append(load(source, overrides=[*fixed, *combination.overrides]))
            build_network(scenarios[-1])
        except ScenarioError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise ScenarioError(list(problems))
    return scenarios


@contextmanager
def _stops() -> Iterator[list[int]]:
    """While in this block, the first SIGINT or SIGTERM between runs is only noted; the next one interrupts at once."""
    noted: list[int] = []

    def note(number: int, _frame: object) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _one(
    source: str,
    fixed: list[str],
    combination: Combination,
    seed: int,
    runs: Path,
    keep: Keep,
    table: Sweep,
    progress: RunProgress,
    stopped: list[int],
) -> None:
    """Play one run, again where it was late, and add its row. An interrupted run has none."""
    from emulator.cli.play import play
    from emulator.errors import EXIT_LATE, EXIT_PASS, PlatformError, SkyloomError
    from emulator.scenario import load

    progress.begin(f"{combination} seed {seed}".lstrip())
    about: dict[str, Any] = {"seed": seed, "run": "", "verdict": "fail"}
    summary: dict[str, Any] = {}
    for attempt in range(1, MOST_TRIES + 1):
        began_s = time.monotonic()
        try:
            scenario = load(source, overrides=[*fixed, *combination.overrides, f"seed={seed}"])
            played = play(scenario, runs, nullcontext(progress))
        except PlatformError:
            raise
        except SkyloomError as error:
            about |= {"exit_code": error.exit_code, "wall_s": time.monotonic() - began_s, "attempts": attempt}
            about["error"] = str(error)
            break
        if played.interrupted:
            stopped.append(signal.SIGINT)
            return
        found, summary = _outcome(played.folder.path)
        about |= {"run": played.folder.path.name, "exit_code": played.exit_code, **found}
        about |= {"wall_s": time.monotonic() - began_s, "attempts": attempt}
        if played.exit_code == EXIT_PASS and keep is Keep.failed:
            played.folder.remove()
        if played.exit_code != EXIT_LATE or stopped:
            break
        if attempt < MOST_TRIES:
            progress.note(f"{combination} seed {seed}: too late to trust, played again ({attempt} of {MOST_TRIES})")
    table.add(combination.values, about, summary)
    table.save()
    passed = about["exit_code"] == EXIT_PASS
    said = "pass" if passed else f"fail (exit {about['exit_code']}) {about['error'] or about['run']}".rstrip()
    progress.end(said, lasting=not passed)


def _outcome(folder: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """What a run's verdict says: verdict and error, and its summary."""
    from emulator.record.verdict import Verdict

    try:
        verdict = Verdict.from_json((folder / "verdict.json").read_text())
    except (OSError, ValueError) as error:
        return {"verdict": "fail", "error": f"no verdict: {error}"}, {}
    return {"verdict": verdict.verdict, "error": verdict.error}, verdict.summary


def _conclude(table: Sweep, json: bool) -> None:
    """Write the tables and the report, and print the result."""
    from emulator.show.sweeping import combination_table

    table.save_tables()
    from emulator.show.report import write_report

    page, warnings = write_report(table.path)
    for warning in warnings:
        sys.stderr.write(f"skyloom: warning: {warning}\n")
    if json:
        from json import dumps

        sys.stdout.write(dumps(table.document(), indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(combination_table(table))
    sys.stderr.write(f"sweep folder {table.path}\nreport       {page}\n")


def _exit_code(table: Sweep) -> int:
    """The worst of all: interrupted, broken, late, failed, passed."""
    from emulator.errors import EXIT_FAIL, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_LATE, EXIT_PASS

    if not table.complete:
        return EXIT_INTERRUPTED
    codes = {row["exit_code"] for row in table.rows}
    if codes - {EXIT_PASS, EXIT_FAIL, EXIT_LATE}:
        return EXIT_INTERNAL
    return EXIT_LATE if EXIT_LATE in codes else EXIT_FAIL if EXIT_FAIL in codes else EXIT_PASS
