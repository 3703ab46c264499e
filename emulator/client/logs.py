"""The output of the programs of a live or finished run, read from the run folder.

Invariant: a log is followed until its run has ended, and everything written before the end is shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emulator.client.watch import live_runs
from emulator.model.errors import UsageError
from emulator.record.log_tail import LogTail

PERIOD_S = 0.1
READ_BYTES = 1 << 16
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
        there = folder.iterdir() if folder.is_dir() else ()  # a sweep has none
        names = sorted({path.stem if path.is_file() else path.name for path in there} - {"_skyloom"})
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
    tails = [LogTail(log.path) for log in logs]
    labels = [b"" if len(logs) == 1 else f"{log.label}: ".encode() for log in logs]
    while True:
        live = follow and is_live(run)  # checked before the last reading, so that no line is missed
        for log, tail, label in zip(logs, tails, labels, strict=True):
            for line in _new_lines(tail, log.path, last=not live):
                yield label + line + b"\n"
        if not live:
            return
        time.sleep(PERIOD_S)


def _new_lines(tail: LogTail, path: Path, last: bool) -> Iterator[bytes]:
    """Lines that were written up to now since the last call; with `last` also one that has no end."""
    end = path.stat().st_size  # a program that never stops printing must not hold us
    while (begin := tail.offset) < end:
        yield from tail.read(min(READ_BYTES, end - begin))
        if tail.offset == begin:  # the log is shorter than it was
            break
    if last and tail.rest:
        yield tail.rest
