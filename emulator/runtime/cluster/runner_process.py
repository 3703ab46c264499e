"""The runner of one host in a process of its own, on a machine that was reached from afar, and the files of both ways.

Invariant: what the host wrote comes back as an archive, in pieces and without a limit, and is removed here, however it
ends.
"""

from __future__ import annotations

import fcntl
import io
import os
import select
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack

import emulator
from emulator.model.errors import PlatformError
from emulator.runtime.cluster.archives import PIECE_BYTES, files, pack
from emulator.runtime.cluster.far_process import FILES, FarProcess

if TYPE_CHECKING:
    from emulator.runtime.cluster.machines import Task
    from emulator.scenario import Scenario

LARGEST_BYTES = 256 << 20  # of a whole archive between lead and pod
EXCLUDED = ("runs", ".git", ".venv", "__pycache__")  # of the scenario's directory, which goes to all machines
MOST_BYTES = 100 << 20  # of it
PREPARED = b"."  # before the archive


class RunnerProcess:
    """The process that will play the host of `task` (of `told`, packed), beside the files of the scenario's directory;
    it is about to reach the lead."""

    def __init__(self, task: bytes, files: bytes) -> None:
        read_end, write_end = os.pipe()
        with suppress(OSError):  # a user may have no more room for pipes; pieces are smaller then
            fcntl.fcntl(read_end, fcntl.F_SETPIPE_SZ, PIECE_BYTES)
        self._process = FarProcess(__name__, task, files, write_end)
        os.close(write_end)
        self._output = read_end
        os.read(self._output, len(PREPARED))

    def played(self) -> None:
        """Wait until the host has ended."""
        select.select([self._output], [], [])

    def piece(self) -> bytes:
        """The next of the archive of what the host wrote, at most PIECE_BYTES; b"": that was all."""
        return os.read(self._output, PIECE_BYTES)

    def wait(self) -> tuple[str, bytes]:
        """How it ended, in words, and the whole archive."""
        archive = b"".join(iter(self.piece, b""))
        return self.how(), archive

    def how(self) -> str:
        """How the process ended, in words, once it has."""
        return f"the runner {self._process.wait()}"


def within_package(directory: str) -> str:
    """Where a bundled scenario's folder is below the installed packages, as on every machine; "" for any other."""
    root = Path(emulator.__file__).parents[1]
    path = Path(directory)
    return str(path.relative_to(root)) if path.is_relative_to(root / "scenarios") else ""


def scenario_in(folder: Path, given: dict[str, Any]) -> Scenario:
    """The scenario that a process in this folder was given: its text, and where its files are. What loading raises."""
    from emulator.scenario import load

    (folder / "scenario.toml").write_text(given["scenario"])
    root = Path(emulator.__file__).parents[1]
    directory = root / given["package"] if given["package"] else folder / FILES
    return load(folder / "scenario.toml", [f"directory={str(directory)!r}"])


def told(task: Task, package: str) -> dict[str, Any]:
    """What the runner of a task has to be told, but for `host`, and the `address` at which other hosts reach it.
    `package`: of `within_package`."""
    from emulator.scenario.toml.writer import scenario_toml

    return {
        "scenario": scenario_toml(task.scenario), "package": package, "owner": task.owner.tobytes(),
        "run_id": task.run_id, "keys": task.keys is not None, "secret": task.secret,
        "identity": task.identity, "lead": task.lead,
    }  # fmt: skip


def main() -> int:
    """Play the host whose task is on standard input."""
    import numpy as np

    from emulator.record.folder import RunFolder
    from emulator.runtime.cluster import runner
    from emulator.runtime.cluster.machines import Task
    from emulator.scenario.build import build_network

    given: dict[str, Any] = msgpack.unpackb(sys.stdin.buffer.read())
    archive = os.dup(1)
    os.dup2(2, 1)  # what programs print is no archive
    folder = Path.cwd()
    scenario = scenario_in(folder, given)
    run = RunFolder(folder / "run", given["run_id"])
    run.logs.mkdir(parents=True)
    keys = run.make_folder("keys") if given["keys"] else None
    task = Task(
        given["host"], scenario, build_network(scenario), np.frombuffer(given["owner"], np.uint8), run.path,
        given["run_id"], keys, given["secret"], given["identity"], tuple(given["lead"]),
    )  # fmt: skip
    os.write(archive, PREPARED)
    try:
        return runner.run(task, given["address"])
    finally:
        with open(archive, "wb") as end:
            pack(run.path, end)


def packed_directory(directory: str, most_bytes: int = MOST_BYTES) -> bytes:
    """The files of a scenario's directory, for all machines, as an archive. PlatformError where they are too large."""
    folder = Path(directory)
    if sum(path.stat().st_size for path in files(folder, EXCLUDED)) > most_bytes:
        raise PlatformError(f"{folder} has more than {most_bytes >> 20} MiB; expected less, for all machines")
    buffer = io.BytesIO()
    pack(folder, buffer, EXCLUDED)
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
