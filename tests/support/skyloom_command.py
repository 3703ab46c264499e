"""The command `skyloom` in a process of its own, as users start it."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from emulator.model.errors import EXIT_LATE

SKYLOOM = [sys.executable, "-m", "emulator.cli"]


def skyloom(
    *words: str | Path, timeout_s: float = 100, memory_bytes: int | None = None
) -> subprocess.CompletedProcess[str]:
    """The command when it has ended: its exit code and what it wrote. Its limit comes before that of the test.

    `memory_bytes` bounds its address space. It is forked from a server that has its imports (skyloom_server.py);
    `SKYLOOM` starts it from nothing.
    """
    arguments = [str(word) for word in words]
    request = {
        "words": arguments,
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
        "memory_bytes": memory_bytes,
    }
    server = _server()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        socket.send_fds(server, [json.dumps(request).encode()], [out.fileno(), err.fileno()])
        pid = int(server.recv(100))
        try:
            server.settimeout(timeout_s)
            code = server.recv(100)
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            server.settimeout(None)
            server.recv(100)
            raise
        finally:
            server.settimeout(None)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, int(code), out.read().decode(), err.read().decode())


def skyloom_in_time(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command; again, at most three times, while its run says itself that it was late, and so is no evidence."""
    for _ in range(3):
        done = skyloom(*words)
        if done.returncode != EXIT_LATE:
            break
    return done


@cache
def _server() -> socket.socket:
    """Our end of a server's socket. The server ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, str(Path(__file__).with_name("skyloom_server.py")), str(theirs.fileno())]
    with theirs:
        server = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours
