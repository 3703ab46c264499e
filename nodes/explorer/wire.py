"""What travels from node to node: the frame that carries an agent with its memory, and the answer that it has arrived.

A frame is a header (magic, step, length of the body) and a body: the agent as one canonical run of bytes. All integers
are big-endian. Invariant: equal agents have equal bytes, and `decode` refuses everything that `encode` would not have
written with a ValueError that names the field, so that a bad peer can neither crash a node nor smuggle in a memory
that no agent can have.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nodes.explorer.core import VISIBILITIES, Agent, Door

MAGIC = b"SkyX"
ARRIVED = b"SkyY"
HEADER = struct.Struct(">4sII")  # magic, step in which it is carried, length of the body
RECEIPT = struct.Struct(">4sI")  # magic, step
MOST_NODES = 1 << 16  # numbers and names of doors are 16 bits
MOST_DOORS = 1 << 18
_COUNTERS = struct.Struct(">BQIIIII")  # visibility, seed, steps, moves, waits, replans, sweeps
_COUNT = struct.Struct(">I")
_NODE = struct.Struct(">H")
_DOOR = struct.Struct(">HHB")  # node, name, flags
_TWIN = struct.Struct(">HHHH")  # the smaller door first
_BELIEVED, _PASSED = 1, 2
MOST_BYTES = _COUNTERS.size + 2 * (4 + MOST_NODES * 2) + 4 + MOST_DOORS * 5 + 4 + MOST_DOORS * 4 + 10


@dataclass(frozen=True, slots=True)
class Header:
    """Head of a frame: `body_bytes` of agent follow."""

    step: int
    body_bytes: int

    def encode(self) -> bytes:
        return HEADER.pack(MAGIC, self.step, self.body_bytes)

    @classmethod
    def decode(cls, data: bytes) -> Header:
        if len(data) != HEADER.size:
            raise ValueError(f"frame: header of {len(data)} bytes, wanted {HEADER.size}")
        magic, step, body_bytes = HEADER.unpack(data)
        if magic != MAGIC:
            raise ValueError(f"frame: magic {magic!r}, wanted {MAGIC!r}")
        if body_bytes > MOST_BYTES:
            raise ValueError(f"frame: body of {body_bytes} bytes, wanted at most {MOST_BYTES}")
        return cls(step, body_bytes)


def receipt(step: int) -> bytes:
    """The answer to a frame: the agent of this step is here now, and its sender may forget it."""
    return RECEIPT.pack(ARRIVED, step)


def frame(step: int, agent: Agent) -> bytes:
    """Header and body."""
    body = encode(agent)
    return Header(step, len(body)).encode() + body


def encode(agent: Agent) -> bytes:
    """The agent as bytes. ValueError where its memory is past the limits."""
    doors = sorted((node, name) for node, names in agent.ever.items() for name in names)
    twins = sorted((door, twin) for door, twin in agent.twins.items() if door <= twin)
    nodes = [*agent.visited, *agent.explored, *(number for door in doors for number in door)]
    if nodes and not 0 <= min(nodes) <= max(nodes) < MOST_NODES:
        raise ValueError(f"agent: node or door {max(nodes)}, wanted 0 to {MOST_NODES - 1}")
    if len(doors) > MOST_DOORS:
        raise ValueError(f"agent: {len(doors)} doors, wanted at most {MOST_DOORS}")
    kind = VISIBILITIES.index(agent.visibility)
    counters = (agent.steps, agent.moves, agent.waits, agent.replans, agent.sweeps)
    return b"".join(
        [
            _COUNTERS.pack(kind, agent.seed, *counters),
            _pack_nodes(agent.visited),
            _pack_nodes(agent.explored),
            _COUNT.pack(len(doors)),
            *(_DOOR.pack(*door, (door in agent.believed) | (door in agent.passed) << 1) for door in doors),
            _COUNT.pack(len(twins)),
            *(_TWIN.pack(*door, *twin) for door, twin in twins),
            _pack_optional(agent.left_by),
            _pack_optional(agent.aim),
        ]
    )


def _pack_nodes(nodes: Iterable[int]) -> bytes:
    ordered = sorted(nodes)
    return _COUNT.pack(len(ordered)) + b"".join(_NODE.pack(node) for node in ordered)


def _pack_optional(door: Door | None) -> bytes:
    return b"\0" if door is None else b"\1" + _NODE.pack(door[0]) + _NODE.pack(door[1])


def decode(body: bytes) -> Agent:
    """The agent that `encode` made these bytes of."""
    reader = _Reader(body)
    kind, seed, steps, moves, waits, replans, sweeps = reader.take(_COUNTERS, "counters")
    if kind >= len(VISIBILITIES):
        raise ValueError(f"agent: visibility {kind}, wanted 0 to {len(VISIBILITIES) - 1}")
    if moves + waits != steps:
        raise ValueError(f"agent: {moves} moves and {waits} waits, wanted {steps} steps together")
    agent = Agent(VISIBILITIES[kind], seed, steps, moves, waits, replans, sweeps)
    agent.visited = reader.nodes("visited")
    agent.explored = reader.nodes("explored")
    doors = reader.rows(_DOOR, "doors", MOST_DOORS)
    _require_rising([(node, name) for node, name, _ in doors], "doors")
    for node, name, flags in doors:
        if flags > _BELIEVED | _PASSED:
            raise ValueError(f"agent: flags {flags} of a door, wanted 0 to {_BELIEVED | _PASSED}")
        agent.ever.setdefault(node, set()).add(name)
        agent.believed |= {(node, name)} if flags & _BELIEVED else set()
        agent.passed |= {(node, name)} if flags & _PASSED else set()
    known = {(node, name) for node, name, _ in doors}
    twins = [((a, b), (c, d)) for a, b, c, d in reader.rows(_TWIN, "twins", MOST_DOORS)]
    _require_rising(twins, "twins")
    for door, twin in twins:
        if not door < twin or {door, twin} - known or {door, twin} & agent.twins.keys():
            raise ValueError(f"agent: twins {door} and {twin}, wanted two known doors, the smaller first, once")
        agent.twins[door], agent.twins[twin] = twin, door
    agent.left_by = reader.optional("left_by")
    agent.aim = reader.optional("aim")
    reader.end()
    return agent


def _require_rising(values: list[Any], what: str) -> None:
    if any(before >= after for before, after in pairwise(values)):
        raise ValueError(f"agent: {what} out of order, wanted each once, rising")


class _Reader:
    """Takes a body apart from the front."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def take(self, layout: struct.Struct, what: str) -> tuple[int, ...]:
        if self._at + layout.size > len(self._body):
            raise ValueError(f"agent: the bytes end in {what}, wanted {self._at + layout.size} or more")
        values = layout.unpack_from(self._body, self._at)
        self._at += layout.size
        return values

    def rows(self, layout: struct.Struct, what: str, most: int) -> list[tuple[int, ...]]:
        (count,) = self.take(_COUNT, what)
        if count > most or self._at + count * layout.size > len(self._body):
            raise ValueError(f"agent: {count} {what}, wanted at most {most}, and all of them there")
        rows = list(layout.iter_unpack(self._body[self._at : self._at + count * layout.size]))
        self._at += count * layout.size
        return rows

    def nodes(self, what: str) -> set[int]:
        nodes = [node for (node,) in self.rows(_NODE, what, MOST_NODES)]
        _require_rising(nodes, what)
        return set(nodes)

    def optional(self, what: str) -> Door | None:
        (given,) = self.take(struct.Struct(">B"), what)
        if given > 1:
            raise ValueError(f"agent: {what} begins with {given}, wanted 0 or 1")
        if not given:
            return None
        node, name = self.take(struct.Struct(">HH"), what)
        return node, name

    def end(self) -> None:
        if self._at != len(self._body):
            raise ValueError(f"agent: {len(self._body) - self._at} bytes left over, wanted none")
