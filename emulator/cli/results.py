"""The files that `skyloom run` writes for continuous integration: JUnit XML, and Markdown that is appended.

Invariant: a file that was asked for can be written before the run begins, and is written whatever the run came to,
also where it was refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.record.sweep import Sweep
    from emulator.report.ci.ended import EndedRun


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """Where they go; None: not asked for."""

    junit: Path | None
    summary: Path | None

    @property
    def asked(self) -> bool:
        """Whether there is any."""
        return self.junit is not None or self.summary is not None

    def check(self) -> None:
        """Empty the JUnit file, so that a run that is killed leaves no results of an earlier one. UsageError where a
        file cannot be written there."""
        from emulator.model.errors import UsageError

        for option, path, mode in (("--junit", self.junit, "wb"), ("--summary", self.summary, "ab")):
            if path is None:
                continue
            try:
                path.open(mode).close()
            except OSError as error:
                raise UsageError(f"{option} {path}: {error.strerror}; expected a file that can be written") from None

    def write(self, runs: Sequence[EndedRun], repeated: Sweep | None = None) -> None:
        """Write them. DataError where the disk refuses."""
        from emulator.model.errors import DataError

        try:
            if self.junit is not None:
                from datetime import UTC, datetime

                from emulator.report.ci.junit import junit

                self.junit.write_text(junit(runs, datetime.now(UTC)), "utf-8")
            if self.summary is not None:
                from emulator.report.ci.markdown import markdown

                with open(self.summary, "a", encoding="utf-8") as file:
                    file.write(markdown(runs, repeated) + "\n")
        except OSError as error:
            raise DataError(f"{error.filename}: {error.strerror}; name another file") from None

    @contextmanager
    def telling_refusals(self, scenario: str) -> Iterator[None]:
        """While in this block, an error that ends the command before there is a verdict is told in the files, too."""
        from emulator.model.errors import SkyloomError

        began_s = time.monotonic()
        try:
            yield
        except SkyloomError as error:
            if self.asked:
                from emulator.report.ci.ended import EndedRun

                wall_s = time.monotonic() - began_s
                self.write([EndedRun(scenario, None, error.exit_code, wall_s, error=str(error))])
            raise
