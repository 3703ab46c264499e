"""Keys of links that topologies have in common: queues, rates and probabilities as a scenario writes them.

Invariant: a text that validates as a `Queue` is one that `effects` understands.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from emulator.model import units
from emulator.model.errors import Unfit
from emulator.model.network import Effects
from emulator.model.units import Rate, Share


def effects(queue: str) -> Effects:
    """Effects of a link end with a drop-tail queue such as "100 ms", "64 KiB" or "50 packets"."""
    value = units.parse(queue, "queue")
    unit = units.split(queue)[1]
    if unit == "packets":
        return Effects(queue_packets=value)
    return Effects(queue_s=value) if unit in ("ms", "s") else Effects(queue_bytes=value)


def _queue(text: str) -> str:
    effects(text)
    return text


def _positive(value: float) -> float:
    if value <= 0:
        raise Unfit("0 bit/s", "a rate above 0")
    return value


def _share(value: float) -> float:
    if value > 1:
        raise Unfit(f"{units.show(value, 'share')}", "a share of at most 100 %")
    return value


Queue = Annotated[str, AfterValidator(_queue)]
PositiveRate = Annotated[Rate, AfterValidator(_positive)]
Probability = Annotated[Share, AfterValidator(_share)]
