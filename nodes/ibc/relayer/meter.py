"""What procedures of a relayer measure: how long stages and transactions took.

Invariant: what is kept is bounded. The latency of a transaction is that of the packet in it which waited longest, from
when the relayer saw what there was to do. Times under Hermes' names are in milliseconds, and in its classes.
Source: Hermes 1.13, telemetry (names, buckets).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from nodes.ibc.relayer.packets import End

_BUCKETS = 10
_LONGEST_MS = {"tx_latency_submitted": 10_000, "tx_latency_confirmed": 20_000}
_MOST_SAMPLES = 10_000  # that wait to be taken


@dataclass(slots=True)
class Latencies:
    """How long some transactions took, in classes of equal width up to `longest_ms`, and one beyond."""

    longest_ms: int
    counts: list[int] = field(default_factory=lambda: [0] * (_BUCKETS + 1))
    sum_ms: float = 0.0

    @property
    def bounds_ms(self) -> list[int]:
        return [self.longest_ms * place // _BUCKETS for place in range(1, _BUCKETS + 1)]

    def add(self, length_ms: float) -> None:
        self.counts[bisect_left(self.bounds_ms, length_ms)] += 1
        self.sum_ms += length_ms


class Meter:
    """What procedures report."""

    def __init__(self) -> None:
        self.samples: list[tuple[str, float, str]] = []  # name, value, key: since they were last taken
        self.latencies: dict[tuple[str, End, End], Latencies] = {}  # by name and direction

    def stage(self, name: str, length_s: float) -> None:
        """A stage of a round took so long (`lanes.Stages` has their names)."""
        self._sample("stage_s", length_s, name)

    def latency(self, name: str, source: End, target: End, length_s: float) -> None:
        """A transaction with packets, from one end to the other, took so long."""
        self._sample(name, 1e3 * length_s, f"{source.name} to {target.name}")
        self.latencies.setdefault((name, source, target), Latencies(_LONGEST_MS[name])).add(1e3 * length_s)

    def take(self) -> list[tuple[str, float, str]]:
        taken, self.samples = self.samples, []
        return taken

    def _sample(self, name: str, value: float, key: str) -> None:
        self.samples.append((name, value, key))
        del self.samples[:-_MOST_SAMPLES]
