"""One section of a capture: interfaces as they come up, packets, keys and, at its end, statistics.

Invariant: a section is complete in itself. Where its output rotates to another file, that file begins with a section
header, the names and every key told so far, and describes each interface before the first packet on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from emulator.record.pcapng import Interface, PcapngWriter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_UNWRITTEN_BYTES = 256 * 2**10


class Output(Protocol):
    """Where a section goes."""

    rotates: bool  # whether `due` may ever say yes

    def write(self, data: bytes) -> None:
        """Take whole blocks."""

    def due(self, left_s: float, unwritten_bytes: int) -> bool:
        """Whether a packet that left at this scenario time belongs into a new file; what is unwritten does not."""

    def turn(self) -> None:
        """Go on to a new file."""


class Section:
    """Writes packets to an output. `described` are its link ends as they are called at first;
    `t0_utc_ns` is the time of day of scenario time 0."""

    def __init__(
        self,
        output: Output,
        described: Mapping[int, Interface],
        t0_utc_ns: int,
        comment: str = "",
        names: Mapping[bytes, str] | None = None,
    ) -> None:
        self._output = output
        self._t0_ns = t0_utc_ns
        self._comment = comment
        self._names = names or {}
        self._described = dict(described)
        self._keys: list[bytes] = []
        self._begin()

    def _begin(self) -> None:
        self._blocks: list[bytes] = []
        self._unwritten_bytes = 0
        self._writer = PcapngWriter(self._put, comment=self._comment, application="skyloom", os="Linux")
        self._numbers: dict[Interface, int] = {}
        self._received: list[int] = []
        self._lost: list[int] = []
        self._last_ns = 0
        if self._names:
            self._writer.names(self._names)
        for key_log in self._keys:
            self._writer.secrets(key_log)
        for interface in self._described.values():
            self._number(interface)
        self.flush()

    def _number(self, interface: Interface) -> int:
        number = self._numbers.get(interface)
        if number is None:
            number = self._numbers[interface] = self._writer.interface(interface)
            self._received.append(0)
            self._lost.append(0)
        return number

    def describe(self, end: int, interface: Interface) -> None:
        """A link end goes by another name; files that follow begin with it."""
        self._described[end] = interface

    def packet(
        self, interface: Interface, left_s: float, data: bytes, length: int, comment: str = "", dropped: bool = False
    ) -> None:
        """A packet that left (or was dropped) at a scenario time."""
        if self._output.rotates and self._output.due(left_s, self._unwritten_bytes):
            self.finish(None)
            self._output.turn()
            self._begin()
        number = self._numbers.get(interface)
        if number is None:
            number = self._number(interface)
        left_ns = round(left_s * 1e9)
        self._received[number] += 1
        self._lost[number] += dropped
        if left_ns > self._last_ns:
            self._last_ns = left_ns
        self._writer.packet(number, self._t0_ns + left_ns, data, length, comment)
        if self._unwritten_bytes > MOST_UNWRITTEN_BYTES:
            self.flush()

    @property
    def rotates(self) -> bool:
        """Whether any packet may belong into a new file."""
        return self._output.rotates

    def packets(self, interface: Interface, left_s: NDArray[np.float64], rows: NDArray[np.uint8], length: int) -> None:
        """Many packets of one size that were sent, a row each, where nothing rotates."""
        import numpy as np

        number = self._number(interface)
        left_ns = np.rint(left_s * 1e9).astype(np.int64)
        self._received[number] += len(rows)
        self._last_ns = max(self._last_ns, int(left_ns.max()))
        self._writer.packets(number, self._t0_ns + left_ns, rows, length)
        if self._unwritten_bytes > MOST_UNWRITTEN_BYTES:
            self.flush()

    def secrets(self, key_log: bytes) -> None:
        """TLS keys (SSLKEYLOGFILE lines) for what follows."""
        self._keys.append(key_log)
        self._writer.secrets(key_log)
        self.flush()

    def finish(self, not_captured: int | None) -> None:
        """Write the statistics of each interface. `not_captured`: packets that the capture left out of each of them."""
        for number in self._numbers.values():
            received, lost = self._received[number], self._lost[number]
            self._writer.statistics(number, self._t0_ns, self._t0_ns + self._last_ns, received, lost, not_captured)
        self.flush()

    def _put(self, block: bytes) -> None:
        self._blocks.append(block)
        self._unwritten_bytes += len(block)

    def flush(self) -> None:
        """Hand over what is written."""
        if self._blocks:
            data = b"".join(self._blocks)
            self._blocks.clear()
            self._unwritten_bytes = 0
            self._output.write(data)
