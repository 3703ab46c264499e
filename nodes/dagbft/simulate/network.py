"""The virtual clock, and the network on it.

A connection behaves as TCP does behind a reliable link: messages of one connection arrive in order, what cannot be
delivered because of a partition or a crashed receiver waits and arrives later, and a lost packet costs time. Invariant:
everything random comes from one seeded stream, and things due at one instant happen in the order in which they were
planned.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

Delay = Callable[[int, int], float]  # one-way, seconds, from validator to validator
Hook = Callable[
    [int, int, Any, float], float | None
]  # sender, receiver, message, now: more delay (others overtake), None: never
Address = tuple[int, int]  # validator, worker; -1 in place of a worker is the primary
_RETRANSMIT_S = 0.2

# Round trips in milliseconds, approximate: what the regions of AWS publish of each other.
# Regions in turn: us-east-1, eu-north-1, ap-southeast-2, us-west-1, ap-northeast-1.
_ROUND_TRIPS_MS = {
    (0, 1): 110, (0, 2): 200, (0, 3): 62, (0, 4): 150, (1, 2): 290,
    (1, 3): 170, (1, 4): 250, (2, 3): 140, (2, 4): 108, (3, 4): 108,
}  # fmt: skip


def five_regions(sender: int, receiver: int) -> float:
    """One-way delay of validators that are spread over five regions in turn; 0.5 ms within one."""
    a, b = sorted((sender % 5, receiver % 5))
    return _ROUND_TRIPS_MS[a, b] / 2000 if a != b else 0.0005


def uniform(delay_s: float) -> Delay:
    return lambda sender, receiver: delay_s


class Clock:
    """Schedules calls at virtual times, and makes them."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, t_s: float, do: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._heap, (max(t_s, self.now_s), self._number, do))

    def run(self, until_s: float) -> None:
        """Make all calls that are due up to this time."""
        heap = self._heap
        while heap and heap[0][0] <= until_s:
            self.now_s, _, do = heapq.heappop(heap)
            do()
        self.now_s = until_s


class Network:
    """All connections. `deliver(receiver, sender, message)` returns False if the receiver is down: kept for later."""

    def __init__(
        self, clock: Clock, delay: Delay, random: Random, deliver: Callable[[Address, int, Any], bool]
    ) -> None:
        self.loss = 0.0  # chance that a message must be sent again, each time
        self.jitter = 0.0  # share of the delay, at most, that is added at random
        self.hook: Hook | None = None
        self.messages = 0
        self._clock = clock
        self._delay = delay
        self._random = random
        self._deliver = deliver
        self._last_s: dict[tuple[int, Address], float] = {}  # arrival of the newest message, by connection
        self._kept: dict[tuple[int, Address], deque[Any]] = {}
        self._cut: Callable[[int, int], bool] = lambda sender, receiver: False

    def cut(self, groups: Iterable[Iterable[int]]) -> None:
        """Partition: only validators of one group reach each other; those of no group reach no other."""
        of = {member: number for number, group in enumerate(groups) for member in group}
        self.cut_where(lambda a, b: of.get(a, -1 - a) != of.get(b, -1 - b))

    def cut_where(self, cut: Callable[[int, int], bool]) -> None:
        """Set the directions (sender, receiver) that are cut; the others work again, and deliver kept messages."""
        self._cut = cut
        for connection in list(self._kept):
            self._flush(connection)

    def heal(self) -> None:
        self.cut_where(lambda sender, receiver: False)

    def send(self, sender: int, receiver: Address, message: Any) -> None:
        """Send a message of one validator to a process of another."""
        self.messages += 1
        connection = (sender, receiver)
        more = self.hook(sender, receiver[0], message, self._clock.now_s) if self.hook is not None else 0.0
        if more is None:
            return
        if self._cut(sender, receiver[0]) or connection in self._kept:
            self._kept.setdefault(connection, deque()).append(message)
            return
        self._post(connection, message, more)

    def _post(self, connection: tuple[int, Address], message: Any, more_s: float = 0.0) -> None:
        sender, receiver = connection
        delay_s = self._delay(sender, receiver[0])
        if self.jitter:
            delay_s *= 1 + self.jitter * self._random.random()
        wait_s = _RETRANSMIT_S
        while self.loss and self._random.random() < self.loss:
            delay_s += wait_s
            wait_s *= 2
        arrival_s = max(self._clock.now_s + delay_s, self._last_s.get(connection, 0.0))
        self._last_s[connection] = arrival_s
        self._clock.at(arrival_s + more_s, lambda: self._arrive(connection, message))

    def _arrive(self, connection: tuple[int, Address], message: Any) -> None:
        sender, receiver = connection
        kept = self._kept.get(connection)
        if kept is not None or self._cut(sender, receiver[0]) or not self._deliver(receiver, sender, message):
            self._kept.setdefault(connection, deque()).append(message)

    def up(self, validator: int) -> None:
        """A validator is up again: deliver the messages kept for it."""
        for connection in list(self._kept):
            if connection[1][0] == validator:
                self._flush(connection)

    def down(self, validator: int) -> None:
        """A validator is down: drop the messages that it had kept for others."""
        for connection in [connection for connection in self._kept if connection[0] == validator]:
            del self._kept[connection]

    def _flush(self, connection: tuple[int, Address]) -> None:
        if not self._cut(connection[0], connection[1][0]):
            for message in self._kept.pop(connection, ()):
                self._post(connection, message)
