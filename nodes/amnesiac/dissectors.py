"""What amnesiac flooding looks like to Wireshark: the message in a datagram of a round."""

from __future__ import annotations

from emulator.sdk.rounds import message
from emulator.sdk.wire import Dissector


def dissectors() -> list[Dissector]:
    """The one message there is."""
    return [Dissector("amnesiac", "Amnesiac flooding", "udp", (message("flood"),), ports=(4243,))]
