"""Byzantine validators: correct cores whose messages are changed, for simulations and for processes.

`turn(behaviour, …)` returns a replacement for a primary's core, `turn_worker` for a worker's; `BEHAVIOURS` are the
names. Invariant: a Byzantine validator has only its own key, so a committee must tolerate f of them.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import cast

from emulator.model.errors import Unfit
from nodes.dagbft.byzantine.client_service import FalseClientService
from nodes.dagbft.byzantine.core import ByzantineCore
from nodes.dagbft.byzantine.flood import Flooder
from nodes.dagbft.byzantine.headers import BadCoin, Equivocator, Shunner, WrongShard, WrongSummary, WrongWorker
from nodes.dagbft.byzantine.hide import Hider
from nodes.dagbft.byzantine.memory import TwiceWiped, VoteLoser
from nodes.dagbft.byzantine.silence import BatchWithholder, CertificateWithholder, Silent, SilentLeader, Slow
from nodes.dagbft.byzantine.snapshots import SnapshotForger
from nodes.dagbft.byzantine.votes import DoubleVoter, Twins
from nodes.dagbft.primary.client_service import ClientService
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.worker.core import WorkerCore

Again = Callable[[], PrimaryCore]  # makes another core of the same validator, with an empty disk and its own coin

_PRIMARIES: dict[str, Callable[[PrimaryCore], ByzantineCore]] = {
    "equivocate": Equivocator,
    "double-vote": DoubleVoter,
    "wrong-shard": WrongShard,
    "wrong-summary": WrongSummary,
    "wrong-worker": WrongWorker,
    "bad-coin": BadCoin,
    "shun": Shunner,
    "silent": Silent,
    "silent-leader": SilentLeader,
    "withhold-certificates": CertificateWithholder,
    "hide": Hider,
    "lost-vote": VoteLoser,
    "false-snapshot": SnapshotForger,
    "flood": lambda core: Flooder(core, Random(f"flood/{core.me}")),
}
_WORKERS = ("withhold-batches",)
_CLIENT_SERVICES = ("false-results",)  # send false results to clients
BEHAVIOURS = ("honest", *_PRIMARIES, "twins", "wiped-twice", "slow", "slow-leader", *_WORKERS, *_CLIENT_SERVICES)


def turn(behaviour: str, core: PrimaryCore, again: Again, *, delay_s: float = 0.8, swap_s: float = 5.0) -> PrimaryCore:
    """A core with this behaviour. `delay_s`: delay of slow ones; `swap_s`: time between changes of peers of twins.

    Raises ValueError for an unknown behaviour. One that concerns workers or clients returns the core unchanged.
    """
    if behaviour in ("honest", *_WORKERS, *_CLIENT_SERVICES):
        return core
    if behaviour == "twins":
        liar: ByzantineCore = Twins(core, again(), swap_s)
    elif behaviour == "wiped-twice":
        liar = TwiceWiped(core, again, swap_s)
    elif behaviour in ("slow", "slow-leader"):
        liar = Slow(core, delay_s, leading=behaviour == "slow-leader")
    elif behaviour in _PRIMARIES:
        liar = _PRIMARIES[behaviour](core)
    else:
        raise Unfit(f"behaviour {behaviour!r}", f"one of {', '.join(BEHAVIOURS)}")
    return cast(PrimaryCore, liar)  # has the same interface


def client_service_of(behaviour: str) -> type[ClientService]:
    """The class of the client service; only "false-results" differs from correct validators."""
    return FalseClientService if behaviour in _CLIENT_SERVICES else ClientService


def turn_worker(behaviour: str, core: WorkerCore, n: int) -> WorkerCore:
    """A worker's core with this behaviour; only "withhold-batches" changes it."""
    if behaviour not in BEHAVIOURS:
        raise Unfit(f"behaviour {behaviour!r}", f"one of {', '.join(BEHAVIOURS)}")
    return cast(WorkerCore, BatchWithholder(core, n)) if behaviour in _WORKERS else core


__all__ = ["BEHAVIOURS", "ByzantineCore", "client_service_of", "turn", "turn_worker"]
