"""What plurality consensus looks like to Wireshark."""

from __future__ import annotations

from emulator.sdk.wire import Dissector, row_message
from nodes.plurality.wire import QUERY, REPLY


def dissectors() -> list[Dissector]:
    """Queries and replies."""
    query = row_message("query", QUERY, summary="Query {number} of round {round}: {asker} asks {asked}")
    reply = row_message("reply", REPLY, summary="Reply {number} of round {round}: {asked} tells {asker} {opinion}")
    return [Dissector("plurality", "Plurality consensus", "udp", (query, reply), ports=(4300,))]
