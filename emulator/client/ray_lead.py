"""The lead of a run that was started from outside of its Ray cluster: an actor on a machine of the cluster.

    front (ray_front.py) ─ ─ Ray ─ ─ actor ── process (ray_led.py) ── sandbox of the run

Invariant: a front that asks for nothing for SILENT_S has gone: the stream to the process is closed, and the actor ends
with the process.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import tempfile
import threading
import time
from pathlib import Path

import msgpack

from emulator.model.errors import PlatformError
from emulator.runtime.cluster.archives import PIECE_BYTES
from emulator.runtime.cluster.far_process import FarProcess
from emulator.runtime.cluster.versions import versions

SILENT_S = 4.0
POLL_S = 0.25
LOOK_S = 0.1
PROCESS = "emulator.client.ray_led"


class Lead:
    """The actor. `push` and `pull` are called from two threads of the front, each one call at a time."""

    def ready(self) -> bool:
        """Whether it is there."""
        return True

    def versions(self) -> dict[str, str]:
        """What this machine runs."""
        return versions()

    def start(self, task: bytes, files: bytes) -> str:
        """Start the process; returns in which folder the run is here."""
        import ray

        self._end, theirs = socket.socketpair()
        kept = kept_runs()
        given = msgpack.unpackb(task) | {
            "tunnel": theirs.fileno(), "kept": str(kept), "cluster": ray.get_runtime_context().gcs_address
        }  # fmt: skip
        with open(os.devnull, "wb") as nowhere:
            self._process = FarProcess(PROCESS, msgpack.packb(given), files, nowhere.fileno(), [theirs.fileno()])
        theirs.close()
        self._asked_s = time.monotonic()
        threading.Thread(target=self._watch, daemon=True).start()
        return str(kept / given["folder"])

    def push(self, data: bytes) -> None:
        """Bytes for the process."""
        self._end.sendall(data)

    def pull(self) -> bytes | None:
        """What the process has said, at most PIECE_BYTES; b"" where it says nothing for POLL_S, None where it ended."""
        self._asked_s = time.monotonic()
        if not select.select([self._end], [], [], POLL_S)[0]:
            return b""
        return self._end.recv(PIECE_BYTES) or None

    def how(self) -> str:
        """How the process has ended, in words."""
        return self._process.wait()

    def _watch(self) -> None:
        while time.monotonic() - self._asked_s < SILENT_S:
            time.sleep(LOOK_S)
        self._end.shutdown(socket.SHUT_RDWR)
        self._process.wait()
        os._exit(0)


def kept_runs() -> Path:
    """Where this user's runs are while they are led from here, and after, where nobody has fetched them."""
    folder = Path(tempfile.gettempdir(), f"skyloom-runs-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PlatformError(f"{folder} is not a folder of this user; remove it")
    return folder
