"""The process in which a run from outside of a Ray cluster is launched on a machine of it, as by `skyloom run` there.

Invariant: where its stream ends before the front has the run folder, the run ends gracefully and the folder stays;
what the front has got is removed here.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack

from emulator.client.launcher import launch
from emulator.client.run_handle import RunHandle
from emulator.model.errors import PlatformError, SkyloomError
from emulator.record.folder import RunFolder
from emulator.runtime.cluster.archives import PIECE_BYTES, pack
from emulator.runtime.cluster.carried import COMMAND, FarEnds
from emulator.runtime.cluster.runner_process import scenario_in
from emulator.runtime.control.encoding import BadMessage, encode
from emulator.runtime.control.messages import Refused, Started, Stop
from emulator.runtime.control.remote import Connection, Kind

LAST_WORDS_S = 5.0
GOT_S = 60.0  # for the front to say that it has the folder


def main() -> int:
    """Launch the run whose task is on standard input, and carry its connections."""
    given: dict[str, Any] = msgpack.unpackb(sys.stdin.buffer.read())
    connection = Connection(socket.socket(fileno=given["tunnel"]))
    sys.argv = given["argv"]  # for the run folder: what the user has typed
    try:
        scenario = scenario_in(Path.cwd(), given)
        folder = RunFolder(Path(given["kept"], given["folder"]), given["run_id"])
        folder.logs.mkdir(parents=True)
        handle = launch(
            scenario, folder, capture=given["capture"], hosts=given["hosts"], cluster=given["cluster"]
        )  # fmt: skip
    except SkyloomError as error:
        connection.say(Refused(str(error)[:8000], error.exit_code))
        connection.drain(LAST_WORDS_S)
        return error.exit_code
    connection.say(Started())
    asyncio.run(_Led(connection, handle).serve())
    return 0


class _Led:
    """The run, and the stream of its front."""

    def __init__(self, connection: Connection, handle: RunHandle) -> None:
        self._connection = connection
        self._handle = handle
        self._gone = False  # the front has
        self._got = asyncio.Event()  # the run folder

    async def serve(self) -> None:
        """Carry connections until the run has ended, and its folder to the front."""
        handle, connection = self._handle, self._connection
        self._ends = FarEnds(connection, handle.channel, handle.folder.run_id)
        connection.attach(self._heard)
        await self._ends.over.wait()
        await asyncio.to_thread(os.waitpid, handle.pid, 0)
        if self._gone:
            return
        try:
            await self._send_folder()
        except OSError as error:
            connection.say(Refused(f"its folder cannot be read: {error}", PlatformError.exit_code))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._got.wait(), GOT_S)
        if not self._gone and self._got.is_set():
            shutil.rmtree(handle.folder.path, ignore_errors=True)

    def _heard(self) -> None:
        while not self._gone:
            try:
                frame = self._connection.receive()
            except BlockingIOError:
                return
            except BadMessage:
                frame = None
            if frame is None:
                self._gone = True
                self._connection.detach()
                self._ends.put(COMMAND, encode(Stop()))
                self._got.set()
            elif frame.kind is Kind.FOLDER:
                self._got.set()
            else:
                self._ends.take(frame)

    async def _send_folder(self) -> None:
        """OSError."""
        read_end, write_end = os.pipe()
        packing = asyncio.ensure_future(asyncio.to_thread(_pack, self._handle.folder.path, write_end))
        with os.fdopen(read_end, "rb") as archive:
            while (data := await asyncio.to_thread(archive.read, PIECE_BYTES)) and not self._gone:
                self._connection.send(Kind.FOLDER, 0, data)
                await self._ends.room()
        await packing
        self._connection.send(Kind.FOLDER, 0, b"")


def _pack(folder: Path, write_end: int) -> None:
    with open(write_end, "wb") as archive:
        pack(folder, archive)


if __name__ == "__main__":
    sys.exit(main())
