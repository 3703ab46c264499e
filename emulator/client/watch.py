"""The client side of live control: finds runs and connects to one.

Invariant: nothing is written anywhere to find a run; the kernel's list of Unix sockets is the list of live runs.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.model.errors import EmulationError, SkyloomError, UsageError
from emulator.observe import snapshot
from emulator.runtime.control import messages
from emulator.runtime.control.channel import Channel
from emulator.runtime.control.encoding import BadMessage, T
from emulator.runtime.control.messages import Act, FromScreen, Refused, Request, SetView, ShowSnapshot, Signal, Stop
from emulator.runtime.control.transport import hear, say
from emulator.runtime.supervisor.live import PREFIX, name_of

if TYPE_CHECKING:
    from emulator.observe.snapshot import Snapshot
    from emulator.observe.view import View

TO_SCREEN: tuple[type[ShowSnapshot | Refused], ...] = (ShowSnapshot, Refused)
UNIX_SOCKETS = Path("/proc/net/unix")


def live_runs(table: str | None = None) -> list[str]:
    """Ids of this user's live runs, in alphabetical order. `table` is the text of /proc/net/unix."""
    text = UNIX_SOCKETS.read_text() if table is None else table
    head = f"@{PREFIX}/{os.getuid()}/"
    found = set()
    for line in text.splitlines()[1:]:
        path = line.rpartition(" ")[2]
        if path.startswith(head):
            found.add(path.removeprefix(head))
    return sorted(found)


def choose(run: str | None) -> str:
    """The id of a live run by its prefix `run`, or of the only one. UsageError if there is none or several."""
    runs = live_runs()
    if not runs:
        raise UsageError("there is no live run; start one with `skyloom run` in another terminal")
    fitting = [name for name in runs if run is None or name.startswith(run)]
    if len(fitting) == 1:
        return fitting[0]
    if run is not None and run in fitting:
        return run
    which = f"no live run {run!r}" if run is not None and not fitting else f"{len(fitting)} live runs"
    raise UsageError(f"{which}; choose one by --run, the end of its folder's name: {', '.join(runs)}")


class Connection:
    """One request to a run and its answers."""

    def __init__(self, run: str | None = None) -> None:
        self.run_id = choose(run)
        end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            end.connect(b"\0" + name_of(self.run_id).encode())
        except OSError as error:
            end.close()
            raise UsageError(f"run {self.run_id} does not answer ({error.strerror}); it may just have ended") from None
        self.channel = Channel(end)

    def fileno(self) -> int:
        return self.channel.fileno()

    def send(self, message: Request | Signal, fds: Sequence[int] = ()) -> None:
        try:
            say(self.channel, message, fds)
        except OSError as error:
            raise EmulationError(f"run {self.run_id} has ended ({error.strerror})") from None

    def receive(self, expected: tuple[type[T], ...]) -> T:
        """The next answer, one of the expected types. Raises the run's own error, BadMessage if run and terminal are of
        different versions, or EmulationError if the run has ended."""
        message = hear(self.channel, (*expected, Refused))
        if message is None:
            raise EmulationError(f"run {self.run_id} has ended")
        if isinstance(message, Refused):
            error = SkyloomError(message.text)
            error.exit_code = message.exit_code
            raise error
        return message

    def ask(self, message: Request, expected: type[T], fds: Sequence[int] = ()) -> T:
        self.send(message, fds)
        return self.receive((expected,))

    def close(self) -> None:
        self.channel.close()


class Watch:
    """A live run as a source of snapshots in another terminal."""

    def __init__(self, run: str | None = None, view: View | None = None) -> None:
        self._connection = Connection(run)
        self.run_id = self._connection.run_id
        self._connection.send(messages.Watch(view or {}))

    @property
    def fd(self) -> int:
        """Descriptor that becomes readable when `receive` will not block."""
        return self._connection.fileno()

    def receive(self) -> Snapshot | None:
        """The next snapshot; None: the run has ended."""
        try:
            message = hear(self._connection.channel, TO_SCREEN)
        except OSError:
            return None
        if isinstance(message, Refused):
            raise EmulationError(message.text)
        return decoded(message.snapshot) if message is not None else None

    def snapshots(self) -> Iterator[Snapshot]:
        """Snapshots, some four a second, until the run has ended."""
        while (snapshot := self.receive()) is not None:
            yield snapshot

    def view(self, view: View) -> None:
        """Set the view: further snapshots have its rows."""
        self._say(SetView(view))

    def fault(self, action: Mapping[str, Any]) -> None:
        """Perform an action, as an `[[action]]` does. An event reports the result."""
        self._say(Act(dict(action)))

    def stop(self) -> None:
        """End the run: the first time gracefully, a second time at once."""
        self._say(Stop())

    def detach(self) -> None:
        """Leave; the run is not affected."""
        self.close()

    def shutdown(self) -> None:
        """End `receive` in another thread, as if the run had ended."""
        with suppress(OSError):
            self._connection.channel.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()

    def _say(self, message: FromScreen) -> None:
        try:
            say(self._connection.channel, message)
        except OSError:  # it has ended
            pass


def decoded(data: bytes) -> Snapshot:
    """Decode a snapshot. BadMessage if it is malformed or of another version."""
    try:
        return snapshot.decode(data)
    except ValueError as error:
        raise BadMessage(str(error)) from None


def ask(message: Request, expected: type[T], run: str | None = None) -> T:
    """Send one request to a run and return its answer."""
    connection = Connection(run)
    try:
        return connection.ask(message, expected)
    finally:
        connection.close()
