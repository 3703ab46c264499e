"""The relay's control socket: orders in, statistics out, each a msgpack map in one SOCK_SEQPACKET message.

Invariant: no call here waits for the reader. An invalid order is answered with `{"op": "error"}`; it is never carried
out in part and never ends the relay. An order with a `number` is answered by `{"op": "done"}`, or the error, with that
number.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from threading import Lock
from typing import Any, Protocol

import msgpack

from emulator.link.engine.engine import new_order
from emulator.link.engine.structures import EngineOrder, OrderKind
from emulator.link.taps import Captures
from emulator.model.verbs import VALUES

LARGEST = 2**20
ENDS_PER_MESSAGE = 400  # keeps a message within the socket's default buffer
MOST_UNSENT = 4096  # messages that wait for a slow reader; statistics do not wait


class Relay(Protocol):
    """The receiver of orders. Numbers of orders are the engine's; 0: the order is already in force."""

    stopped: bool
    end_count: int
    captures: Captures

    def start(self, t0_ns: int) -> None: ...
    def set(self, ends: list[int], values: Mapping[str, float | bool | None]) -> int: ...
    def order(self, orders: Iterable[EngineOrder]) -> int: ...
    def tap(self, ends: Iterable[int]) -> int: ...
    def wait_for(self, number: int) -> None: ...
    def afterwards(self, number: int, say: Callable[[], None]) -> None: ...


class Control:
    """Reads orders for one relay and sends its reports."""

    def __init__(self, sock: socket.socket, relay: Relay) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._relay = relay
        self._unsent: deque[bytes] = deque()
        self._sending = Lock()  # `tell` may be called from every thread
        self.untold = 0  # messages dropped because the reader was too slow

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> None:
        """Carry out every order that has arrived; the end of the socket means stop."""
        while not self._relay.stopped:
            try:
                data, fds, _, _ = socket.recv_fds(self._socket, LARGEST, 4)
            except BlockingIOError:
                return
            except OSError:
                data, fds = b"", []
            if not data:
                self._relay.stopped = True
                return
            order, answer, obeyed = None, {"op": "done"}, 0
            try:
                order = msgpack.unpackb(data)
                obeyed = self._obey(order, fds)
            except (ValueError, TypeError, KeyError, IndexError, msgpack.exceptions.UnpackException) as error:
                answer = {"op": "error", "message": f"{type(error).__name__}: {error}"}
            if isinstance(order, dict) and "number" in order:
                self._relay.afterwards(obeyed, partial(self.tell, {**answer, "number": order["number"]}))
            elif answer["op"] == "error":
                self.tell(answer)
            for fd in fds:
                os.close(fd)

    def _obey(self, order: dict[str, Any], fds: list[int]) -> int:
        """Carry out one order; returns its number in the engine (0: already in force). Removes kept descriptors from
        `fds`."""
        relay = self._relay
        match order["op"]:
            case "start":
                relay.start(int(order["t0_ns"]))
            case "stop":
                relay.stopped = True
            case "set":
                values = {value.name: value.checked(order[value.name]) for value in VALUES if value.name in order}
                return relay.set(_numbers(relay, order), values)
            case "hold" | "release" as op:
                kind = OrderKind.HOLD if op == "hold" else OrderKind.RELEASE
                return relay.order(new_order(kind, end) for end in _numbers(relay, order))
            case "capture":
                ends = _numbers(relay, order)
                key, snaplen = int(order["id"]), int(order.get("snaplen") or 0)
                if key in relay.captures or not fds:
                    raise ValueError(f"capture {key} is already running, or came without a descriptor")
                relay.captures.open(key, fds[0], frozenset(ends), snaplen)
                del fds[0]
                return relay.tap(ends)
            case "uncapture":
                key = int(order["id"])
                relay.wait_for(relay.tap(relay.captures.forget(key)))
                relay.captures.close_one(key, patience_s=0.05)
            case op:
                raise ValueError(f"unknown op {op!r}")
        return 0

    def report(self, message: dict[str, Any], ends: dict[int, list[float]], final: bool) -> bool:
        """Send statistics, in as many messages as the ends need; returns False if the reader is behind.

        Counters are cumulative, so the next report replaces one that could not be sent.
        """
        if final:
            self._socket.settimeout(2.0)
        if not self._flush():
            return False
        numbers = list(ends)
        chunks = [numbers[at : at + ENDS_PER_MESSAGE] for at in range(0, len(numbers), ENDS_PER_MESSAGE)] or [[]]
        for chunk in chunks:
            part = {**message, "ends": {number: ends[number] for number in chunk}}
            if final:
                part["final"] = chunk is chunks[-1]
            if not self._send(part):
                return False
        return True

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message that is not repeated; it waits for the next report if the reader is behind."""
        with self._sending:
            if len(self._unsent) < MOST_UNSENT:
                self._unsent.append(msgpack.packb(message))
            else:
                self.untold += 1
        self._flush()

    def _flush(self) -> bool:
        """Send the waiting messages in order; returns whether all were sent."""
        with self._sending:
            while self._unsent:
                if not self._put(self._unsent[0]):
                    return False
                self._unsent.popleft()
        return True

    def _send(self, message: dict[str, Any]) -> bool:
        return self._put(msgpack.packb(message))

    def _put(self, data: bytes) -> bool:
        try:
            self._socket.send(data)
        except OSError:
            return False
        return True


def _numbers(relay: Relay, order: dict[str, Any]) -> list[int]:
    """The link ends that an order names."""
    numbers = order["ends"]
    for number in numbers:
        if not isinstance(number, int) or not 0 <= number < relay.end_count:
            raise ValueError(f"no link end {number!r}; there are {relay.end_count}")
    return list(numbers)
