"""Comments of captured packets: names, handovers and faults of their link ends, each from its time on.

Invariant: a remark is made once, on the first packet of its link end that left (or was dropped) at or after it; a
packet belongs to the interface that its link end had when it left, however late it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from math import inf
from typing import Any

from emulator.model.network import Network
from emulator.model.verbs import VALUES, VERBS
from emulator.record.pcapng import LINKTYPE_ETHERNET, LINKTYPE_RAW, Interface


def interface(network: Network, end: int, far: int | None = None, snaplen: int = 0) -> Interface:
    """How a link end appears: "gs-tokyo -> sat-0312", described by port, roles and addresses.

    `far` is the present far node of a moving link (-1: nobody), by default the first one.
    """
    link = network.links[end // 2]
    number = link.b if far is None else far
    near = network.nodes[link.a]
    other = network.nodes[number] if number >= 0 else None
    sides = [
        (near.name, f"{near.role} {near.ipv4 or link.a_address}".strip()),
        (other.name, f"{other.role} {other.ipv4 or link.b_address}".strip()) if other else ("nobody", "nobody"),
    ]
    (sender, sends), (receiver, receives) = reversed(sides) if end % 2 else sides
    return Interface(
        f"{sender} -> {receiver}",
        f"{network.end_name(end)}; {sends} -> {receives}",
        LINKTYPE_ETHERNET if link.ethernet else LINKTYPE_RAW,
        snaplen,
    )


def names(network: Network) -> dict[bytes, str]:
    """Names of the nodes' addresses."""
    import socket

    found = {}
    for node in network.nodes:
        for family, text in ((socket.AF_INET, node.ipv4), (socket.AF_INET6, node.ipv6)):
            if text:
                found[socket.inet_pton(family, text)] = node.name
    return found


def handover(before: str, after: str, t_s: float) -> str:
    """The remark on a handover; an empty name means no satellite."""
    return f"handover {before or 'nobody'} -> {after or 'nobody'} at {t_s:.3f} s"


def fault(action: Mapping[str, Any], t_s: float) -> str:
    """The remark on an action, as a scenario has it: "fault: link-down gs-tokyo:up at 20.000 s"."""
    words = [str(action.get("do"))]
    for key in ("links", "nodes"):
        words += action.get(key) or ()
    if action.get("groups"):
        words.append(" | ".join(" ".join(group) for group in action["groups"]))
    if action.get("program"):
        words.append(f"program {action['program']}")
    words += [value.worded(action[value.name]) for value in VALUES if value.name in action]
    return f"fault: {' '.join(words)} at {t_s:.3f} s"


def concerned(network: Network, action: Mapping[str, Any], ends: Iterable[int]) -> list[int]:
    """Those of `ends` that an action of a scenario (or of a person) does something to.

    By names: nodes concern all their links, a partition the links between its groups; healing concerns every end.
    """
    verb, groups = VERBS.get(str(action.get("do"))), action.get("groups")
    if verb and not verb.targets:
        return list(ends)
    found = []
    for end in ends:
        link = network.links[end // 2]
        sides = [network.nodes[link.a].name, *([] if link.moving else [network.nodes[link.b].name])]
        ways = (end & ~1, end | 1) if verb and verb.both_ways else (end,)
        called = [name for way in ways for name in network.end_names(way)]
        if (
            _matches(action.get("links"), called)
            or (not action.get("links") and _matches(action.get("nodes"), sides))
            or (groups and len({_group(groups, side) for side in sides}) != 1)
            or (groups and link.moving)
        ):
            found.append(end)
    return found


def _matches(globs: Iterable[str] | None, called: list[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs or () for name in called)


def _group(groups: list[list[str]], name: str) -> int:
    for number, globs in enumerate(groups):
        if _matches(globs, [name]):
            return number
    return len(groups)


class InterfaceTimeline:
    """The course of one captured link end: its names over time, and remarks that wait for a packet."""

    __slots__ = ("_changes", "_names", "_remarks", "interface", "since_s", "until_s")

    def __init__(self, first: Interface) -> None:
        self.interface = first  # from `since_s` to `until_s`, the next thing that happens
        self.since_s, self.until_s = -inf, inf
        self._names: list[tuple[float, Interface]] = [(-inf, first)]
        self._changes: list[tuple[float, Interface | None, str]] = []
        self._remarks: list[str] = []

    def happens(self, t_s: float, text: str, interface: Interface | None = None) -> None:
        """From `t_s` on the end goes by another name, or packets should know of something."""
        self._changes.append((t_s, interface, text))
        self._changes.sort(key=lambda change: change[0])
        self.until_s = self._changes[0][0]

    def at(self, left_s: float) -> tuple[Interface, str]:
        """The interface of a packet that left then, and the remarks for it; time goes on to it."""
        while self._changes and left_s >= self._changes[0][0]:
            t_s, renamed, text = self._changes.pop(0)
            if renamed is not None:
                self._names = [*self._names[-1:], (t_s, renamed)]
                self.interface, self.since_s = renamed, t_s
            if text:
                self._remarks.append(text)
        self.until_s = self._changes[0][0] if self._changes else inf
        remarks, self._remarks = "; ".join(self._remarks), []
        return (self.interface if left_s >= self.since_s else self._names[0][1]), remarks

    def keep(self, remarks: str) -> None:
        """The packet was not written: the next one shall have its remarks."""
        self._remarks.insert(0, remarks)
        self.until_s = -inf  # so that it asks
