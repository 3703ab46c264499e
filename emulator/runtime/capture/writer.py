"""The capture writer: a process that converts the packets which the relay copies into a pipe to pcapng files.

Invariant: a slow disk or writer loses packets of the capture, which are counted, and never delays the run. Packets wait
up to HOLD_S before they are written, and the writer reads keys and handovers meanwhile: so in a file each key precedes
the packets that need it, and each handover the packets that follow it.
"""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emulator import __version__
from emulator.model.errors import UsageError
from emulator.model.names import matches
from emulator.runtime.capture.messages import (
    TO_WRITER,
    BeginCapture,
    CaptureState,
    EndCapture,
    NoteAction,
    ToWriter,
)
from emulator.runtime.control.channel import Channel
from emulator.runtime.control.transport import hear, say
from emulator.runtime.programs.child import Child

if TYPE_CHECKING:
    from pathlib import Path

    from emulator.model.network import Network
    from emulator.record.capture_files import CaptureRow
    from emulator.record.folder import RunFolder
    from emulator.runtime.capture.handovers import UpcomingHandover
    from emulator.scenario import Capture, Scenario
    from emulator.scenario.schema.filters import Tree
    from emulator.schedule.ring import RowRing

PIPE_BYTES = 1 << 20
READ_BYTES = PIPE_BYTES
HOLD_S = 0.05  # for which packets are collected before they are written
NICE = 5
NAP_S = 0.005  # after a small read, so that there are fewer reads, and fewer wake-ups by the relay's writes
HOLD_BYTES = 1 << 20  # or as many bytes
TELL_S = 1.0  # between two reports of the writer's counts
PATIENCE_S = 10.0
KEYS = "keys"  # folder of the programs' TLS keys in the run folder
MOST_UNSENT = 1000  # remarks that wait for a slow writer


def pipe() -> tuple[int, int]:
    """A pipe with as much room as the kernel allows, close-on-exec: read end, write end."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    try:
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:  # beyond this user's limit: keep the default size
        pass
    return read_end, write_end


def resolved(expression: str, network: Network) -> Tree | None:
    """The tree of a filter with its names looked up; None for an empty one. ValueError: "found; expected"."""
    if not expression:
        return None
    from emulator.record.packet_filter import resolve
    from emulator.scenario.schema.filters import parse

    return resolve(parse(expression), network)


def captured_ends(network: Network, names: Sequence[str], tree: Tree | None = None) -> list[int]:
    """The link ends that names and globs of link ends or of nodes select, without those that a filter excludes."""
    from emulator.record.packet_filter import may_pass

    nodes = [matches(names, node.name) for node in network.nodes]
    found = []
    for number, link in enumerate(network.links):
        whole = nodes[link.a] or (nodes[link.b] and not link.moving)
        found += [
            end
            for end in (2 * number, 2 * number + 1)
            if whole or any(matches(names, name) for name in network.end_names(end))
        ]
    return [end for end in found if tree is None or may_pass(tree, network, end)]


def key_folder(folder: Path, capture: Capture, names: Sequence[str]) -> Path | None:
    """The folder of the programs' TLS keys, if `capture` asks for them or `names` are captured; else None."""
    return folder / KEYS if capture.keys or (capture.keys is None and names) else None


def writer_for(
    scenario: Scenario, folder: RunFolder, network: Network, names: Sequence[str], ring: RowRing | None,
    close: list[int],
) -> CaptureWriter | None:  # fmt: skip
    """The writer of a run's own capture of the ends that `names` select; None if there are none."""
    try:
        ends = captured_ends(network, names, resolved(scenario.capture.filter, network))
    except ValueError as error:
        raise UsageError(f"capture filter: {error}") from None
    if not ends:
        if names:
            folder.warn(f"nothing is captured: the filter {scenario.capture.filter!r} rules out every link end")
        return None
    run = f"skyloom {__version__}, run {folder.run_id}, scenario {scenario.name}, seed {scenario.seed}"
    return CaptureWriter(folder, network, scenario.capture, ends, ring, close, run)


class CaptureWriter:
    """The writing process. Forked before play; `start` gives it the time of day of scenario time 0."""

    def __init__(
        self, folder: RunFolder, network: Network, capture: Capture, ends: Iterable[int], ring: RowRing | None,
        close: list[int], comment: str = "",
    ) -> None:  # fmt: skip
        self.ends = list(ends)
        self.snaplen = int(capture.snaplen_bytes)
        self.order = {"op": "capture", "id": 0, "ends": self.ends, "snaplen": self.snaplen}  # to the relay
        self._folder = folder
        self._comment = comment
        self._row: CaptureRow = {}
        self._warnings: Sequence[str] | None = None
        self._finished = False
        self._unsent: deque[ToWriter] = deque(maxlen=MOST_UNSENT)
        self._read_end, self.write_end = pipe()
        self._channel, theirs = Channel.pair()
        self._child = Child(
            "capture writer",
            lambda: self._write(network, capture, ring, theirs),
            close=[*close, self.write_end, self._channel.fileno()],
        )
        theirs.close()
        os.close(self._read_end)
        self._channel.socket.setblocking(False)

    def start(self, t0_utc_ns: int) -> None:
        """Begin the capture; `t0_utc_ns` is the time of day of scenario time 0."""
        self._tell(BeginCapture(t0_utc_ns))
        os.close(self.write_end)  # the relay has its own
        self.write_end = -1

    def act(self, t_s: float, action: Mapping[str, Any]) -> None:
        """Add a remark about an action to the packets of the link ends that it concerns."""
        self._tell(NoteAction(t_s, dict(action)))

    def row(self) -> CaptureRow:
        """The counts of the capture, as its writer reported about a second ago."""
        if not self._finished:
            self._tell()
            self._hear()
        return self._row

    def finish(self, missed: int = 0) -> None:
        """Wait until all packets are on disk, after the relay has closed its end, and take over the writer's warnings.

        `missed` is the relay's own count of packets that the pipe had no room for.
        """
        self._channel.socket.settimeout(PATIENCE_S)
        if self.write_end >= 0:
            self.start(0)
        self._tell(EndCapture(missed))
        self._hear()
        self._finished = True
        self._channel.close()
        if self._warnings is None:
            self._folder.warn("the capture may be incomplete: its writer did not finish")
            self._child.kill()
            return
        for text in self._warnings:
            self._folder.warn(text)
        self._child.wait(1.0)

    def _hear(self) -> None:
        """Process the writer's messages; its last one has its warnings."""
        try:
            while self._warnings is None:
                state = hear(self._channel, (CaptureState,))
                if state is None:
                    return
                self._row, self._warnings = state.row, state.warnings
        except OSError:  # no more messages
            pass

    def _tell(self, *messages: ToWriter) -> None:
        """Send as many messages as the socket accepts, in order; the rest waits for the next call."""
        self._unsent.extend(messages)
        try:
            while self._unsent:
                say(self._channel, self._unsent[0])
                self._unsent.popleft()
        except BlockingIOError:
            pass
        except OSError:  # the writer has ended, which `finish` reports
            self._unsent.clear()

    # -- in the process of its own -------------------------------------------------------------------------------------

    def _write(self, network: Network, capture: Capture, ring: RowRing | None, channel: Channel) -> None:
        from emulator.record.capture_files import CaptureFiles, Limits
        from emulator.record.key_logs import KeyLogs
        from emulator.record.packet_comments import interface, names
        from emulator.record.packet_filter import Filter
        from emulator.runtime.capture.handovers import UpcomingHandovers

        _give_way()
        begin = hear(channel, (BeginCapture,))
        if begin is None:
            return
        known = len(self._folder.warnings)
        tree = resolved(capture.filter, network)
        handovers = UpcomingHandovers(network, ring, self.ends)
        described = {end: interface(network, end, handovers.far.get(end // 2), self.snaplen) for end in self.ends}
        files = CaptureFiles(
            self._folder, network, described, begin.t0_utc_ns, self._comment, names=names(network),
            per_link=capture.per == "link", keep=Filter(tree) if tree is not None else None,
            limits=Limits(
                capture.max_size_bytes, capture.max_packets, capture.rotate_bytes, capture.rotate_s, capture.keep
            ),
        )  # fmt: skip
        keys = KeyLogs(self._folder.path / KEYS)
        channel.socket.setblocking(False)
        missed, told = 0, time.monotonic()
        for data, messages in gathered(self._read_end, channel):
            for message in messages:
                match message:
                    case NoteAction():
                        _remark(files.converter, network, self.ends, message)
                    case EndCapture():
                        missed = message.missed
            for handover in handovers.news():
                for end, face, text in renamed(network, handover, self.ends, self.snaplen):
                    files.converter.happens(end, handover.t_s, text, face)
            files.secrets(keys.news())
            files.feed(data)
            if time.monotonic() >= told + TELL_S:
                told = time.monotonic()
                try:
                    say(channel, CaptureState(files.row()))
                except OSError:  # nobody listens just now
                    pass
        files.close(missed=missed)
        channel.socket.settimeout(PATIENCE_S)
        say(channel, CaptureState(files.row(), tuple(self._folder.warnings[known:])))


def _give_way() -> None:
    """Let the run come first; a run that is nice itself has already given way, and may not take that back."""
    os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))


def renamed(
    network: Network, handover: UpcomingHandover, ends: Iterable[int], snaplen: int
) -> Iterator[tuple[int, Any, str]]:
    """The captured ends of a handed-over link: end, interface, packet comment."""
    from emulator.record.packet_comments import handover as comment
    from emulator.record.packet_comments import interface

    before, after = (network.nodes[number].name if number >= 0 else "" for number in (handover.before, handover.after))
    for end in (2 * handover.link, 2 * handover.link + 1):
        if end in ends:
            yield end, interface(network, end, handover.after, snaplen), comment(before, after, handover.t_s)


def _remark(converter: Any, network: Network, ends: Sequence[int], message: NoteAction) -> None:
    from emulator.record.packet_comments import concerned, fault

    text = fault(message.action, message.t_s)
    for end in concerned(network, message.action, ends):
        converter.happens(end, message.t_s, text)


def gathered(fd: int, channel: Channel) -> Iterator[tuple[bytes, list[ToWriter]]]:
    """What comes of a tee, in portions that gathered for HOLD_S, and the messages that came meanwhile.

    Ends when the tee has been closed and, on the channel, EndCapture was said or nobody is left to say it.
    """
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.register(channel, select.POLLIN)
    parts: list[bytes] = []
    messages: list[ToWriter] = []
    reading, listening, size = True, True, 0
    since = time.monotonic()
    while reading or listening:
        for ready, _events in poll.poll(HOLD_S * 1e3):
            if ready == fd:
                data = os.read(fd, READ_BYTES)
                parts.append(data)
                size += len(data)
                if 0 < len(data) < READ_BYTES // 2:
                    time.sleep(NAP_S)
                elif not data:
                    reading = False
                    poll.unregister(fd)
            else:
                try:
                    message = hear(channel, TO_WRITER)
                except BlockingIOError:
                    continue
                except OSError:  # the supervisor is gone
                    message = None
                if message is not None:
                    messages.append(message)
                if message is None or isinstance(message, EndCapture):
                    listening = False
                    poll.unregister(channel)
        if size > HOLD_BYTES or time.monotonic() >= since + HOLD_S:
            yield b"".join(parts), messages
            parts, messages, size, since = [], [], 0, time.monotonic()
    yield b"".join(parts), messages
