"""`skyloom run --repeat N`: a scenario run with N seeds, one run after another, and the figures of all.

Invariant: the folder and tables are those of a sweep over seeds alone, so `skyloom report` reads them too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.cli.results import ResultFiles
from emulator.cli.series import Keep, Player, check_hosts, stops, worst_exit_code
from emulator.model.printable import printable

if TYPE_CHECKING:
    from emulator.record.sweep import Sweep
    from emulator.record.verdict import Verdict
    from emulator.report.ci.ended import EndedRun
    from emulator.scenario import Scenario

MEASURED = ("probe_error_ms", "probe_loss", "drops", "lateness_ms")  # of the verdict, beside its summary


def play_again(
    load: Callable[[list[str]], Scenario],
    count: int,
    runs: Path,
    results: ResultFiles,
    json: bool,
    live: bool,
    hosts: int | None = None,
    cluster: str | None = None,
) -> int:
    """Play the scenario with its seed and the next ones; `load` gives it with more `--set` items.

    A run that was late is played again, twice at most. The exit code is that of the worst run. UsageError where
    somebody wants to see them `live`.
    """
    from emulator.cli.sweep_values import Combination
    from emulator.model.errors import UsageError
    from emulator.record.sweep import Sweep
    from emulator.report.progress import RunProgress

    if live:
        raise UsageError("--repeat with --tui or --metrics; expected one run to show, or many without a screen")
    first = load([])
    check_hosts(first, hosts)
    about = {"command": sys.argv, "analysis": first.analysis, "directory": first.directory}
    table = Sweep.create(runs, first.name, {}, count, **about)
    table.save()
    progress = RunProgress(count)
    with stops() as stopped:
        player = Player(load, runs, Keep.all, table, progress, stopped, hosts, cluster, _figures)
        player.play_all((Combination({}, []), seed) for seed in range(first.seed, first.seed + count))
        _conclude(table, results, json)
    return worst_exit_code(table)


def _figures(verdict: Verdict) -> dict[str, Any]:
    """What the table has of a run: its summary, what every run measures, and what is expected of it."""
    from emulator.record.verdict.judge import MISSING, lookup

    found = dict(verdict.summary)
    for name in MEASURED:
        found |= {f"{name}.{key}": value for key, value in getattr(verdict, name).items()}
    for outcome in verdict.expectations:
        name = outcome.figure.removeprefix("summary.")
        if lookup(found, name) is MISSING and isinstance(outcome.observed, int | float):
            found[name] = outcome.observed
    return found


def _conclude(table: Sweep, results: ResultFiles, json: bool) -> None:
    """Write the tables and files, and print the figures."""
    from emulator.report.repeats import repeat_table

    table.save_tables()
    ended = [_ended(table.scenario, row, table.path.parent) for row in table.rows]
    results.write(ended, table)
    if json:
        from json import dumps

        sys.stdout.write(printable(dumps(table.document(), indent=2, ensure_ascii=False)) + "\n")
    else:
        passed = sum(run.passed for run in ended)
        sys.stdout.write(f"{passed} of {len(ended)} runs passed\n\n{repeat_table(table)}")
    sys.stderr.write(printable(f"sweep folder {table.path}\n"))


def _ended(scenario: str, row: dict[str, Any], folder: Path) -> EndedRun:
    """A row of the table as the files for continuous integration tell it; its run folder lies beside the sweep's."""
    from emulator.report.ci.ended import ended_run

    path = folder / row["run"] if row["run"] else None
    return ended_run(scenario, row["seed"], row["exit_code"], row["wall_s"], path, row.get("error") or "")
