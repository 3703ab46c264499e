"""A pytest plug-in: the fixture `skyloom` runs scenarios, and a test asserts on their figures.

    def test_survives_loss(skyloom):
        run = skyloom.run("my.toml", loss="1 %", duration="10 s")
        assert run.passed
        assert run.figure("summary.p99_ms") < 80

Invariant: a test never passes or fails on figures that cannot be trusted: a run that was late is played again, and then
skips the test, or fails it as such (`skyloom_late`). Each run is the command `skyloom run` in a process of its own.
"""

from __future__ import annotations

import difflib
import json
import subprocess
import sys
from collections.abc import Generator, Sequence
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emulator.model.errors import EXIT_LATE, EXIT_PASS, EXIT_PLATFORM, SkyloomError

if TYPE_CHECKING:
    import polars as pl

    from emulator.record.load import Run
    from emulator.record.verdict import Verdict

COMMAND = [sys.executable, "-P", "-m", "emulator.cli", "run"]
MOST_RETRIES = 3  # of a run that was late
LATE = ("skip", "fail")  # what a test becomes whose run stays late
NEAR_FIGURES = 5  # told where a figure is missing
STOP_S = 20  # for a run to end when its test is interrupted
_RUNS = pytest.StashKey[list["FinishedRun"]]()


class FinishedRun:
    """A run that has ended. As text it is the summary that `skyloom run` prints: `assert run.passed, run`."""

    def __init__(self, folder: Path, exit_code: int) -> None:
        self.folder = folder
        self.exit_code = exit_code

    @property
    def passed(self) -> bool:
        """Whether every expectation of the scenario holds, and nothing else was wrong."""
        return self.exit_code == EXIT_PASS

    @property
    def verdict(self) -> Verdict:
        """verdict.json. DataError where the run has none."""
        from emulator.model.errors import DataError

        if self._run.verdict is None:
            raise DataError(f"{self.folder}: the run has no verdict")
        return self._run.verdict

    @property
    def events(self) -> pl.DataFrame:
        """What happened: t_s, node, program, kind, data (JSON text)."""
        return self._run.events

    @property
    def samples(self) -> pl.DataFrame:
        """Numbers over time: t_s, node, program, name, key, value."""
        return self._run.samples

    @property
    def links(self) -> pl.DataFrame:
        """Link ends, a row an interval; columns as in docs/run-folder.md."""
        return self._run.links

    def figure(self, path: str) -> Any:
        """A figure of the verdict by its dotted path, as an expectation names it: "summary.p99_ms".

        KeyError that lists the nearest paths where there is none.
        """
        from emulator.record.sweep import scalars
        from emulator.record.verdict.judge import MISSING, lookup

        figures = self.verdict.figures()
        found = lookup(figures, path)
        if found is MISSING:
            known = scalars(figures)
            near = difflib.get_close_matches(path, known, NEAR_FIGURES, 0.4)
            raise KeyError(f"{path}: no such figure in this run; near ones: {', '.join(near or list(known)[:5])}")
        return found

    def __str__(self) -> str:
        from emulator.report.summary import summary
        from emulator.report.text import Printing

        shown = StringIO()
        summary(Printing(file=shown, width=120, highlight=False, color_system=None), self.verdict, self.folder)
        return shown.getvalue()

    def __repr__(self) -> str:
        return f"<skyloom run {self.folder.name}, exit {self.exit_code}>"

    @cached_property
    def _run(self) -> Run:
        from emulator.record.load import load_run

        return load_run(self.folder)


class Skyloom:
    """The fixture: runs scenarios for one test."""

    def __init__(self, beside: Path, runs: Path, late: str) -> None:
        self.finished: list[FinishedRun] = []
        self._beside = beside
        self._runs = runs
        self._late = late

    def run(self, scenario: str | Path, /, *options: str, **values: Any) -> FinishedRun:
        """Run a bundled scenario or a file, relative to the test's own folder or to the current one.

        `values` are scenario keys and recipe parameters as for `--set`: texts as they would stand there, other values
        as TOML has them; keys with dots come as `**{"link.0.delay": "20 ms"}`. `options` are further ones of the
        command, such as "--elements", "omm.json". Skips the test where this machine cannot run it.
        """
        beside = self._beside / scenario
        source = str(beside if beside.is_file() else scenario)
        items = [word for key, value in values.items() for word in ("--set", f"{key}={_text(value)}")]
        command = [*COMMAND, source, *options, *items, "--json", "--no-tui", "--runs", str(self._runs)]
        for _ in range(1 + MOST_RETRIES):
            code, out, err = _ended(command)
            if code == EXIT_PLATFORM:
                pytest.skip(f"no run here: {_one_line(err)}")
            folder = _folder(self._runs, out)
            if folder is None:
                pytest.fail(f"skyloom run {source} ended with {code} and no verdict:\n{err or out}", pytrace=False)
            run = FinishedRun(folder, code)
            if code != EXIT_LATE:
                self.finished.append(run)
                return run
        said = f"skyloom run {source} was late {1 + MOST_RETRIES} times, so that its figures cannot be trusted"
        if self._late == "skip":
            pytest.skip(f"{said}: {folder}")
        pytest.fail(f"{said}\n{run}", pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("skyloom")
    group.addoption("--skyloom-runs", metavar="FOLDER", type=Path, help="where run folders are made and kept")
    parser.addini("skyloom_late", f"what a test becomes whose run stays late: {' or '.join(LATE)}", default="skip")


def pytest_configure(config: pytest.Config) -> None:
    late = config.getini("skyloom_late")
    if late not in LATE:
        raise pytest.UsageError(f"skyloom_late = {late}; expected {' or '.join(LATE)}")


@pytest.fixture
def skyloom(request: pytest.FixtureRequest, tmp_path: Path) -> Skyloom:
    """Runs scenarios: `skyloom.run("my.toml", loss="1 %").figure("summary.p99_ms")`."""
    config = request.config
    made = Skyloom(
        request.path.parent, config.getoption("--skyloom-runs") or tmp_path / "runs", config.getini("skyloom_late")
    )
    request.node.stash[_RUNS] = made.finished
    return made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the summaries of its runs where a test fails."""
    report = yield
    if report.failed:
        for run in item.stash.get(_RUNS, []):
            try:
                said = str(run)
            except SkyloomError as error:  # the test has changed its folder
                said = str(error)
            report.sections.append((f"skyloom run {run.folder.name}", said))
    return report


def _text(value: Any) -> str:
    """A value as it stands behind `--set KEY=`."""
    from emulator.scenario.toml.writer import value_text

    return str(value) if isinstance(value, str | Path) else value_text(value)


def _ended(command: Sequence[str]) -> tuple[int, str, str]:
    """Exit code and output of a command. Whatever interrupts the test stops the run, which then ends in order."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        try:
            out, err = process.communicate()
        except BaseException:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    return process.returncode, out, err


def _folder(runs: Path, printed: str) -> Path | None:
    """The folder of the run whose verdict.json was printed; None where none was."""
    try:
        run_id = json.loads(printed)["run_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return next(iter(runs.glob(f"*/*-{run_id}")), None)


def _one_line(words: str) -> str:
    return " ".join(words.split())
