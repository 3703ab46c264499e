"""What an exploring agent looks like to Wireshark: the frame that carries it, and the receipt."""

from __future__ import annotations

from emulator.sdk.wire import Dissector, Message, layout_of, row_message
from nodes.explorer.wire import HEADER, RECEIPT, Memory


def dissectors() -> list[Dissector]:
    """Frames one way and receipts the other, over TCP."""
    memory = layout_of(Memory)
    agent = Message(
        "agent",
        {**HEADER.parts, **memory.parts},
        summary="Agent of step {step} after {moves} moves, {visited} nodes visited",
        rules=memory.rules,
    )
    receipt = row_message("receipt", RECEIPT, summary="Agent of step {step} has arrived")
    return [Dissector("explorer", "Exploring agent", "tcp", (agent, receipt), ports=(4244,))]
