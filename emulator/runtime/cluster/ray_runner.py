"""What a Ray actor does on its machine: it starts the process that plays one host.

Invariant: nothing of a run is in the actor itself, so that Ray's threads are in no process of the run.
"""

from __future__ import annotations

from emulator.runtime.cluster.runner_process import RunnerProcess


class Runner:
    """The actor."""

    def ready(self) -> bool:
        """Whether it is there."""
        return True

    def prepare(self, task: bytes, files: bytes) -> None:
        """Start the process, and wait until it is about to reach the lead."""
        self._process = RunnerProcess(task, files)

    def play(self) -> None:
        """Wait for the end of its host."""
        self._process.played()

    def piece(self) -> bytes:
        """The next of the archive of what the host wrote; b"": that was all."""
        return self._process.piece()

    def how(self) -> str:
        """How the process ended, in words."""
        return self._process.how()
