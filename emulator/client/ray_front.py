"""The front of a run that a machine of a Ray cluster leads: a process here, beside the command that started the run.

    skyloom run ── front ─ ─ Ray Client ─ ─ actor there (ray_lead.py) ── run
    other terminals ──┘

Invariant: the front stands for the sandbox that a run here would have: it ends with the command, unless it was
detached, and before it ends the run folder is here. While it lives it asks the actor for news at least each 250 ms.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgpack

from emulator.client.ray_lead import SILENT_S, Lead
from emulator.client.run_handle import RunHandle
from emulator.fabric import sandbox
from emulator.fabric.kernel import syscalls
from emulator.model.errors import EXIT_PLATFORM, PlatformError, SkyloomError
from emulator.runtime.cluster.archives import PIECE_BYTES, unpack
from emulator.runtime.cluster.carried import NearEnds
from emulator.runtime.cluster.ray_joining import actors_on, answers, first_line, join, machines_of, name_of
from emulator.runtime.cluster.runner_process import packed_directory, within_package
from emulator.runtime.cluster.versions import skew, versions
from emulator.runtime.control.channel import Channel
from emulator.runtime.control.encoding import BadMessage
from emulator.runtime.control.messages import Refused, RunEnded, Started
from emulator.runtime.control.remote import Connection, Frame, Kind
from emulator.runtime.supervisor import live
from emulator.scenario.toml.writer import scenario_toml

if TYPE_CHECKING:
    from emulator.record.folder import RunFolder
    from emulator.scenario import Scenario

ANSWER_S = 10.0  # for one call
CALLS = 2  # that are under way at a time


def launch_from_outside(
    scenario: Scenario, folder: RunFolder, address: str, hosts: int | None, capture: Sequence[str] = ()
) -> RunHandle:
    """Have the run led by a machine of the Ray cluster at `address` ("ray://host:port"). Raises what `launch` raises
    there, PlatformError where the cluster cannot be joined."""
    task = {
        "scenario": scenario_toml(scenario), "package": within_package(scenario.directory), "argv": sys.argv,
        "run_id": folder.run_id, "folder": folder.path.name, "hosts": hosts,
        "capture": list(capture),
    }  # fmt: skip
    files = b"" if task["package"] else packed_directory(scenario.directory)
    listener = live.listen(folder.run_id)
    ours, theirs = Channel.pair()
    read_end, write_end = os.pipe()
    caller = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        ours.close()
        _begin(caller)
        front = _Front(address, folder, theirs, listener, write_end)
        front.run(task, files)
        os._exit(0)
    os.close(write_end)
    theirs.close()
    listener.close()
    with open(read_end, "rb") as pipe:
        trouble = pipe.read()
    if trouble:
        os.waitpid(pid, 0)
        ours.close()
        text, code = msgpack.unpackb(trouble)
        error = SkyloomError(text)
        error.exit_code = code
        raise error
    return RunHandle(pid, ours, folder)


def _begin(caller: int) -> None:
    """Be what a sandbox's watcher is to its caller: it dies with the caller, and lets go of it when asked to."""
    syscalls.die_with_parent(signal.SIGKILL)
    if os.getppid() != caller:
        os._exit(128 + signal.SIGKILL)

    def let_go(*_: object) -> None:
        syscalls.die_with_parent(0)
        os.kill(caller, sandbox.DETACH)

    signal.signal(sandbox.DETACH, let_go)
    os.setsid()  # a terminal's Ctrl-C is for the command, which passes it on
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nowhere, fd)


class _Front:
    """The process. `command`: the channel to the command, `trouble`: a pipe for what keeps the run from beginning."""

    def __init__(
        self, address: str, folder: RunFolder, command: Channel, listener: socket.socket, trouble: int
    ) -> None:
        self._address, self._folder = address, folder
        self._command, self._listener = command, listener
        self._trouble = trouble
        self._lost = ""  # why nothing more comes
        self._whole = False  # the archive of the run folder is

    def run(self, task: dict[str, Any], files: bytes) -> None:
        try:
            ray = join(self._address)
            self._lead(ray, task, files)
            ray.shutdown()
        except SkyloomError as error:
            self._refuse(str(error), error.exit_code)
        except Exception as error:
            self._refuse(f"{self._address}: {first_line(error)}", EXIT_PLATFORM)

    def _lead(self, ray: Any, task: dict[str, Any], files: bytes) -> None:
        node = machines_of(ray)[0]
        self._machine = name_of(node)
        (lead,) = actors_on(ray, Lead, [node], idle=True, calls=CALLS + 1)
        (theirs,) = answers(ray, [lead.versions.remote()])
        if difference := skew(versions(), theirs):
            raise PlatformError(f"{self._machine}: {difference}")
        (self._kept,) = answers(ray, [lead.start.remote(msgpack.packb(task), ray.put(files))])
        end, ours = socket.socketpair()
        calls = [
            threading.Thread(target=self._calling, args=(ours, call), daemon=True)
            for call in (lambda: self._pull(ray, lead, ours), lambda: self._push(ray, lead, ours))
        ]
        for call in calls:
            call.start()
        asyncio.run(self._serve(Connection(end)))
        if self._lost:
            os._exit(EXIT_PLATFORM)  # Ray might wait for whom we have lost
        end.close()
        for call in calls:
            call.join(ANSWER_S)
        ray.kill(lead)

    # -- the calls, each in a thread -----------------------------------------------------------------------------------

    def _calling(self, ours: socket.socket, call: Callable[[], None]) -> None:
        try:
            call()
        except OSError:  # the loop has ended
            pass
        except Exception as error:
            self._lost = self._lost or first_line(error)
        with suppress(OSError):
            ours.shutdown(socket.SHUT_RDWR)

    def _pull(self, ray: Any, lead: Any, ours: socket.socket) -> None:
        while (data := ray.get(lead.pull.remote(), timeout=ANSWER_S)) is not None:
            ours.sendall(data)
        if not self._whole:
            self._lost = f"its process {ray.get(lead.how.remote(), timeout=ANSWER_S)}"

    def _push(self, ray: Any, lead: Any, ours: socket.socket) -> None:
        while data := ours.recv(PIECE_BYTES):
            ray.get(lead.push.remote(data), timeout=ANSWER_S)

    # -- the event loop ------------------------------------------------------------------------------------------------

    async def _serve(self, connection: Connection) -> None:
        """Carry connections until the run folder has come, or nothing more comes; then tell the command the end."""
        self._connection = connection
        self._came, self._closed = asyncio.Event(), asyncio.Event()
        self._ends = NearEnds(connection, self._command, self._listener)
        with tempfile.TemporaryFile(dir=self._folder.path) as self._archive:
            connection.attach(self._heard)
            await self._came.wait()
            await asyncio.to_thread(self._unpack)
        if not self._lost:
            connection.send(Kind.FOLDER, 0, b"")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), ANSWER_S)
        connection.detach()
        await self._ends.conclude(self._end())

    def _heard(self) -> None:
        while not self._closed.is_set():
            try:
                frame = self._connection.receive()
                if frame is not None:
                    self._take(frame)
            except BlockingIOError:
                return
            except (OSError, BadMessage) as error:
                self._lost, frame = str(error), None
            if frame is None:
                self._lost = self._lost or ("" if self._whole else "the connection has ended")
                self._closed.set()
                self._came.set()

    def _take(self, frame: Frame) -> None:
        """BadMessage; OSError where the disk is full."""
        if frame.kind is Kind.FOLDER and frame.data:
            self._archive.write(frame.data)
        elif frame.kind is Kind.FOLDER:
            self._whole = True
            self._came.set()
        elif frame.kind is not Kind.MESSAGE:
            self._ends.take(frame)
        elif isinstance(message := frame.message((Started, Refused)), Refused):
            self._refuse(message.text, message.exit_code)
            raise BadMessage(message.text)
        else:
            self._begun()

    def _unpack(self) -> None:
        try:
            if self._whole:
                self._archive.seek(0)
                unpack(self._archive, self._folder.path)
        except (OSError, tarfile.TarError) as error:
            self._lost = f"its folder cannot be written here: {error}"
        self._folder.close()

    def _end(self) -> RunEnded:
        """What the command is told last."""
        if not self._lost and self._ends.end is not None:
            return self._ends.end
        return RunEnded(
            EXIT_PLATFORM,
            f"{self._machine}, which leads the run: {self._lost}; without this command it ends there within "
            f"{SILENT_S:g} s, and leaves its folder at {self._kept}",
        )

    # -- the command ---------------------------------------------------------------------------------------------------

    def _begun(self) -> None:
        """The command may go on."""
        if self._trouble >= 0:
            os.close(self._trouble)
        self._trouble = -1

    def _refuse(self, text: str, code: int) -> None:
        """The run has not begun, for this reason."""
        if self._trouble >= 0:
            os.write(self._trouble, msgpack.packb((text, code)))
        self._begun()
