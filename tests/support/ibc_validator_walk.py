"""Random walks of a committee: crashes at any point, restarts, cuts, loss and liars, then calm."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from ibc_chain import NAMES, send
from ibc_committee import Committee

from nodes.ibc.chain.keys import ValidatorKey
from nodes.ibc.proto.comet import BlockID, PartSetHeader
from nodes.ibc.validator.core import Effects
from nodes.ibc.validator.items import Item
from nodes.ibc.validator.tally import signed_bytes

STEPS = 8
CALM_S = 6.0


def walk(seed: int) -> None:
    """One walk: at most one validator lies, others crash and are cut off; in the end all honest ones have one chain."""
    random = Random(f"validators/{seed}")
    committee = Committee(seed=seed)
    liars = {3} if random.random() < 0.4 else set()
    for liar in liars:
        committee.say[liar] = lambda data: _lie(data, liar, random)  # noqa: B023 - there is one at most
    committee.start().run(1)
    honest = [number for number in range(4) if number not in liars]
    down: set[int] = set()
    for _ in range(STEPS):
        what = random.choice(("crash", "crash in a step", "restart", "cut", "heal", "lose", "send", "send"))
        up = [number for number in honest if number not in down and committee.cores[number] is not None]
        if what == "crash" and up and not down:
            down.add(number := random.choice(up))
            committee.crash(number)
        elif what == "crash in a step" and not down:
            committee.crash_point = _crash_once(random, honest)
        elif what == "cut":
            lonely = random.choice(honest)
            committee.simulation.network.cut([[lonely], [number for number in range(4) if number != lonely]])
        elif what == "heal":
            committee.simulation.network.heal()
        elif what == "lose":
            committee.simulation.network.loss = random.choice((0.0, 0.05))
        elif what == "send" and up:
            _send(committee, random, random.choice(up))
        if what == "restart":
            _restart(committee, down)
        committee.run(random.choice((0.05, 0.3, 1.0)))
        down |= {number for number in honest if committee.cores[number] is None}
    committee.crash_point = None
    committee.simulation.network.loss = 0.0
    committee.simulation.network.heal()
    _restart(committee, down)
    before = max(core.chain.height for core in committee.cores if core is not None)
    committee.run(CALM_S)
    committee.require_one_chain(*liars)
    assert committee.height(*honest) > before + 2, f"seed {seed}: the chain stands at {committee.height(*honest)}"


def _restart(committee: Committee, down: set[int]) -> None:
    for number in sorted(down):
        committee.restart(number)
    down.clear()


def _crash_once(random: Random, honest: list[int]):  # type: ignore[no-untyped-def]
    victim, point, wait = random.choice(honest), random.choice(("before", "after")), random.randrange(1, 5)
    seen = 0

    def crash(number: int, effects: Effects) -> str:
        nonlocal seen
        if number != victim or not effects.persist:
            return ""
        seen += 1
        return point if seen == wait else ""

    return crash


def _send(committee: Committee, random: Random, number: int) -> None:
    """A payment of an account whose sequence the committee's own count may be ahead of: it may be refused."""
    sender = NAMES[number % len(NAMES)]
    committee.submit(number, committee.tx(sender, send(sender, random.choice(NAMES), stake=1)))


def _lie(data: bytes, liar: int, random: Random) -> list[bytes]:
    vote = Item.decode(data).vote
    if vote is None or random.random() < 0.3:
        return [data] * random.choice((0, 1, 2))
    other = replace(vote, block_id=BlockID(random.randbytes(32), PartSetHeader(1, random.randbytes(32))))
    key = ValidatorKey(f"skyloom-1/validator/{liar}/0")
    other = replace(other, signature=key.sign(signed_bytes("skyloom-1", other)))
    unsigned = replace(vote, signature=random.randbytes(64))
    said = [data, Item(vote=other).encode(), Item(vote=unsigned).encode()]
    return random.sample(said, random.randrange(4))
