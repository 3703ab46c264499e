"""What traffic looks like to Wireshark: probes, bulk flows, requests."""

from __future__ import annotations

from emulator.sdk.wire import Dissector, Rest, row_message
from nodes.traffic.wire import GREETING, LARGEST_PROBE_BYTES, PROBE, REQUEST


def dissectors() -> list[Dissector]:
    """Of the three programs, at the ports that they have unless told otherwise."""
    probe = row_message(
        "probe", PROBE, {"padding": Rest(zero=True)}, summary="Probe {way} {sequence}", most_bytes=LARGEST_PROBE_BYTES
    )
    greeting = row_message("greeting", GREETING, summary="Flow {flow} begins")
    request = row_message(
        "request", REQUEST, {"body": Rest()}, summary="Request of {request_bytes} bytes for {response_bytes} bytes"
    )
    return [
        Dissector("probe", "Skyloom probe", "udp", (probe,), ports=(4242,)),
        Dissector("bulk", "Skyloom bulk flow", "tcp", (greeting,), ports=(5001,), opaque="flow_data"),
        Dissector("request", "Skyloom request", "tcp", (request,), ports=(8080,), opaque="body"),
    ]
