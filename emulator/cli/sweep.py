"""`skyloom sweep`: a scenario run again and again over values of its keys and over seeds, into one table.

Invariant: every combination is loaded and its network built before the first run begins, and whatever happens after
that leaves a valid table with a row for each run that was played to its end.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emulator.cli.series import Keep, Player, stops, worst_exit_code
from emulator.cli.spread import Cluster, Hosts
from emulator.model.printable import printable

if TYPE_CHECKING:
    from emulator.cli.sweep_values import Combination
    from emulator.record.sweep import Sweep
    from emulator.scenario import Scenario


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
    hosts: Hosts = None,
    cluster: Cluster = None,
) -> None:
    """Run a scenario over values and seeds, one run after another, and make one table and report of it."""
    from emulator.cli.sweep_values import combinations, values_by_key
    from emulator.record.sweep import Sweep
    from emulator.report.progress import RunProgress
    from emulator.scenario import load

    fixed = [] if duration is None else [f'duration="{duration}"']
    fixed += overrides or []
    grid = combinations(over or [], seeds)
    first, seed_of = _check(scenario, fixed, grid, hosts)
    about = {"command": sys.argv, "analysis": first.analysis, "directory": first.directory}
    table = Sweep.create(runs, first.name, values_by_key(grid), seeds, **about)
    table.save()
    plan = [(each, base + more) for each, base in zip(grid, seed_of, strict=True) for more in range(seeds)]
    progress = RunProgress(len(plan))

    def again(items: list[str]) -> Scenario:
        return load(scenario, overrides=[*fixed, *items])

    with stops() as stopped:
        player = Player(again, runs, keep, table, progress, stopped, hosts, cluster)
        player.play_all(plan)
        _conclude(table, json)
    raise typer.Exit(worst_exit_code(table))


def _check(source: str, fixed: list[str], grid: list[Combination], hosts: int | None) -> tuple[Scenario, list[int]]:
    """Load each combination, build its network and cut it over the hosts: the first scenario, and the seed of each.

    ScenarioError with every problem of all combinations where there is one, UsageError where one cannot be cut.
    """
    from emulator.cli.series import check_hosts
    from emulator.model.errors import Problem, ScenarioError
    from emulator.scenario import load

    first: Scenario | None = None
    seeds: list[int] = []
    problems: dict[Problem, None] = {}
    for combination in grid:
        try:
            scenario = load(source, overrides=[*fixed, *combination.overrides])
            check_hosts(scenario, hosts)
        except ScenarioError as error:
            problems |= dict.fromkeys(error.problems)
        else:
            first = first or scenario
            seeds.append(scenario.seed)
    if problems or first is None:
        raise ScenarioError(list(problems))
    return first, seeds


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
