"""`subprocess.Popen` for a command that another process starts: pipes here, the command there.

Invariant: the far side gets plain descriptors for stdin, stdout and stderr, and this side closes its copies at once, so
reading ends when the command (and what it left behind) has closed them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from threading import Thread
from typing import IO, Any, Protocol


class Handle(Protocol):
    """A command that runs elsewhere."""

    def wait(self, timeout: float | None = None) -> int: ...
    def poll(self) -> int | None: ...
    def send_signal(self, signum: int) -> None: ...


Execute = Callable[[str, Sequence[str], int, int, int], Handle]  # node, argv, stdin, stdout, stderr


class RemotePopen:
    """The part of `subprocess.Popen` that Mininet and its users call."""

    def __init__(self, execute: Execute, node: str, argv: Sequence[str], **options: Any) -> None:
        streams = (options.get("stdin"), options.get("stdout"), options.get("stderr"))
        text = bool(options.get("text") or options.get("universal_newlines") or options.get("encoding"))
        self.args = list(argv)
        self.pid: int | None = None
        theirs: list[int] = []
        ours: list[IO[Any] | None] = []
        close: list[int] = []
        for number, stream in enumerate(streams):
            if stream == subprocess.PIPE:
                read, write = os.pipe()
                far, near = (read, write) if number == 0 else (write, read)
                ours.append(os.fdopen(near, ("w" if number == 0 else "r") + ("" if text else "b")))
                close.append(far)
            else:
                far = self._given(number, stream, theirs, close)
                ours.append(None)
            theirs.append(far)
        self.stdin, self.stdout, self.stderr = ours
        try:
            self._handle = execute(node, self.args, theirs[0], theirs[1], theirs[2])
        finally:
            for fd in close:
                os.close(fd)
        self.pid = getattr(self._handle, "pid", None)

    @staticmethod
    def _given(number: int, stream: Any, theirs: list[int], close: list[int]) -> int:
        if stream is None:
            return number
        if stream == subprocess.STDOUT:
            return theirs[1]
        if stream == subprocess.DEVNULL:
            close.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
            return close[-1]
        return stream if isinstance(stream, int) else int(stream.fileno())

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        return self._handle.poll()

    def wait(self, timeout: float | None = None) -> int:
        return self._handle.wait(timeout)

    def send_signal(self, signum: int) -> None:
        self._handle.send_signal(signum)

    def terminate(self) -> None:
        self.send_signal(15)

    def kill(self) -> None:
        self.send_signal(9)

    def communicate(self, input: Any = None, timeout: float | None = None) -> tuple[Any, Any]:
        """Send `input`, read everything, wait. `timeout` bounds the waiting at the end only."""
        out: dict[str, Any] = {"stdout": None, "stderr": None}

        def read(name: str, stream: IO[Any]) -> None:
            out[name] = stream.read()
            stream.close()

        readers = [
            Thread(target=read, args=(name, stream), daemon=True)
            for name, stream in (("stdout", self.stdout), ("stderr", self.stderr))
            if stream
        ]
        for reader in readers:
            reader.start()
        if self.stdin:
            try:
                if input:
                    self.stdin.write(input)
                self.stdin.close()
            except BrokenPipeError:  # it did not want to read all
                pass
        for reader in readers:
            reader.join()
        self.wait(timeout)
        return out["stdout"], out["stderr"]


def popen_through(execute: Execute) -> Callable[..., RemotePopen]:
    """A `NodePopen` for the Mininet door, from a function that starts a command in a node of a live run."""

    def popen(node: str, argv: Sequence[str], /, **options: Any) -> RemotePopen:
        return RemotePopen(execute, node, argv, **options)

    return popen
