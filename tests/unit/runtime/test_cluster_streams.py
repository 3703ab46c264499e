"""Streams of a command on another host: input, output and the size of a terminal are there as they are here."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import struct
import termios
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from types import SimpleNamespace

import pytest

from emulator.runtime.cluster import streams
from emulator.runtime.cluster.streams import AHEAD, GONE, MOST_AHEAD, SIZE, TAKEN, HostStreams, LeadStreams
from emulator.runtime.control.encoding import BadMessage
from emulator.runtime.control.remote import Kind
from emulator.runtime.programs.launch import Launch


class Joined:
    """Both sides, joined without a network."""

    def __init__(self) -> None:
        self.ahead: Counter[int] = Counter()  # by stream: pieces on their way
        self.most: Counter[int] = Counter()  # of them
        self.lead = LeadStreams(self._say)
        self.host = HostStreams(self)  # type: ignore[arg-type]

    def send(self, kind: Kind, number: int, data: bytes) -> None:
        assert kind is Kind.STREAM
        self._count(data)
        self.lead.write(number, data)

    def _say(self, number: int, data: bytes) -> None:
        self._count(data)
        self.host.write(number, data)

    def _count(self, data: bytes) -> None:
        if data[0] == TAKEN:
            self.ahead[data[1]] -= 1
        elif data[0] not in (SIZE, GONE):
            self.ahead[data[0]] += 1
            self.most |= self.ahead


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what threads have done
            await asyncio.sleep(0.005)


def test_pipes_carry_everything_and_their_ends() -> None:
    async def play() -> None:
        both, launch = Joined(), Launch(7, "exec", "a", "exec")
        (stdin, given), (out, stdout), (err, stderr) = os.pipe(), os.pipe(), os.pipe()
        there = both.host.open(launch)
        both.lead.open(launch, {"stdin": stdin, "stdout": stdout, "stderr": stderr})
        for fd in (stdin, stdout, stderr):
            os.close(fd)
        os.write(given, b"given")
        os.close(given)
        os.set_blocking(there["stdin"], False)
        await until(lambda: _readable(there["stdin"]))
        assert os.read(there["stdin"], 100) == b"given"
        await until(lambda: _readable(there["stdin"]))
        assert os.read(there["stdin"], 100) == b"", "its end"
        os.write(there["stdout"], b"x" * 60_000)
        os.write(there["stderr"], b"wrong")
        for fd in there.values():
            os.close(fd)
        both.host.drain(7)
        both.lead.close(7, lambda: None)
        for end, expected in ((out, b"x" * 60_000), (err, b"wrong")):
            assert b"".join(iter(lambda end=end: os.read(end, 1 << 16), b"")) == expected
            os.close(end)

    asyncio.run(play())


def test_streams_that_nobody_reads_hold_up_nobody_and_wait_in_bounds() -> None:
    many = b"x" * (64 << 16)  # four times what may be on its way

    async def play() -> None:
        both, launch = Joined(), Launch(7, "exec", "a", "exec")
        (stdin, given), (out, stdout) = os.pipe(), os.pipe()
        there = both.host.open(launch)
        both.lead.open(launch, {"stdin": stdin, "stdout": stdout, "stderr": stdout})
        for fd in (stdin, stdout):
            os.close(fd)
        with ThreadPoolExecutor() as threads:
            feeding, writing = threads.submit(_write, given, many), threads.submit(_write, there["stdout"], many)
            await until(lambda: both.ahead == {0: AHEAD, 1: AHEAD})
            loop = asyncio.get_running_loop()
            reading = [loop.run_in_executor(threads, _read, fd, len(many)) for fd in (there["stdin"], out)]
            assert await asyncio.gather(*reading) == [many, many]
            assert feeding.exception() is writing.exception() is None
        assert both.most == {0: AHEAD, 1: AHEAD}
        for fd in (given, *there.values()):
            os.close(fd)
        both.host.drain(7)
        both.lead.close(7, lambda: None)
        os.close(out)

    asyncio.run(play())


def test_the_end_of_a_command_is_told_after_its_output_or_in_time_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "WRITE_S", 1.0)

    async def play() -> None:
        both, launch, told = Joined(), Launch(7, "exec", "a", "exec"), []
        (stdin, given), (out, stdout) = os.pipe(), os.pipe()
        for fd in both.host.open(launch).values():
            os.close(fd)
        both.lead.open(launch, {"stdin": stdin, "stdout": stdout, "stderr": stdout})
        for fd in (stdin, stdout, given):
            os.close(fd)
        both.host.drain(7)
        both.lead.write(7, b"\1" + b"x" * (2 << 16))  # more than a pipe holds
        began_s = time.monotonic()
        both.lead.close(7, lambda: told.append(time.monotonic() - began_s))
        assert time.monotonic() - began_s < 0.5, "it waits for nobody here"
        await until(lambda: told)
        assert told[0] >= 1.0, "nobody reads"
        os.close(out)
        both.lead.close(8, lambda: told.append(0.0))
        assert told[1:] == [0.0], "it has no streams here"

    asyncio.run(play())


def test_a_command_whose_reader_has_gone_finds_its_output_closed() -> None:
    async def play() -> None:
        both, launch = Joined(), Launch(7, "exec", "a", "exec")
        (stdin, given), (out, stdout) = os.pipe(), os.pipe()
        there = both.host.open(launch)
        both.lead.open(launch, {"stdin": stdin, "stdout": stdout, "stderr": stdout})
        for fd in (stdin, stdout, out):
            os.close(fd)
        os.set_blocking(there["stdout"], False)
        await until(lambda: not _written(there["stdout"]))
        for fd in (given, *there.values()):
            os.close(fd)
        both.host.drain(7)
        both.lead.close(7, lambda: None)

    asyncio.run(play())


def test_what_is_typed_after_a_command_has_ended_is_for_others() -> None:
    async def play() -> None:
        threads = threading.active_count()
        both, launch = Joined(), Launch(7, "exec", "a", "exec")
        (stdin, given), (out, stdout) = os.pipe(), os.pipe()
        there = both.host.open(launch)
        both.lead.open(launch, {"stdin": stdin, "stdout": stdout, "stderr": stdout})
        for fd in there.values():
            os.close(fd)
        both.host.drain(7)
        both.lead.close(7, lambda: None)
        await until(lambda: threading.active_count() <= threads)
        os.write(given, b"later")
        assert os.read(stdin, 100) == b"later"
        for fd in (stdin, given, out, stdout):
            os.close(fd)

    asyncio.run(play())


def test_a_terminal_has_the_size_of_the_one_here() -> None:
    def size(fd: int) -> tuple[int, ...]:
        return struct.unpack("4H", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))[:2]

    def resize(fd: int, rows: int, columns: int) -> None:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    async def play() -> None:
        both, launch = Joined(), Launch(7, "terminal", "a", "exec", terminal=True)
        master, slave = pty.openpty()
        resize(master, 30, 100)
        there = both.host.open(launch)["stdin"]
        both.lead.open(launch, dict.fromkeys(("stdin", "stdout", "stderr"), slave))
        os.close(slave)
        await until(lambda: size(there) == (30, 100))
        resize(master, 40, 120)
        await until(lambda: size(there) == (40, 120))
        os.write(there, b"prompt")
        await until(lambda: _readable(master))
        assert os.read(master, 100) == b"prompt"
        os.close(there)
        both.host.drain(7)
        both.lead.close(7, lambda: None)
        os.close(master)
        await asyncio.sleep(0.3)  # the size is looked at once more, and let go

    asyncio.run(play())


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _written(fd: int) -> bool:
    """Whether somebody reads what is written there."""
    try:
        os.write(fd, b"y")
    except BrokenPipeError:
        return False
    return True


def _read(fd: int, count: int) -> bytes:
    found = b""
    while len(found) < count:
        found += os.read(fd, 1 << 16)
    return found


def _readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


def test_a_command_that_has_ended_is_told_although_others_write_on() -> None:
    """A child that it has left behind still writes, faster than anybody reads."""

    async def play() -> None:
        sent: list[bytes] = []

        def send(kind: Kind, number: int, data: bytes) -> None:
            sent.append(data)
            with suppress(BlockingIOError):
                os.write(there["stdout"], bytes(1 << 16))  # as much again

        host = HostStreams(SimpleNamespace(send=send))  # type: ignore[arg-type]
        there = host.open(Launch(7, "exec", "a", "exec"))
        os.set_blocking(there["stdout"], False)
        os.write(there["stdout"], b"first")
        host.drain(7)
        assert sent[0] == b"\1first"
        assert len(sent) <= 2 * AHEAD
        for fd in there.values():
            os.close(fd)

    asyncio.run(play())


def test_output_that_the_lead_has_not_taken_is_bounded() -> None:
    lead = LeadStreams(lambda number, data: None)
    lead._outputs[7] = {1: SimpleQueue()}
    for _ in range(MOST_AHEAD + 1):
        lead.write(7, b"\1x")
    with pytest.raises(BadMessage, match="sends more of process 7 than is taken"):
        lead.write(7, b"\1x")
