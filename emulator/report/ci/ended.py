"""A run that has ended, as files for continuous integration tell it; also one that was refused before it began."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emulator.model.errors import EXIT_PASS
from emulator.model.inputs import read_text
from emulator.record.verdict import Verdict


@dataclass(frozen=True, slots=True)
class EndedRun:
    """One run. `verdict` is None where it has none; `error` then says why."""

    scenario: str
    seed: int | None
    exit_code: int
    wall_s: float
    folder: Path | None = None
    verdict: Verdict | None = None
    error: str = ""

    @property
    def passed(self) -> bool:
        return self.exit_code == EXIT_PASS


def ended_run(
    scenario: str, seed: int | None, exit_code: int, wall_s: float, folder: Path | None, error: str = ""
) -> EndedRun:
    """The run whose folder this is (None: it has none), with its verdict where one can be read."""
    verdict = None
    if folder is not None:
        try:
            verdict = Verdict.from_json(read_text(folder / "verdict.json"))
        except (OSError, ValueError) as unread:
            error = error or f"no verdict: {unread}"
    return EndedRun(scenario, seed, exit_code, wall_s, folder, verdict, error or (verdict.error if verdict else ""))
