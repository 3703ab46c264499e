"""TCP between nodes: a `Stream` is one connection to a peer, a `Listener` hands on those that come.

For framed messages, queues and connections that are made anew by themselves see `sdk.transport`. Invariant: a stream is
closed when its handler ends, whoever ends it; connections of strangers, and more than there is room for, are refused
and counted. Standard library only.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from emulator.model.errors import EmulationError

__all__ = ["Backoff", "Listener", "Stream", "TcpInfo", "connect", "require_congestion_control"]

MOST_STREAMS = 1 << 10  # of one listener at once
DISCARD_BYTES = 1 << 16  # read at a time
BACKLOG = 128
_TCP_INFO_U32S = struct.Struct("=8x24I")
_RTT_US, _TOTAL_RETRANSMITS = 15, 23  # places of tcpi_rtt and tcpi_total_retrans in struct tcp_info


class Backoff:
    """Waits between attempts: `least_s` after the first failure, doubled by each one after it, at most `most_s`."""

    def __init__(self, least_s: float, most_s: float) -> None:
        if not 0 < least_s <= most_s:
            raise ValueError(f"waits of {least_s} to {most_s} s; expected more than 0, rising")
        self._least_s, self._most_s = least_s, most_s
        self._next_s = least_s

    def next_s(self) -> float:
        """How long to wait now; the wait after it will be longer."""
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, self._most_s)
        return wait_s

    def reset(self) -> None:
        """An attempt has succeeded."""
        self._next_s = self._least_s


class TcpInfo(NamedTuple):
    """What the kernel knows of a connection."""

    rtt_us: int  # its estimate of the round trip
    retransmits: int  # segments sent again, in all


class Stream:
    """One TCP connection. One task may read while another one writes; OSError where the connection is broken."""

    def __init__(self, connection: socket.socket, peer: str) -> None:
        self.peer = peer  # name of the node at the other end; its address where it is none of the run's
        self._connection = connection
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes | memoryview) -> None:
        """Return when the kernel has taken all of it, so a slow receiver slows the sender."""
        await self._loop.sock_sendall(self._connection, data)

    async def receive(self, most_bytes: int) -> bytes:
        """What has come, at least a byte; empty where the other side has ended the connection."""
        return await self._loop.sock_recv(self._connection, most_bytes)

    async def receive_into(self, buffer: bytearray) -> int:
        """As `receive`, into a buffer: how many bytes; 0 at the end."""
        return await self._loop.sock_recv_into(self._connection, buffer)

    async def receive_exactly(self, count: int) -> bytes:
        """So many bytes. EOFError where the connection ends before."""
        data = b""
        while len(data) < count:
            data += await self._some(count - len(data))
        return data

    async def discard(self, count: int) -> None:
        """Read so many bytes and drop them. EOFError where the connection ends before."""
        while count:
            count -= len(await self._some(min(count, DISCARD_BYTES)))

    async def _some(self, most_bytes: int) -> bytes:
        if part := await self.receive(most_bytes):
            return part
        raise EOFError("the connection was closed")

    def info(self) -> TcpInfo:
        """The kernel's figures of this connection, also of one that is broken."""
        values = _TCP_INFO_U32S.unpack(self._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104))
        return TcpInfo(values[_RTT_US], values[_TOTAL_RETRANSMITS])

    def close(self) -> None:
        """End the connection; may be called again."""
        self._connection.close()


async def connect(
    host: str, to: str, port: int, *, peer: str = "", congestion: str = "", no_delay: bool = False
) -> Stream:
    """A connection from `host` to another address; programs use `NodeContext.connect`. OSError where there is none."""
    connection = socket.socket(_family(host), socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if congestion:
            _choose_congestion_control(connection, congestion)
        if no_delay:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.bind((host, 0))
        await asyncio.get_running_loop().sock_connect(connection, (to, port))
        return Stream(connection, peer or to)
    except BaseException:
        connection.close()
        raise


class Listener:
    """A bound TCP socket. It accepts while `serve` runs; connections that come before wait in the kernel."""

    def __init__(
        self, host: str, port: int, names: Mapping[str, str], *, strangers: bool = False, most: int = MOST_STREAMS
    ) -> None:
        self.rejected: Counter[str] = Counter()  # connections by why they ended: stranger, crowd, broken
        self._names = names  # of peers, by address
        self._strangers = strangers  # whether others may come in
        self._most = most
        self._open = 0
        self._socket = socket.socket(_family(host), socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
            self._socket.listen(BACKLOG)
        except OSError:
            self._socket.close()
            raise

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    async def serve(self, handle: Callable[[Stream], Coroutine[Any, Any, None]]) -> None:
        """Until cancelled, run `handle(stream)` for each connection, in a task of its own that is cancelled with this.

        What a peer may cause (OSError, EOFError, ValueError) ends its connection and is counted as broken; anything
        else that `handle` raises ends `serve`, in an ExceptionGroup.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                connection, address = await loop.sock_accept(self._socket)
                connection.setblocking(False)
                name = self._names.get(address[0], address[0] if self._strangers else "")
                if not name or self._open >= self._most:
                    self.rejected["crowd" if name else "stranger"] += 1
                    connection.close()
                    continue
                self._open += 1
                group.create_task(self._handle(Stream(connection, name), handle))

    async def _handle(self, stream: Stream, handle: Callable[[Stream], Coroutine[Any, Any, None]]) -> None:
        try:
            await handle(stream)
        except (OSError, EOFError, ValueError):
            self.rejected["broken"] += 1
        finally:
            self._open -= 1
            stream.close()

    def close(self) -> None:
        self._socket.close()


def require_congestion_control(name: str) -> None:
    """EmulationError where this kernel does not allow a congestion control, such as "bbr"."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        _choose_congestion_control(trial, name)


def _choose_congestion_control(connection: socket.socket, name: str) -> None:
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
    except OSError as error:
        allowed = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text().strip()
        raise EmulationError(f"congestion control {name!r}: {error.strerror}; this kernel allows: {allowed}") from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
