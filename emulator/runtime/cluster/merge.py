"""Reports of the relays of all hosts, as those of one: what is told of each link end is the sum of its two halves.

Invariant: pure; a merged report says of an end what all hosts have told of it so far, whichever host reports now.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from emulator.link.lateness import Lateness
from emulator.link.stats import EndStats
from emulator.model.network import Network
from emulator.runtime.cluster.reports import LATE
from emulator.runtime.control.encoding import BadMessage

Message = dict[str, Any]
_LATE_MAX_S = int(EndStats.LATE_MAX_S)
SUMS = ("cpu_s", "engine_cpu_s", "wakeups", "overloaded_s", "late_rows", "late_handovers", "untold")


class MergedReports:
    """The reports of `hosts` hosts. `owner`: the host of each node."""

    def __init__(self, network: Network, owner: Any, hosts: int) -> None:
        self._network = network
        self._owner = owner
        self._hosts = hosts
        self._ends: dict[int, dict[int, list[float]]] = {}  # by end, then by host
        self.health: dict[int, Message] = {}  # the last report about itself of each host's relay
        self._final: set[int] = set()
        self._done: dict[int, set[int]] = {}  # hosts that have obeyed, by order

    def ordered(self, number: int) -> None:
        """All relays are told to do this."""
        self._done[number] = set()

    def merged(self, host: int, message: Message) -> Message | None:
        """What a report of one host means for the run; None: nothing yet. BadMessage where it cannot be."""
        match message["op"]:
            case "stats":
                return self._stats(host, message)
            case "carrier":
                changes = [change for change in message["changes"] if self._teller(change[0]) == host]
                return {**message, "changes": changes} if changes else None
            case "done":
                return self._obeyed(host, message)
            case "trunks":
                return None  # before the start, of interest for clocks alone
            case "error":
                return {**message, "message": f"host {host}: {message['message']}"}
        return message

    def _obeyed(self, host: int, message: Message) -> Message | None:
        number = message["number"]
        done = self._done.get(number)
        if done is None:
            raise BadMessage(f"has done order {number}, which was not given")
        done.add(host)
        if len(done) < self._hosts:
            return None
        del self._done[number]
        return message

    def _stats(self, host: int, message: Message) -> Message:
        ends = {}
        for end, counters in message["ends"].items():
            halves = self._ends.setdefault(end, {})
            halves[host] = counters
            ends[end] = _sum(list(halves.values()))
        found: Message = {"op": "stats", "t_s": message["t_s"], "ends": ends}
        if "lateness" in message:
            self.health[host] = message
            found |= self._healths()
        if message.get("final"):
            self._final.add(host)
            found["final"] = len(self._final) == self._hosts
        return found

    def _healths(self) -> Message:
        every = list(self.health.values())
        lateness = Lateness()
        for each in every:
            lateness.merge(Lateness.unpack(each["lateness"]))
        unrouted: Counter[int] = Counter()
        lost: Counter[int] = Counter()
        for each in every:
            unrouted.update(each["unrouted"])
            lost.update(each["captures_lost"])
        return {
            **{name: sum(each[name] for each in every) for name in SUMS},
            "lateness": lateness.pack(),
            "late": {name: sum(each["late"][name] for each in every) for name in LATE},
            "turn_max_s": max(each["turn_max_s"] for each in every),
            "saturated": any(each["saturated"] for each in every),
            "realtime": all(each["realtime"] for each in every),
            "unrouted": dict(unrouted),
            "captures_lost": dict(lost),
            "told_s": min(each["told_s"] for each in every) if len(every) == self._hosts else 0.0,
        }

    def _teller(self, link: int) -> int:
        """The host that tells of a link's carrier: that of its first node with an interface."""
        spec = self._network.links[link]
        node = spec.a if self._network.nodes[spec.a].live else spec.b
        return int(self._owner[node])


def _sum(halves: list[list[float]]) -> list[float]:
    if len(halves) == 1:
        return halves[0]
    total = [sum(values) for values in zip(*halves, strict=True)]
    total[_LATE_MAX_S] = max(half[_LATE_MAX_S] for half in halves)
    return total
