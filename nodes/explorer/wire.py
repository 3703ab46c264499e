"""What travels from node to node: the frame that carries an agent with its memory, and the answer that it has arrived.

A frame is a header (magic, step, length of the body) and a body: the agent as one canonical run of bytes. All integers
are big-endian. Invariant: equal agents have equal bytes, and `decode` refuses everything that `encode` would not have
written with a ValueError that names the field, so that a bad peer can neither crash a node nor smuggle in a memory
that no agent can have.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, ClassVar

from emulator.sdk.wire import U32, U64, Fixed, Length, ManyFixed, Octets, Row, Rule, Unsigned, layout_of
from nodes.explorer.core import VISIBILITIES, Agent, Door

MAGIC = b"SkyX"
ARRIVED = b"SkyY"
MOST_NODES = 1 << 16  # numbers and names of doors are 16 bits
MOST_DOORS = 1 << 18


class Visibility(IntEnum):
    """Places in `core.VISIBILITIES`."""

    KT0 = 0
    KT1 = 1
    WALK = 2


class Flags(IntEnum):
    """What an agent remembers of a door."""

    SEEN = 0
    BELIEVED = 1
    PASSED = 2
    BELIEVED_AND_PASSED = 3


def _list(kind: Fixed, most: int, rising: int) -> ManyFixed:
    return ManyFixed(kind, most, count_bytes=4, rising=rising)


_DOOR = {"node": Unsigned(2), "name": Unsigned(2)}
_OPTIONAL = ManyFixed(Row(**_DOOR), 1, count_bytes=1)
_Nodes = Annotated[tuple[int, ...], _list(Unsigned(2), MOST_NODES, 1)]


@dataclass(frozen=True, slots=True)
class Memory:
    """An agent as it lies in the body of a frame."""

    visibility: Annotated[int, Unsigned(1, most=len(VISIBILITIES) - 1, names=Visibility)]
    seed: U64
    steps: U32
    moves: U32
    waits: U32
    replans: U32
    sweeps: U32
    visited: Annotated[_Nodes, "nodes, ever"]
    explored: Annotated[_Nodes, "nodes visited in this sweep"]
    doors: Annotated[
        tuple[tuple[int, int, int], ...],
        _list(Row(**_DOOR, flags=Unsigned(1, most=max(Flags), names=Flags)), MOST_DOORS, 2),
        "all ever seen",
    ]
    twins: Annotated[
        tuple[tuple[int, int, int, int], ...],
        _list(Row(**_DOOR, other_node=Unsigned(2), other_name=Unsigned(2)), MOST_DOORS, 4),
        "both sides of an edge, the smaller door first",
    ]
    left_by: Annotated[tuple[Door, ...], _OPTIONAL, "door taken in the last step"]
    aim: Annotated[tuple[Door, ...], _OPTIONAL, "unexplored door that the last step headed for"]

    RULES: ClassVar = (Rule("moves + waits == steps"),)


MOST_BYTES = 29 + 2 * (4 + MOST_NODES * 2) + 4 + MOST_DOORS * 5 + 4 + MOST_DOORS * 4 + 10
HEADER = Row(
    magic=Octets(4, equals=MAGIC),
    step=Unsigned(4).says("in which the agent is carried"),
    body_bytes=Length(4, most=MOST_BYTES),
)
RECEIPT = Row(magic=Octets(4, equals=ARRIVED), step=Unsigned(4).says("of the agent that has arrived"))


@dataclass(frozen=True, slots=True)
class Header:
    """Head of a frame: `body_bytes` of agent follow."""

    step: int
    body_bytes: int

    def encode(self) -> bytes:
        return HEADER.struct.pack(MAGIC, self.step, self.body_bytes)

    @classmethod
    def decode(cls, data: bytes) -> Header:
        if len(data) != HEADER.size:
            raise ValueError(f"frame: header of {len(data)} bytes, expected {HEADER.size}")
        magic, step, body_bytes = HEADER.struct.unpack(data)
        if magic != MAGIC:
            raise ValueError(f"frame: magic {magic!r}, expected {MAGIC!r}")
        if body_bytes > MOST_BYTES:
            raise ValueError(f"frame: body of {body_bytes} bytes, expected at most {MOST_BYTES}")
        return cls(step, body_bytes)


def receipt(step: int) -> bytes:
    """The answer to a frame: the agent of this step is here now, and its sender may forget it."""
    return RECEIPT.struct.pack(ARRIVED, step)


def frame(step: int, agent: Agent) -> bytes:
    """Header and body."""
    body = encode(agent)
    return Header(step, len(body)).encode() + body


def encode(agent: Agent) -> bytes:
    """The agent as bytes. ValueError where its memory is past the limits."""
    doors = sorted((node, name) for node, names in agent.ever.items() for name in names)
    memory = Memory(
        VISIBILITIES.index(agent.visibility),
        agent.seed, agent.steps, agent.moves, agent.waits, agent.replans, agent.sweeps,
        tuple(sorted(agent.visited)),
        tuple(sorted(agent.explored)),
        tuple((*door, (door in agent.believed) | (door in agent.passed) << 1) for door in doors),
        tuple((*door, *twin) for door, twin in sorted(agent.twins.items()) if door <= twin),
        () if agent.left_by is None else (agent.left_by,),
        () if agent.aim is None else (agent.aim,),
    )  # fmt: skip
    pieces: list[bytes] = []
    try:
        layout_of(Memory).write(memory, pieces)
    except ValueError as error:
        raise ValueError(f"agent: {error}") from None
    return b"".join(pieces)


def decode(body: bytes) -> Agent:
    """The agent that `encode` made these bytes of."""
    memory: Memory
    try:
        memory, end = layout_of(Memory).read(body, 0)
    except ValueError as error:
        raise ValueError(f"agent: {error}") from None
    if end != len(body):
        raise ValueError(f"agent: {len(body) - end} bytes left over, expected none")
    counters = (memory.steps, memory.moves, memory.waits, memory.replans, memory.sweeps)
    agent = Agent(VISIBILITIES[memory.visibility], memory.seed, *counters)
    agent.visited, agent.explored = set(memory.visited), set(memory.explored)
    for node, name, flags in memory.doors:
        agent.ever.setdefault(node, set()).add(name)
        agent.believed |= {(node, name)} if flags & Flags.BELIEVED else set()
        agent.passed |= {(node, name)} if flags & Flags.PASSED else set()
    known = {(node, name) for node, name, _ in memory.doors}
    for a, b, c, d in memory.twins:
        door, twin = (a, b), (c, d)
        if not door < twin or {door, twin} - known or {door, twin} & agent.twins.keys():
            raise ValueError(f"agent: twins {door} and {twin}, expected two known doors, the smaller first, once")
        agent.twins[door], agent.twins[twin] = twin, door
    agent.left_by = memory.left_by[0] if memory.left_by else None
    agent.aim = memory.aim[0] if memory.aim else None
    return agent
