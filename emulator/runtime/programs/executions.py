"""The commands of `exec` actions: each runs once on a node, and its status and output go on record.

Invariant: every command ends in one "exec-ended" event; output beyond KEPT_BYTES is cut, and said to be.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from emulator.record.verdict import Outcome
from emulator.runtime.programs.processes import Process

EVENT_BYTES = 2_000  # of the output that the event has: its end
WORDS_COLUMNS = 60
KEPT_BYTES = 1 << 20  # of the output that the node's log gets: its begin

Spawn = Callable[[str, int, Sequence[str], int], Process]
Emit = Callable[[str, dict[str, Any]], None]


@dataclass(slots=True)
class Execution:
    """One command on one node. `expect`: the status that the scenario asks for, "exit N"; "" where it asks for none."""

    node: str
    command: tuple[str, ...]
    expect: str
    output: IO[bytes]
    ended: str = "was still running at the end"  # how it ended, in words
    status: int | None = None

    @property
    def words(self) -> str:
        return words(self.command)


def words(command: Sequence[str]) -> str:
    """A command as one would type it, cut at WORDS_COLUMNS."""
    text = shlex.join(command)
    return text if len(text) <= WORDS_COLUMNS else f"{text[: WORDS_COLUMNS - 1]}…"


class Executions:
    """All commands of one run. `spawn(node, index, command, output)` starts one whose output goes to a descriptor."""

    def __init__(self, logs: Path, spawn: Spawn, emit: Emit) -> None:
        self._logs = logs
        self._spawn = spawn
        self._emit = emit
        self._running: dict[int, Execution] = {}  # by number of their process
        self._all: list[Execution] = []

    def start(self, node: str, index: int, command: Sequence[str], expect: str = "") -> None:
        """Run a command on a node, number `index` of those that it runs on."""
        output = tempfile.TemporaryFile(dir=self._logs)  # noqa: SIM115 - closed by `ended`
        execution = Execution(node, tuple(command), expect, output)
        self._running[self._spawn(node, index, command, output.fileno()).number] = execution
        self._all.append(execution)

    def ended(self, process: Process) -> None:
        """A process has ended; it may be one of these."""
        execution = self._running.pop(process.number, None)
        if execution is None:
            return
        if not process.asked_to_end:
            execution.status, execution.ended = process.status, process.describe_end()
        with execution.output as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            begin = file.read(KEPT_BYTES)
            file.seek(max(0, size - EVENT_BYTES))
            end = file.read(EVENT_BYTES)
        with suppress(OSError), open(self._logs / f"{execution.node}.txt", "ab") as log:  # a full disk
            log.write(begin)
            if size > KEPT_BYTES:
                log.write(f"\n[{size - KEPT_BYTES} more bytes of `{execution.words}` are not kept]\n".encode())
        fields = {"node": execution.node, "command": list(execution.command), "status": process.status}
        self._emit("exec-ended", {**fields, "output": end.decode("utf-8", "replace")})

    def outcomes(self) -> list[Outcome]:
        """One expectation a command that has one, over all nodes and times."""
        outcomes = []
        for command, expect in dict.fromkeys((each.words, each.expect) for each in self._all if each.expect):
            every = [each for each in self._all if (each.words, each.expect) == (command, expect)]
            wrong = [f"{each.node}: {each.ended}" for each in every if expect != f"exit {each.status}"]
            observed = f"{len(every) - len(wrong)} of {len(every)}"
            outcomes.append(Outcome(f"exec {command}", expect, observed, not wrong, "; ".join(wrong[:3])))
        return outcomes

    def warnings(self) -> list[str]:
        """Commands that failed though nothing was expected of them."""
        failed = [each for each in self._all if not each.expect and each.status]
        if not failed:
            return []
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return [f"exec `{failed[0].words}` on {failed[0].node} {failed[0].ended}{more}"]
