"""Random effects of a link end, chained in one place: loss, burst loss, duplication, corruption, jitter.

Invariant: each effect draws from a stream of its own, named by seed, end and effect, and draws for every packet that
reaches it: equal seeds and equal packets give equal decisions, whatever the other effects are set to.
"""

from __future__ import annotations

from random import Random

from emulator.model.network import Effects
from oracle.packet_bytes import VIRTIO, completed

Copies = list[tuple[bytes, float]]  # packet and added delay


class Impairments:
    """The chain for one link end. Packets without any effect never come here."""

    __slots__ = ("_bad", "_effects", "_ip", "_name", "_seed", "_streams", "corrupted", "duplicated")

    def __init__(self, effects: Effects, seed: int, end_name: str, ip: int = VIRTIO) -> None:
        self._effects = effects
        self._seed = seed
        self._name = end_name
        self._ip = ip
        self._bad = False  # state of the Gilbert–Elliott chain
        self._streams: dict[str, Random] = {}
        self.duplicated = 0
        self.corrupted = 0

    def _stream(self, effect: str) -> Random:
        stream = self._streams.get(effect)
        if stream is None:
            stream = self._streams[effect] = Random(f"{self._seed}/link/{self._name}/{effect}")
        return stream

    def copies(self, data: bytes, loss: float) -> Copies:
        """What becomes of one packet as it leaves: no copy (lost), one, or two, each with its jitter.

        `loss` is the scheduled probability at the instant of departure.
        """
        effects = self._effects
        if loss > 0.0 and self._stream("loss").random() < loss:
            return []
        if effects.burst_loss is not None and self._lost_in_burst():
            return []
        count = 1
        if effects.duplicate > 0.0 and self._stream("duplicate").random() < effects.duplicate:
            self.duplicated += 1
            count = 2
        out = []
        for _ in range(count):
            copy = data
            if effects.corrupt > 0.0 and self._stream("corrupt").random() < effects.corrupt:
                copy = self._flipped(data)
            jitter = self._stream("jitter").random() * 2.0 * effects.jitter_s if effects.jitter_s > 0.0 else 0.0
            out.append((copy, jitter))
        return out

    def _lost_in_burst(self) -> bool:
        """One step of the Gilbert–Elliott chain: the state changes first, then the packet meets the new state."""
        burst = self._effects.burst_loss
        assert burst is not None
        stream = self._stream("burst")
        if stream.random() < (burst.bad_to_good if self._bad else burst.good_to_bad):
            self._bad = not self._bad
        return stream.random() < (burst.loss_bad if self._bad else burst.loss_good)

    def _flipped(self, data: bytes) -> bytes:
        """The packet with one bit flipped beyond its IP header, so that it still arrives and is found to be bad."""
        ip = self._ip
        first = ip + ((data[ip] & 15) * 4 if data[ip] >> 4 == 4 else 40) if len(data) > ip else len(data)
        bit = self._stream("corrupt").random()
        if first >= len(data):
            return data
        whole = bytearray(completed(data))
        number = int(bit * (len(whole) - first) * 8)
        whole[first + number // 8] ^= 1 << number % 8
        self.corrupted += 1
        return bytes(whole)
