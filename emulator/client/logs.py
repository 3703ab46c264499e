"""The output of the programs of a live or finished run, read from the run folder.

Invariant: a log is followed until its run has ended, and everything written before the end is shown.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emulator.client.watch import live_runs
from emulator.model.errors import UsageError

PERIOD_S = 0.1
READ_BYTES = 1 << 16
LINE_BYTES = 1 << 20  # a longer line is shown in pieces
OWN = "node"  # label of the log of a node's Python programs and `exec` actions


@dataclass(frozen=True, slots=True)
class Log:
    """One log: `label` is the program's name, or OWN."""

    label: str
    path: Path


def logs_of(run: Path, node: str, program: str | None = None) -> list[Log]:
    """The logs of a node, or of one program on it. UsageError, with the existing names, if there is none."""
    folder = run / "logs"
    own = [Log(OWN, folder / f"{node}.txt")] if (folder / f"{node}.txt").is_file() else []
    every = own + [Log(path.stem, path) for path in sorted((folder / node).glob("*.txt"))]
    if not every:
        names = sorted({path.stem if path.is_file() else path.name for path in folder.iterdir()} - {"_skyloom"})
        raise UsageError(f"no log of {node!r} in {folder}; nodes with logs: {', '.join(names[:20]) or 'none'}")
    chosen = [log for log in every if program in (None, log.label)]
    if not chosen:
        labels = ", ".join(log.label for log in every)
        raise UsageError(f"no log of a program {program!r} on {node}; there are logs of {labels}")
    return chosen


def is_live(run: Path) -> bool:
    """Whether a run of this user is live in that folder."""
    return any(run.name.endswith(f"-{run_id}") for run_id in live_runs())


def lines(run: Path, logs: list[Log], follow: bool) -> Iterator[bytes]:
    """The lines of the logs, each with its log's label if there are several; with `follow` until the run ends."""
    tails = [_Tail(log, b"" if len(logs) == 1 else f"{log.label}: ".encode()) for log in logs]
    while True:
        live = follow and is_live(run)  # checked before the last reading, so that no line is missed
        for tail in tails:
            yield from tail.new(last=not live)
        if not live:
            return
        time.sleep(PERIOD_S)


class _Tail:
    """Reads the unread part of a log, in whole lines."""

    def __init__(self, log: Log, label: bytes) -> None:
        self._path, self._label = log.path, label
        self._offset = 0
        self._rest = b""

    def new(self, last: bool) -> Iterator[bytes]:
        """Lines written since the last call; with `last` also one that has no end."""
        end = os.stat(self._path).st_size  # noqa: PTH116 - a program that never stops printing must not hold us
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            while self._offset < end and (data := file.read(min(READ_BYTES, end - self._offset))):
                self._offset += len(data)
                *whole, self._rest = (self._rest + data).split(b"\n")
                if len(self._rest) > LINE_BYTES:
                    whole, self._rest = [*whole, self._rest], b""
                for line in whole:
                    yield self._label + line + b"\n"
        if last and self._rest:
            yield self._label + self._rest + b"\n"
            self._rest = b""
