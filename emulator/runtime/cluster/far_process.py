"""A process of a run on a machine that was reached from afar, beside the files of the scenario's directory.

Invariant: the process is free of its starter's threads, and dies with it; its folder is removed once both have ended,
however they end.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from emulator.runtime.cluster.archives import unpack

FILES = "files"  # of the scenario's directory, within the process's folder
SAID_CHARACTERS = 4000


class FarProcess:
    """`python -m module` in a folder of its own, with `task` on its standard input, and the archive `files` unpacked
    beside it. `output` is its standard output; it keeps `fds`, too. The caller closes them."""

    def __init__(self, module: str, task: bytes, files: bytes, output: int, fds: Collection[int] = ()) -> None:
        from emulator.fabric.kernel.syscalls import die_with_parent

        folder = Path(tempfile.mkdtemp(prefix="skyloom-"))
        self._kept = _swept(folder)
        (folder / FILES).mkdir()
        if files:
            unpack(io.BytesIO(files), folder / FILES)
        (folder / "task").write_bytes(task)
        self._said = folder / "said"
        with open(folder / "task", "rb") as given, open(self._said, "wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module], stdin=given, stdout=output, stderr=said, cwd=folder,
                pass_fds=[self._kept, *fds], preexec_fn=lambda: die_with_parent(signal.SIGKILL),
            )  # fmt: skip

    def wait(self) -> str:
        """How it ended, in words: its exit status, and the last that it said."""
        code = self._process.wait()
        said = self._said.read_text(errors="replace")[-SAID_CHARACTERS:]
        if self._kept >= 0:
            os.close(self._kept)
        self._kept = -1
        last = said.strip().splitlines()[-1:] or ["it said nothing"]
        return f"ended with status {code}: {last[0]}"


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
