"""`skyloom replay`: a run's scenario once more, and which decisions were equal wherever they can be compared."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.cli.spread import Cluster, Hosts
from emulator.model.printable import aligned, one_line, printable

if TYPE_CHECKING:
    from emulator.record.load import Run
    from emulator.scenario import Scenario

MOST_ROWS = 20  # of one kind that are shown; replay.json has them all


def replay(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, `latest`, a scenario's name or a run's id.")],
    against: Annotated[
        str | None, typer.Option(metavar="RUN", help="Play nothing: compare with this run of the same scenario.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where run folders are.")] = Path("runs"),
    tui: Annotated[bool | None, typer.Option("--tui/--no-tui", help="Live screen, or plain lines.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object with every decision.")] = False,
    hosts: Hosts = None,
    cluster: Cluster = None,
) -> None:
    """Play a run's scenario again, and say which decisions of the emulator were equal in both runs."""
    from emulator.client.find import find
    from emulator.model.errors import EXIT_FAIL, EXIT_PASS, UsageError
    from emulator.scenario import load

    for option, given in (("--hosts", hosts), ("--cluster", cluster)):
        if against is not None and given is not None:
            raise UsageError(f"{option} with --against, which plays nothing; expected one of them")
    first = _ended(find(run, runs))
    scenario = load(first.path / "scenario.toml")
    if against is None:
        if hosts is None and cluster is None:
            hosts = _as_many(first)
        second = _played(scenario, runs, tui, first.path, hosts, cluster)
    else:
        second = _ended(find(against, runs))
        _check_same(first, second)
    document = compared(first, second, scenario)
    if against is None:
        _keep(second, document)
    if json:
        from json import dumps

        sys.stdout.write(printable(dumps(document, indent=2, ensure_ascii=False)) + "\n")
    else:
        sys.stdout.write(_shown(document))
    raise typer.Exit(EXIT_PASS if document["equal"] else EXIT_FAIL)


def _ended(folder: Path) -> Run:
    """A run that has ended. DataError: it has no verdict, so that nobody knows how far it came."""
    from emulator.model.errors import DataError
    from emulator.record.load import load_run

    run = load_run(folder)
    if run.verdict is None:
        raise DataError(f"{run.path}: the run has no verdict; it may still be going on, or was killed")
    return run


def compared(first: Run, second: Run, scenario: Scenario) -> dict[str, Any]:
    """Two runs of a scenario as plain values: `decisions`, whether all that were compared are `equal`, `figures`."""
    from emulator.cli.compare import compared as figures_of
    from emulator.record.replayed import findings
    from emulator.scenario.build import build_network

    figures = {"exit_code": _row(*(run.verdict.exit_code if run.verdict else None for run in (first, second)))}
    figures |= {name: _row(row["a"], row["b"]) for name, row in figures_of(first, second)["figures"].items()}
    drops = [run.verdict.drops if run.verdict else {} for run in (first, second)]
    causes = [cause for cause in drops[0] | drops[1] if any(of_run.get(cause) for of_run in drops)]
    figures |= {f"drops.{cause}": _row(*(of_run.get(cause) for of_run in drops)) for cause in causes}
    found = findings(first, second, build_network(scenario), scenario.seed)
    return {
        "run": str(first.path),
        "replay": str(second.path),
        "equal": not any(finding.differs for finding in found),
        "decisions": [finding.plain() for finding in found],
        "figures": figures,
    }


def _row(of_run: Any, of_replay: Any) -> dict[str, Any]:
    return {"run": of_run, "replay": of_replay}


def _as_many(first: Run) -> int | None:
    """As many pseudo-hosts as the first run had hosts, which is told; None for one that had one."""
    machines = first.verdict.machines if first.verdict is not None else []
    if machines:
        sys.stderr.write(f"over {len(machines)} pseudo-hosts of this machine, for as many hosts of the run (--hosts)\n")
    return len(machines) or None


def _played(
    scenario: Scenario, runs: Path, tui: bool | None, first: Path, hosts: int | None, cluster: str | None
) -> Run:
    """The new run. typer.Exit with its code where it was interrupted, broke, or goes on without us."""
    from emulator.cli.play import play
    from emulator.model.errors import EXIT_FAIL, EXIT_LATE, EXIT_PASS
    from emulator.record.load import load_run
    from emulator.report.summary import print_summary
    from emulator.ui import LiveScreen

    played = play(scenario, runs, LiveScreen(enabled=tui, scenario=scenario.name), hosts, cluster)
    path = one_line(str(played.folder.path))
    if played.detached:
        sys.stderr.write(f"detached; once it has ended: skyloom replay {one_line(str(first))} --against {path}\n")
        raise typer.Exit(EXIT_PASS)
    if played.exit_code not in (EXIT_PASS, EXIT_FAIL, EXIT_LATE):
        if played.folder.has_verdict():
            print_summary(played.folder.path)
        raise typer.Exit(played.exit_code)
    return load_run(played.folder.path)


def _check_same(first: Run, second: Run) -> None:
    from emulator.model.errors import UsageError

    if _emulated(first) != _emulated(second):
        raise UsageError(
            f"{first.path} and {second.path} are runs of different scenarios; expected two of the same one "
            "(`skyloom compare` shows what was asked differently)"
        )


def _emulated(run: Run) -> dict[str, Any]:
    """The scenario without what says on which hosts it is played."""
    return {key: value for key, value in run.document.items() if key != "cluster"}


def _keep(second: Run, document: dict[str, Any]) -> None:
    """replay.json in the new run folder; what the disk refuses is told."""
    from json import dumps
    from os import environ

    from emulator.record.folder import RunFolder, invoking_user

    folder = RunFolder(second.path, "", invoking_user(environ))
    folder.write("replay.json", dumps(document, indent=1, ensure_ascii=False) + "\n")
    for warning in folder.warnings:
        sys.stderr.write(printable(f"skyloom: warning: {warning}\n"))


def _shown(document: dict[str, Any]) -> str:
    """The same as text: the decisions, then the figures side by side."""
    from emulator.report import text

    rows: list[tuple[str, ...]] = []
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for each in document["decisions"]:
        by_kind.setdefault(each["kind"], []).append(each)
    for kind, found in by_kind.items():
        found = sorted(found, key=lambda each: each["equal"] == each["compared"])  # what differs first
        for each in found[:MOST_ROWS]:
            counts = (f"{each['compared']:,}", f"{each['equal']:,}") if each["compared"] else ("-", "-")
            rows.append((kind, each["where"], *counts, each["note"]))
        if len(found) > MOST_ROWS:
            rows.append((kind, f"({len(found) - MOST_ROWS} more; replay.json has them)", "", "", ""))
    figures = [(name, text.value(row["run"]), text.value(row["replay"])) for name, row in document["figures"].items()]
    words = "equal wherever they can be compared" if document["equal"] else "NOT EQUAL"
    return (
        f"run     {one_line(document['run'])}\nreplay  {one_line(document['replay'])}\n\n"
        + aligned(["decisions", "of", "compared", "equal", ""], rows)
        + "\n"
        + aligned(["figure (real time, not judged)", "run", "replay"], figures)
        + f"\ndecisions are {words}\n"
    )
