"""The runner of one host in a process of its own, on a machine that was reached from afar, and the files of both ways.

Invariant: the process is free of its starter's threads, and dies with it; what the host wrote comes back as an archive,
and is removed here, however the two end.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack

import emulator
from emulator.model.errors import PlatformError

if TYPE_CHECKING:
    from emulator.runtime.cluster.machines import Task

LARGEST_BYTES = 256 << 20  # of the files that come back
EXCLUDED = ("runs", ".git", ".venv", "__pycache__")  # of the scenario's directory, which goes to all machines
MOST_BYTES = 100 << 20  # of it
SAID_CHARACTERS = 4000
PREPARED = b"."  # before the archive
FILES = "files"  # of the scenario's directory, within the process's folder


class RunnerProcess:
    """The process that will play the host of `task` (of `told`, packed), beside the files of the scenario's directory;
    it is about to reach the lead."""

    def __init__(self, task: bytes, files: bytes) -> None:
        from emulator.fabric.kernel.syscalls import die_with_parent

        folder = Path(tempfile.mkdtemp(prefix="skyloom-"))
        self._kept = _swept(folder)
        (folder / FILES).mkdir()
        if files:
            unpack(files, folder / FILES)
        (folder / "task").write_bytes(task)
        self._said = folder / "said"
        read_end, write_end = os.pipe()
        with open(folder / "task", "rb") as given, open(self._said, "wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__], stdin=given, stdout=write_end, stderr=said, cwd=folder,
                pass_fds=[self._kept], preexec_fn=lambda: die_with_parent(signal.SIGKILL),
            )  # fmt: skip
        os.close(write_end)
        self._output = open(read_end, "rb")  # noqa: SIM115 - as long as the process
        self._output.read(len(PREPARED))

    def wait(self) -> tuple[str, bytes]:
        """How it ended, in words, and an archive of what it wrote."""
        files = self._output.read()
        code = self._process.wait()
        said = self._said.read_text(errors="replace")[-SAID_CHARACTERS:]
        os.close(self._kept)
        last = said.strip().splitlines()[-1:] or ["it said nothing"]
        return f"the runner ended with status {code}: {last[0]}", files


def _swept(folder: Path) -> int:
    """A descriptor. When its last copy is closed, by whatever end of those who had one, the folder is removed.

    A process does that which is no child of this one, because Ray ends the children of actors.
    """
    read_end, write_end = os.pipe()
    wait = 'exec 3<&0; (cat <&3; for n in 1 2 3 4 5; do rm -rf "$1" && break; sleep 1; done) &'
    subprocess.run(
        ["sh", "-c", wait, "sh", str(folder)], stdin=read_end, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        check=True, start_new_session=True,
    )  # fmt: skip
    os.close(read_end)
    return write_end


def within_package(directory: str) -> str:
    """Where a bundled scenario's folder is below the installed packages, as on every machine; "" for any other."""
    root = Path(emulator.__file__).parents[1]
    path = Path(directory)
    return str(path.relative_to(root)) if path.is_relative_to(root / "scenarios") else ""


def told(task: Task, package: str) -> dict[str, Any]:
    """What the runner of a task has to be told, but for `host`, and the `address` at which other hosts reach it.
    `package`: of `within_package`."""
    from emulator.scenario.toml.writer import scenario_toml

    return {
        "scenario": scenario_toml(task.scenario), "package": package, "owner": task.owner.tobytes(),
        "run_id": task.run_id, "keys": task.keys is not None, "secret": task.secret, "lead": task.lead,
    }  # fmt: skip


def main() -> int:
    """Play the host whose task is on standard input."""
    import numpy as np

    from emulator.record.folder import RunFolder
    from emulator.runtime.cluster import runner
    from emulator.runtime.cluster.machines import Task
    from emulator.scenario import load
    from emulator.scenario.build import build_network

    given: dict[str, Any] = msgpack.unpackb(sys.stdin.buffer.read())
    archive = os.dup(1)
    os.dup2(2, 1)  # what programs print is no archive
    folder = Path.cwd()
    (folder / "scenario.toml").write_text(given["scenario"])
    root = Path(emulator.__file__).parents[1]
    directory = root / given["package"] if given["package"] else folder / FILES
    scenario = load(folder / "scenario.toml", [f"directory={str(directory)!r}"])
    run = RunFolder(folder / "run", given["run_id"])
    run.logs.mkdir(parents=True)
    keys = run.make_folder("keys") if given["keys"] else None
    task = Task(
        given["host"], scenario, build_network(scenario), np.frombuffer(given["owner"], np.uint8), run.path,
        given["run_id"], keys, given["secret"], tuple(given["lead"]),
    )  # fmt: skip
    os.write(archive, PREPARED)
    try:
        return runner.run(task, given["address"])
    finally:
        with open(archive, "wb") as end:
            end.write(packed(run.path))


def packed_directory(directory: str) -> bytes:
    """The files of a scenario's directory, for all machines. PlatformError where they are too large."""
    return packed(Path(directory), EXCLUDED, MOST_BYTES)


def packed(folder: Path, excluded: Container[str] = (), most_bytes: int = LARGEST_BYTES) -> bytes:
    """The folder's files as an archive. PlatformError where they are too large."""
    buffer, size = io.BytesIO(), 0
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for parent, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if name not in excluded)
            for path in (Path(parent, name) for name in sorted(names)):
                if path.is_file():
                    size += path.stat().st_size
                    if size > most_bytes:
                        raise PlatformError(
                            f"{folder} has more than {most_bytes >> 20} MiB; expected less, for all machines"
                        )
                    archive.add(path, str(path.relative_to(folder)), recursive=False)
    return buffer.getvalue()


def unpack(files: bytes, folder: Path) -> None:
    """Undo `packed`. OSError, tarfile.TarError."""
    with tarfile.open(fileobj=io.BytesIO(files)) as archive:
        archive.extractall(folder, filter="data")


if __name__ == "__main__":
    sys.exit(main())
