"""Runs of one scenario after one another, into one table: what `skyloom sweep` and `skyloom run --repeat` share.

Invariant: whatever happens to a run, the table has a row for each one that was played to its end. Runs never play at
the same time: they would share the machine's cores, and a run that competes with another one is late.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.cli.play import Played
    from emulator.cli.sweep_values import Combination
    from emulator.record.sweep import Sweep
    from emulator.record.verdict import Verdict
    from emulator.report.progress import RunProgress
    from emulator.scenario import Scenario

MOST_TRIES = 3  # of a run that was too late to trust


class Keep(StrEnum):
    """Which run folders are left."""

    all = "all"
    failed = "failed"


@contextmanager
def stops() -> Iterator[list[int]]:
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


def check_hosts(scenario: Scenario, hosts: int | None) -> None:
    """Build the network, and cut it over so many hosts, where that is known. ScenarioError, UsageError."""
    from emulator.scenario.build import build_network

    network = build_network(scenario)
    if hosts is not None and hosts > 1:
        from emulator.runtime.cluster.layout import lay_out

        lay_out(scenario, network, hosts)


@dataclass
class Player:
    """Plays runs one after another into a table."""

    load: Callable[[list[str]], Scenario]  # the scenario with these `--set` items
    runs: Path
    keep: Keep
    table: Sweep
    progress: RunProgress
    stopped: list[int]  # filled where somebody wants them to end
    hosts: int | None = None  # over which each run is spread, as `launch` says
    cluster: str | None = None  # likewise
    figures: Callable[[Verdict], dict[str, Any]] = attrgetter("summary")  # of a run, for the table

    def play_all(self, plan: Iterable[tuple[Combination, int]]) -> None:
        """Play each combination with its seed, until somebody wants them to end. A machine that cannot play the first
        run leaves no table (PlatformError)."""
        from emulator.model.errors import PlatformError

        try:
            for combination, seed in plan:
                if not self.stopped:
                    self.play(combination, seed)
        except PlatformError:
            if not self.table.rows:
                self.table.discard()
            raise
        self.table.complete = not self.stopped
        self.progress.close()
        self.table.save()

    def play(self, combination: Combination, seed: int) -> None:
        """Play one run, again where it was late, and add its row. An interrupted run has none."""
        from emulator.model.errors import EXIT_LATE, EXIT_PASS, PlatformError, SkyloomError

        self.progress.begin(f"{combination} seed {seed}".lstrip())
        for attempt in range(1, MOST_TRIES + 1):
            about: dict[str, Any] = {"seed": seed, "run": "", "verdict": "fail"}
            summary: dict[str, Any] = {}
            began_s = time.monotonic()
            try:
                played = self._play(combination, seed)
                if played.interrupted:
                    self.stopped.append(signal.SIGINT)
                    return
                found, summary = self._outcome(played)
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
        message = " ".join(about["error"].split()) or about["run"]
        self.progress.end("pass" if passed else f"fail (exit {about['exit_code']})  {message}", lasting=not passed)

    def _play(self, combination: Combination, seed: int) -> Played:
        from emulator.cli.play import play

        return play(
            self.load([*combination.overrides, f"seed={seed}"]), self.runs, self.progress, self.hosts, self.cluster
        )

    def _outcome(self, played: Played) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is known of a run that has ended (columns of the table), and its figures."""
        from emulator.model.inputs import read_text
        from emulator.record.verdict import Verdict

        path = played.folder.path
        about = {"run": path.name, "exit_code": played.exit_code}
        try:
            verdict = Verdict.from_json(read_text(path / "verdict.json"))
        except (OSError, ValueError) as error:
            return about | {"verdict": "fail", "error": f"no verdict: {error}"}, {}
        return about | {"verdict": verdict.verdict, "error": verdict.error}, self.figures(verdict)


def worst_exit_code(table: Sweep) -> int:
    """The worst of all: interrupted, broken, late, failed, passed."""
    from emulator.model.errors import EXIT_FAIL, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_LATE, EXIT_PASS

    if not table.complete:
        return EXIT_INTERRUPTED
    codes = {row["exit_code"] for row in table.rows}
    if codes - {EXIT_PASS, EXIT_FAIL, EXIT_LATE}:
        return EXIT_INTERNAL
    return EXIT_LATE if EXIT_LATE in codes else EXIT_FAIL if EXIT_FAIL in codes else EXIT_PASS
