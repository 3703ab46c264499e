"""What a simulation of a committee is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.primary.payload import Keys
from nodes.dagbft.simulate.network import Delay, five_regions
from nodes.dagbft.uncertified.config import UncertifiedConfig
from nodes.dagbft.worker.core import WorkerConfig


def _no_keys(body: bytes) -> Keys:
    return frozenset()


@dataclass(frozen=True, slots=True)
class Settings:
    """What a simulation is made of."""

    n: int = 4
    seed: int = 0
    workers: int = 1
    delay: Delay = five_regions
    primary: PrimaryConfig = field(default_factory=PrimaryConfig)
    worker: WorkerConfig = field(default_factory=WorkerConfig)
    signatures: bool = False  # real Ed25519 ones, in place of cheap seals
    threshold_coin: bool = False
    uncertified: UncertifiedConfig | None = None  # in place of `primary`: validators without certificates
    write_keys: Callable[[bytes], Keys] = _no_keys  # that a batch may write; a ledger knows itself
    ledger: bool = False  # whether validators execute: batches are then of transactions as `execution` has them
    bare: bool = False  # whether certificates travel without headers, as between processes
    turn_s: float = 0.0  # what a core wants is carried out so late, and other inputs may come before, as in a process
