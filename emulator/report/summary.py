"""The end-of-run text: verdict.json as a person reads it, the verdict first.

Invariant: it shows nothing that is not in verdict.json, and says by a sign and a word what it says by colour.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from emulator.model.errors import EXIT_FAIL, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_LATE, EXIT_PASS, DataError
from emulator.model.inputs import read_text
from emulator.model.printable import printable
from emulator.record.verdict import LATE_CAUSES, FailedProgram, Verdict
from emulator.record.verdict.judge import clocks_stepped, packets_late, rounds_late, trunks_lossy
from emulator.record.verdict.schema import ClockFigures, TrunkFigures
from emulator.report import text
from emulator.report.predicted import compare
from emulator.report.text import BAD, DIM, GOOD, HEAD, WARN, Signs

MEANING = {
    EXIT_PASS: "every expectation holds",
    EXIT_FAIL: "an expectation does not hold",
    EXIT_LATE: "packets left too late for these figures to be trusted",
    EXIT_INTERRUPTED: "interrupted before its end",
    EXIT_INTERNAL: "the emulation itself failed",
}
MOST_PROGRAMS = 3  # whose last lines are shown
MOST_ROWS = 20  # of a table; verdict.json has them all


def print_summary(folder: Path, as_json: bool = False, console: Console | None = None) -> None:
    """Print the summary of a finished run on standard output, or its verdict.json with `as_json`.

    DataError where the folder has no readable verdict.
    """
    path = folder / "verdict.json"
    try:
        document = read_text(path)
        verdict = Verdict.from_json(document)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; the run may still be going on, or was killed") from None
    except ValueError as error:
        raise DataError(f"{path}: {error}; run the scenario again with this version") from None
    if as_json:
        sys.stdout.write(printable(document))
        return
    console = console or text.Printing(highlight=False)
    text.never_fail(console)
    try:
        summary(console, verdict, folder)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path}: figures that this version cannot show ({error}); expected those of its own"
        ) from error


def summary(console: Console, verdict: Verdict, folder: Path) -> None:
    """The text itself; parts without data are left out."""
    signs = text.signs(console)
    passed = verdict.exit_code == EXIT_PASS
    console.print(
        Text.assemble(
            (f"{signs.good} PASS" if passed else f"{signs.bad} FAIL", f"bold {GOOD if passed else BAD}"),
            (f"  {verdict.scenario}", HEAD),
            f"  seed {verdict.seed}",
            f"  {text.duration(verdict.duration_s)} played" if verdict.duration_s else "",
            f"  {meaning(verdict)}",
            f" (exit {verdict.exit_code})" if not passed else "",
        ),
        soft_wrap=True,
    )
    if verdict.error:
        console.print(Text(f"  {verdict.error}", BAD), soft_wrap=True)
    for part in (
        _expectations(verdict, signs),
        _prediction(verdict, signs),
        _probes(verdict, console.width),
        _flows(verdict, console.width),
        _machines(verdict, console.width),
    ):
        if part is not None:
            console.print()
            console.print(part)
    if last_lines := _last_lines(verdict):
        console.print()
        for line in last_lines:
            console.print(line, soft_wrap=True)
    for lines in filter(is_block, verdict.summary.values()):
        console.print()
        for line in lines:
            console.print(Text(line), soft_wrap=True)
    console.print()
    for name, words in _facts(verdict, signs):
        console.print(Text.assemble((f"{name:<11} ", HEAD), words), soft_wrap=True)
    for warning in verdict.warnings:
        console.print(Text.assemble((f"{signs.warn} warning   ", WARN), warning), soft_wrap=True)
    console.print(Text.assemble((f"{'run folder':<12}", HEAD), str(folder)), soft_wrap=True)


def meaning(verdict: Verdict) -> str:
    """What the exit code of the run means, in words."""
    if verdict.exit_code == EXIT_PASS and not verdict.expectations:
        return "played to its end; the scenario expects nothing of its figures"
    if verdict.exit_code == EXIT_LATE and not packets_late(verdict):
        if rounds_late(verdict):
            return "messages came in another round than planned, so these figures cannot be trusted"
        if trunks_lossy(verdict):
            return "trunks between hosts lost packets, so these figures cannot be trusted"
        if clocks_stepped(verdict):
            return "the clock of a host was stepped, so these figures cannot be trusted"
    return MEANING.get(verdict.exit_code, "")


def rounds_words(rounds: Mapping[str, Any]) -> str:
    """What the verdict says of rounds: "rounds 12, 84 messages, round fidelity 1.0"."""
    fidelity = float(rounds.get("fidelity", 1.0))
    words = f"rounds {rounds.get('rounds', 0):,}, {rounds.get('messages', 0):,} messages"
    words += f", round fidelity {text.share(fidelity)}"
    if fidelity < 1:
        words += f" ({rounds.get('in_slot', 0):,} of {rounds.get('received', 0):,} in their round)"
    if rounds.get("counts_agree") is False:
        words += f", {rounds.get('interface_packets', 0):,} packets on the interfaces"
    return words + (f"; stopped: {rounds['stopped']}" if rounds.get("stopped") else "")


def budget_words(budget: Mapping[str, Any]) -> str:
    """What the verdict says of lateness and its causes, the largest first: "scheduler 84 %, engine 16 %; …"."""
    causes = sorted((cause for cause in LATE_CAUSES if budget.get(cause)), key=lambda cause: -budget[cause])
    said = [", ".join(f"{cause} {_percent(budget[cause])}" for cause in causes)] if causes else []
    many = f" ({_percent(budget['late_share'])})" if budget.get("late_share") is not None else ""
    said.append(f"{budget.get('late_packets', 0):,} packets{many} more than 1 ms late")
    if budget.get("overloaded_s"):
        said.append(f"ports not read for {text.duration(budget['overloaded_s'])}")
    if budget.get("engine_cpu_share") is not None:
        said.append(f"engine {_percent(budget['engine_cpu_share'])} of a core")
    return "; ".join(said)


def trunk_words(trunks: TrunkFigures) -> str:
    """What the verdict says of the ways between hosts: "2,068 packets between hosts, 0.31 % of them late; …"."""
    crossings = trunks.get("crossings", 0)
    late, slowest = _percent(trunks.get("late_share", 0.0)), text.milliseconds(trunks.get("worst_latency_ms"))
    words = f"{crossings:,} packets between hosts, {late} of them late, {trunks.get('lost', 0):,} lost; "
    return words + f"{trunks.get('repaired', 0):,} datagrams sent again, the slowest trunk p99 {slowest} ms"


def clock_words(clock: ClockFigures) -> str:
    """What the verdict says of the clocks of hosts: "at most 5.00 s from that of host 0, known to 2.40 us; …"."""
    offset = text.microseconds(abs(clock.get("offset_us", 0.0)))
    bound, check = text.microseconds(clock.get("bound_us")), text.microseconds(clock.get("check_us"))
    words = f"at most {offset} from that of host 0, known to {bound}; other pairs of hosts agree to {check}"
    stepped = clock.get("stepped_us")
    return words + (f"; one was stepped by {text.microseconds(stepped)}" if stepped else "")


def _percent(share: float) -> str:
    return f"{text.number(100 * share, 2)} %"


def _heading(title: str, rows: int) -> Text:
    return Text(title + (f" (worst {MOST_ROWS} of {rows})" if rows > MOST_ROWS else ""), HEAD)


def _table(width: int, *columns: tuple[str, int], first: str = "pair") -> Table:
    """A table whose first column takes what the others, of fixed width, leave of `width`."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=DIM, show_edge=False)
    left = width - sum(size + 2 for _, size in columns) - 2
    table.add_column(first, no_wrap=True, overflow="ellipsis", max_width=max(8, left))
    for name, size in columns:
        table.add_column(name, justify="right", no_wrap=True, width=size)
    return table


def _expectations(verdict: Verdict, signs: Signs) -> Table | None:
    if not verdict.expectations:
        return None
    table = Table(
        title="Expectations", title_justify="left", title_style=HEAD, box=None, padding=(0, 2, 0, 0), header_style=DIM,
        show_edge=False,
    )  # fmt: skip
    for name in ("", "figure", "asked", "observed", ""):
        table.add_column(name, overflow="fold")
    for outcome in verdict.expectations:
        mark = Text(signs.good, GOOD) if outcome.holds else Text(signs.bad, BAD)
        observed = Text("-" if outcome.observed is None else text.value(outcome.observed))
        table.add_row(mark, Text(outcome.figure), Text(outcome.asked), observed, Text(outcome.reason, DIM))
    return table


def _last_lines(verdict: Verdict) -> list[Text]:
    """The last lines of programs that did not do as expected: of each program the first node."""
    by_program: dict[str, list[FailedProgram]] = {}
    for row in verdict.programs:
        by_program.setdefault(str(row.get("program")), []).append(row)
    lines: list[Text] = []
    for program, rows in list(by_program.items())[:MOST_PROGRAMS]:
        others = f" (and {len(rows) - 1} more nodes)" if len(rows) > 1 else ""
        lines.append(Text(f"Last lines of {program} on {rows[0].get('node')}{others}", HEAD))
        lines += [Text(f"    {line}") for line in rows[0].get("last_lines") or ["(it printed nothing)"]]
    return lines


def _prediction(verdict: Verdict, signs: Signs) -> Table | None:
    if not verdict.prediction:
        return None
    table = Table(
        title="Prediction", title_justify="left", title_style=HEAD, box=None, padding=(0, 2, 0, 0), header_style=DIM,
        show_edge=False,
    )  # fmt: skip
    for name in ("", "figure", "predicted", "observed", ""):
        table.add_column(name, overflow="fold")
    marks = {True: Text(signs.good, GOOD), False: Text(signs.bad, BAD), None: Text("")}
    for one in compare(verdict.prediction, verdict.summary):
        remark = Text("" if one.agrees else one.remark, BAD if one.agrees is False else DIM)
        table.add_row(marks[one.agrees], Text(one.name), Text(one.predicted), Text(one.observed), remark)
    return table


def _probes(verdict: Verdict, width: int) -> Group | None:
    rows = verdict.probes
    if not rows:
        return None
    heading = _heading("Round trips in ms; error where no queue was met", len(rows))
    table = _table(
        width, ("asked", 6), ("seen", 6), ("err p50", 7), ("err p99", 7), ("sent", 6), ("lost", 5),
    )  # fmt: skip
    if len(rows) > MOST_ROWS:
        rows = sorted(rows, key=lambda row: (row.get("error_ms") or {}).get("p99", 0.0), reverse=True)[:MOST_ROWS]
    for row in rows:
        error = row.get("error_ms") or {}
        table.add_row(
            Text(str(row.get("pair", ""))),
            text.milliseconds(row.get("asked_ms")),
            text.milliseconds(row.get("seen_ms")),
            text.milliseconds(error.get("p50")),
            text.milliseconds(error.get("p99")),
            f"{row.get('sent', 0):,}",
            Text(f"{row.get('lost', 0):,}", WARN if row.get("lost") else ""),
        )
    return Group(heading, table)


def _flows(verdict: Verdict, width: int) -> Group | None:
    rows = verdict.flows
    if not rows:
        return None
    heading = _heading("Flows", len(rows))
    table = _table(width, ("mean", 12), ("bytes", 8), ("time", 10))
    if len(rows) > MOST_ROWS:
        rows = sorted(rows, key=lambda row: row.get("mean_bps") or 0.0)[:MOST_ROWS]
    for row in rows:
        table.add_row(
            Text(str(row.get("pair", ""))),
            text.rate(row.get("mean_bps")),
            text.size(row.get("bytes")),
            text.duration(row.get("duration_s")),
        )
    return Group(heading, table)


def _machines(verdict: Verdict, width: int) -> Group | None:
    rows = verdict.machines
    if not rows:
        return None
    heading = _heading("Hosts, lateness in ms", len(rows))
    table = _table(
        width, ("nodes", 6), ("p50", 6), ("p99", 6), ("max", 6), ("engine s", 8), ("memory", 8), first="host"
    )
    if len(rows) > MOST_ROWS:
        rows = sorted(rows, key=lambda row: row["lateness_ms"].get("p99", 0.0), reverse=True)[:MOST_ROWS]
    for row in rows:
        late = row["lateness_ms"]
        table.add_row(
            Text(row["name"]),
            f"{row['nodes']:,}",
            *map(text.milliseconds, (late.get("p50"), late.get("p99"), late.get("max"))),
            text.number(row.get("engine_cpu_s", 0.0)),
            text.size(row.get("memory_bytes")),
        )
    return Group(heading, table)


def _facts(verdict: Verdict, signs: Signs) -> list[tuple[str, Text]]:
    facts = []
    if verdict.probe_error_ms:
        facts.append(("probe error", _quantiles(verdict.probe_error_ms)))
    late = verdict.lateness_ms
    if late:
        words = _quantiles(late)
        if verdict.lateness_limit_ms is not None:
            limit = f"p99 allowed: {text.milliseconds(verdict.lateness_limit_ms)} ms"
            words += Text(
                f"  {signs.bad if packets_late(verdict) else signs.good} {limit}", BAD if packets_late(verdict) else DIM
            )
        facts.append(("lateness", words))
    if packets_late(verdict) and verdict.lateness_budget:
        facts.append(("late by", Text(budget_words(verdict.lateness_budget))))
    if verdict.trunks:
        facts.append(("trunks", Text(trunk_words(verdict.trunks), BAD if trunks_lossy(verdict) else "")))
    if verdict.clock:
        facts.append(("clocks", Text(clock_words(verdict.clock), BAD if clocks_stepped(verdict) else "")))
    if verdict.rounds:
        facts.append(("rounds", Text(rounds_words(verdict.rounds).removeprefix("rounds "))))
    single = [
        f"{name} {text.value(value)}"
        for name, value in verdict.summary.items()
        if not isinstance(value, dict | list) and name not in verdict.prediction
    ]
    if single:
        facts.append(("summary", Text(", ".join(single))))
    for name, value in verdict.summary.items():
        if isinstance(value, dict) and value:
            facts.append((name, Text(text.value(value)[1:-1])))
    dropped = [f"{cause} {count:,}" for cause, count in verdict.drops.items() if count]
    if verdict.drops:
        facts.append(("drops", Text(", ".join(dropped) or "none")))
    return facts


def is_block(value: Any) -> bool:
    """Whether a figure is a block of text: a list of its lines, to be shown as they are."""
    return isinstance(value, list) and bool(value) and all(isinstance(line, str) for line in value)


def _quantiles(values: Mapping[str, Any]) -> Text:
    return Text(", ".join(f"{name} {text.milliseconds(value)} ms" for name, value in values.items()))
