"""Consensus as a pure function of a DAG file: from blocks with parents to the log of commits, byte for byte.

Invariant: the log depends on the DAG alone, not on the order in which blocks are added. So a replay of the DAG that a
simulation, or a run over sockets, has recorded gives the log that it wrote.

A file is JSON: `name`, `note`, `n`, `protocol` (a rule's name), `leaders` (authors in turn, or {"seed":
7}), `coin` (authors by wave, or {"seed": 7}), `order`, `look_back`, `least_parents`, `blocks` [[round, author, [parent
authors], mode], …] (the mode where a header says one: 0 none, 1 steady, 2 fallback) and, in fixtures, `views`: parts of
the DAG with the commits and the early set that are expected of a validator that holds just these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from emulator.model.errors import Unfit
from emulator.model.inputs import parse_json
from nodes.dagbft.consensus.coin import ListedCoin, SeededCoin
from nodes.dagbft.consensus.committee import Committee, Hashed, Schedule, Turns
from nodes.dagbft.consensus.core import Commit, Consensus, Event, Rules
from nodes.dagbft.consensus.dag import FALLBACK, NONE, STEADY, Block, Slot, members


@dataclass(frozen=True, slots=True)
class DagFile:
    """The content of a DAG file."""

    name: str
    committee: Committee
    rules: Rules
    coin: list[int] | int  # authors by wave, or a seed
    blocks: list[Block]
    document: dict[str, Any]

    def new_coin(self) -> SeededCoin:
        """A new coin, without any blocks."""
        if isinstance(self.coin, int):
            return SeededCoin(self.committee, self.coin)
        return ListedCoin(self.committee, self.coin)


def read(text: str) -> DagFile:
    """Read a DAG file. ValueError with the found and the expected value."""
    document = parse_json(text)
    if not isinstance(document, dict):
        raise Unfit(f"{type(document).__name__}", "an object with the keys n and blocks")
    committee = Committee(_whole(document, "n", None))
    schedule: Schedule
    match document.get("leaders", list(range(committee.n))):
        case {"seed": int(seed)}:
            schedule = Hashed(committee.n, seed)
        case authors:
            schedule = Turns(_authors("leaders", authors, committee.n))
    match document.get("coin", {"seed": 0}):
        case {"seed": int(seed)}:
            coin: list[int] | int = seed
        case authors:
            coin = _authors("coin", authors, committee.n)
    rules = Rules(
        protocol=str(document.get("protocol", "asynchronous")),
        schedule=schedule,
        order=str(document.get("order", "causal")),
        look_back=_whole(document, "look_back", 50),
        least_parents=_whole(document, "least_parents", committee.quorum),
    )
    rows = document.get("blocks", [])
    if not isinstance(rows, list):
        raise Unfit(f"blocks {rows!r}", "a list of blocks")
    blocks = [_block(row, committee.n) for row in rows]
    return DagFile(str(document.get("name", "")), committee, rules, coin, blocks, document)


def _whole(document: dict[str, Any], key: str, default: int | None) -> int:
    value = document.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Unfit(f"{key} {value!r}", "a whole number above 0")
    return value


def _authors(key: str, found: object, n: int) -> list[int]:
    if not isinstance(found, list) or not found or not all(type(a) is int and 0 <= a < n for a in found):
        raise Unfit(f"{key} {found!r}", f"one or more authors in 0..{n - 1}, or a seed")
    return found


_MODES: dict[tuple[object, ...], int | None] = {(): None, (NONE,): NONE, (STEADY,): STEADY, (FALLBACK,): FALLBACK}


def _block(row: object, n: int) -> Block:
    match row:
        case [int(round), int(author), list(parents), *mode] if all(type(a) is int and 0 <= a < n for a in parents):
            if len(set(parents)) == len(parents) and (found := _MODES.get(tuple(mode), -1)) != -1:
                return Block(round, author, sum(1 << parent for parent in parents), mode=found)
    raise Unfit(f"block {row!r}", f"[round, author, [distinct parent authors in 0..{n - 1}]]")


def write(name: str, committee: Committee, protocol: str, blocks: Iterable[Block], **more: Any) -> str:
    """The text of a DAG file; `more` are its further keys."""
    rows = ",\n  ".join(json.dumps(_row(block)) for block in blocks)
    head = {"name": name, "n": committee.n, "protocol": protocol, **more}
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    return "{" + ",\n".join(lines) + ',\n"blocks": [\n  ' + rows + "]}\n"


def _row(block: Block) -> list[object]:
    row: list[object] = [block.round, block.author, list(members(block.parents))]
    return row if block.mode is None else [*row, block.mode]


def play(file: DagFile, slots: Iterable[Slot] | None = None) -> tuple[Consensus, list[Event]]:
    """Add the blocks of these slots, all by default, to one validator, in the order (round, author).

    Each coin value is set once f + 1 blocks of its wave's last round were added. Raises dag.Refused, a ValueError.
    """
    chosen = None if slots is None else set(slots)
    return feed(
        sorted(b for b in file.blocks if chosen is None or b.slot in chosen),
        file.committee,
        file.rules,
        file.new_coin(),
    )


def with_modes(blocks: Iterable[Block], committee: Committee, rules: Rules, coin: SeededCoin) -> list[Block]:
    """The blocks, in causal order, with the modes that correct authors put into them; no round is collected."""
    found: list[Block] = []
    author = Consensus(committee, replace(rules, keep=1 << 40, early=False))
    for block in blocks:
        certified = block._replace(mode=author.rule.mode_for(block))
        author.add(certified)
        if author.rule.needs_coin and (value := coin.reveal(block)):
            author.coin(*value)
        found.append(certified)
    return found


def feed(
    blocks: Iterable[Block], committee: Committee, rules: Rules, coin: SeededCoin
) -> tuple[Consensus, list[Event]]:
    """Add blocks to one validator in this order, which must be causal."""
    validator = Consensus(committee, rules)
    events: list[Event] = []
    for block in blocks:
        events += validator.add(block)
        if validator.rule.needs_coin and (value := coin.reveal(block)):
            events += validator.coin(*value)
    return validator, events


def commit_log(events: Iterable[Event]) -> bytes:
    """The commits among these events as canonical text, one line each: number, kind, leader, blocks."""
    lines = []
    for event in events:
        if isinstance(event, Commit):
            blocks = " ".join(f"{round}.{author}" for round, author in event.blocks)
            lines.append(f"{event.number} {event.kind} {event.leader[0]}.{event.leader[1]}: {blocks}\n")
    return "".join(lines).encode()
