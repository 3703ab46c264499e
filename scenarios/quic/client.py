"""A QUIC client that downloads from a server of server.py over one connection, for a time or until SIGTERM.

It is an ordinary aioquic program, and knows nothing of Skyloom:

    python -m scenarios.quic.client ADDRESS PORT SECONDS

Two streams are open at a time and end at different times, so that the server always has something to send. It logs TLS
keys where SSLKEYLOGFILE says. At its end it writes client.qlog into the working folder, and snmp.txt: the kernel's
counters, which tell whether datagrams were lost because this process read too slowly (Udp, RcvbufErrors).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import ssl
import sys
from pathlib import Path

try:
    from aioquic.asyncio.client import connect
    from aioquic.asyncio.protocol import QuicConnectionProtocol
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.logger import QuicLogger
except ImportError as error:
    sys.exit(f"{error}; aioquic is an optional dependency: pip install 'skyloom[quic]'")

ALPN = "download"
OBJECT_BYTES = 4_000_000
READ_BYTES = 1 << 16


def configuration(qlog: QuicLogger) -> QuicConfiguration:
    """aioquic's defaults, with a qlog and a key log; the server's fresh certificate cannot be verified."""
    made = QuicConfiguration(alpn_protocols=[ALPN], quic_logger=qlog, verify_mode=ssl.CERT_NONE)
    if keys := os.environ.get("SSLKEYLOGFILE"):
        made.secrets_log_file = open(keys, "a")  # noqa: SIM115  it is open as long as the process lives
    return made


async def download(connection: QuicConnectionProtocol, first_bytes: int) -> None:
    """Objects one after the other, without an end; the first has its own size."""
    size = first_bytes
    while True:
        reader, writer = await connection.create_stream()
        writer.write(b"%d\n" % size)
        writer.write_eof()
        while await reader.read(READ_BYTES):
            pass
        size = OBJECT_BYTES


def save(qlog: QuicLogger) -> None:
    """Write what is known at the end."""
    Path("client.qlog").write_text(json.dumps(qlog.to_dict()))
    Path("snmp.txt").write_text(Path("/proc/net/snmp").read_text())


async def main(address: str, port: int, duration_s: float) -> None:
    """Download for so long, or until SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.call_later(duration_s, stop.set)
    qlog = QuicLogger()
    async with connect(address, port, configuration=configuration(qlog)) as connection:
        logging.info("connected to %s port %d", address, port)
        downloads = [asyncio.create_task(download(connection, size)) for size in (OBJECT_BYTES, OBJECT_BYTES // 2)]
        await asyncio.wait([asyncio.create_task(stop.wait()), *downloads], return_when=asyncio.FIRST_COMPLETED)
        for task in downloads:
            task.cancel()
        connection.close()
        save(qlog)  # now: the connection stays for three more timeouts, which may be longer than this process may live


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
