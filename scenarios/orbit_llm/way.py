"""Ways between satellites, as configs have them: "sat-0101 -> sat-0202: 9.74 ms, 2 hops, 1 Mbit/s"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from emulator.model.errors import Unfit
from emulator.model.units import parse, show
from nodes.pipeline.planner.problem import Link
from nodes.pipeline.profile import PACKET_BYTES

PAYLOAD = 1448 / PACKET_BYTES  # of a packet, without the headers of IP and TCP and its timestamps
HEAD_BYTES = 97  # of a message: those headers, the frame's and the chunk's
HANDLING_S = 1.2e-3
"""From one stage to the next, beside the link: two event loops and the threads of engines (measured on 2 cores)."""
_TEXT = re.compile(r"(\S+) -> (\S+): ([^,]+), ([1-9]\d{0,2}) hops?, ([^,]+)")


@dataclass(frozen=True, slots=True)
class Way:
    """From one satellite to another along the routes."""

    source: str
    target: str
    delay_s: float
    hops: int
    rate_bps: float  # of each link

    def __str__(self) -> str:
        hops = f"{self.hops} hop{'s' if self.hops > 1 else ''}"
        delay = f"{self.delay_s * 1e3:.3f} ms"
        return f"{self.source} -> {self.target}: {delay}, {hops}, {show(self.rate_bps, 'rate')}"

    @staticmethod
    def of(text: str) -> Way:
        """Unfit for a text that tells of none."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise Unfit(f"way {text[:80]!r}", "'NODE -> NODE: DELAY, NUMBER hops, RATE'")
        way = Way(match[1], match[2], parse(match[3], "duration"), int(match[4]), parse(match[5], "rate"))
        if not way.rate_bps:
            raise Unfit(f"way {text[:80]!r}", "a rate above 0")
        return way

    def link(self) -> Link:
        """As plans have it. Each hop but the first takes a packet in before it passes it on."""
        further_bytes = HEAD_BYTES + (self.hops - 1) * PACKET_BYTES
        delay_s = self.delay_s + HANDLING_S + 8 * further_bytes / self.rate_bps
        return Link.steady(delay_s, self.rate_bps * PAYLOAD)
