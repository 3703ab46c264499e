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
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.model.printable import printable

if TYPE_CHECKING:
    from emulator.cli.play import Played
    from emulator.cli.sweep_values import Combination
    from emulator.record.sweep import Sweep
    from emulator.report.progress import RunProgress
    from emulator.scenario import Scenario

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
    seeds: Annotated[int, typer.Option(min=1, help="Runs per combination; seeds count up from the scenario's.")] = 1,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key, in every run.")
    ] = None,
    duration: Annotated[str | None, typer.Option(help='How long each run plays, such as "60s".')] = None,
    keep: Annotated[Keep, typer.Option(help="Run folders to keep: all, or only of runs that did not pass.")] = Keep.all,
    runs: Annotated[Path, typer.Option(help="Where run folders are made.")] = Path("runs"),
    json: Annotated[bool, typer.Option("--json", help="Print sweep.json at the end.")] = False,
) -> None:
    """Run a scenario over values and seeds, one run after another, and make one table and report of it."""
    from emulator.cli.sweep_values import combinations, values_by_key
    from emulator.model.errors import PlatformError
    from emulator.record.sweep import Sweep
    from emulator.report.progress import RunProgress

    fixed = [] if duration is None else [f'duration="{duration}"']
    fixed += overrides or []
    grid = combinations(over or [], seeds)
    first, seed_of = _check(scenario, fixed, grid)
    about = {"command": sys.argv, "analysis": first.analysis, "directory": first.directory}
    table = Sweep.create(runs, first.name, values_by_key(grid), seeds, **about)
    table.save()
    plan = [(each, base + more) for each, base in zip(grid, seed_of, strict=True) for more in range(seeds)]
    progress = RunProgress(len(plan))
    with _stops() as stopped:
        player = _Player(scenario, fixed, runs, keep, table, progress, stopped)
        try:
            for combination, seed in plan:
                if not stopped:
                    player.play(combination, seed)
        except PlatformError:
            if not table.rows:
                table.discard()
            raise
        table.complete = not stopped
        progress.close()
        table.save()
        _conclude(table, json)
    raise typer.Exit(_exit_code(table))


def _check(source: str, fixed: list[str], grid: list[Combination]) -> tuple[Scenario, list[int]]:
    """Load each combination and build its network: the first scenario, and the seed of each.

    ScenarioError with every problem of all combinations where there is one.
    """
    from emulator.model.errors import Problem, ScenarioError
    from emulator.scenario import load
    from emulator.scenario.build import build_network

    first: Scenario | None = None
    seeds: list[int] = []
    problems: dict[Problem, None] = {}
    for combination in grid:
        try:
            scenario = load(source, overrides=[*fixed, *combination.overrides])
            build_network(scenario)
        except ScenarioError as error:
            problems |= dict.fromkeys(error.problems)
        else:
            first = first or scenario
            seeds.append(scenario.seed)
    if problems or first is None:
        raise ScenarioError(list(problems))
    return first, seeds


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


@dataclass
class _Player:
    """Plays runs of one sweep into its table."""

    source: str
    fixed: list[str]  # `--set` items of every run
    runs: Path
    keep: Keep
    table: Sweep
    progress: RunProgress
    stopped: list[int]  # filled where somebody wants the sweep to end

    def play(self, combination: Combination, seed: int) -> None:
        """Play one run, again where it was late, and add its row. An interrupted run has none."""
        from emulator.model.errors import EXIT_LATE, EXIT_PASS, PlatformError, SkyloomError

        self.progress.begin(f"{combination} seed {seed}".lstrip())
        about: dict[str, Any] = {"seed": seed, "run": "", "verdict": "fail"}
        summary: dict[str, Any] = {}
        for attempt in range(1, MOST_TRIES + 1):
            began_s = time.monotonic()
            try:
                played = self._play(combination, seed)
                if played.interrupted:
                    self.stopped.append(signal.SIGINT)
                    return
                found, summary = _outcome(played)
                about |= found
                if self.keep is Keep.failed and played.exit_code == EXIT_PASS:
                    played.folder.remove()
            except PlatformError:
                raise
            except SkyloomError as error:
                about |= {"exit_code": error.exit_code, "error": str(error)}
            about |= {"wall_s": time.monotonic() - began_s, "attempts": attempt}
            if about["exit_code"] != EXIT_LATE or self.stopped:
                break
            if attempt < MOST_TRIES:
                self.progress.note(f"{combination} seed {seed}: late, played again ({attempt + 1} of {MOST_TRIES})")
        self.table.add(combination.values, about, summary)
        self.table.save()
        passed = about["exit_code"] == EXIT_PASS
        said = " ".join(about["error"].split()) or about["run"]
        self.progress.end("pass" if passed else f"fail (exit {about['exit_code']})  {said}", lasting=not passed)

    def _play(self, combination: Combination, seed: int) -> Played:
        from emulator.cli.play import play
        from emulator.scenario import load

        scenario = load(self.source, overrides=[*self.fixed, *combination.overrides, f"seed={seed}"])
        return play(scenario, self.runs, self.progress)


def _outcome(played: Played) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is known of a run that has ended (columns of the table), and its summary."""
    from emulator.model.inputs import read_text
    from emulator.record.verdict import Verdict

    path = played.folder.path
    about = {"run": path.name, "exit_code": played.exit_code}
    try:
        verdict = Verdict.from_json(read_text(path / "verdict.json"))
    except (OSError, ValueError) as error:
        return about | {"verdict": "fail", "error": f"no verdict: {error}"}, {}
    return about | {"verdict": verdict.verdict, "error": verdict.error}, verdict.summary


def _conclude(table: Sweep, json: bool) -> None:
    """Write the tables and the report, and print the result."""
    from emulator.report.sweep_table import combination_table

    table.save_tables()
    from emulator.report.progress import StepProgress
    from emulator.report.sections import write_report

    with StepProgress() as tell:
        page, warnings = write_report(table.path, tell=tell)
    for warning in warnings:
        sys.stderr.write(printable(f"skyloom: warning: {warning}\n"))
    if json:
        from json import dumps

        sys.stdout.write(printable(dumps(table.document(), indent=2, ensure_ascii=False)) + "\n")
    else:
        sys.stdout.write(combination_table(table))
    sys.stderr.write(printable(f"sweep folder {table.path}\nreport       {page}\n"))


def _exit_code(table: Sweep) -> int:
    """The worst of all: interrupted, broken, late, failed, passed."""
    from emulator.model.errors import EXIT_FAIL, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_LATE, EXIT_PASS

    if not table.complete:
        return EXIT_INTERRUPTED
    codes = {row["exit_code"] for row in table.rows}
    if codes - {EXIT_PASS, EXIT_FAIL, EXIT_LATE}:
        return EXIT_INTERNAL
    return EXIT_LATE if EXIT_LATE in codes else EXIT_FAIL if EXIT_FAIL in codes else EXIT_PASS
