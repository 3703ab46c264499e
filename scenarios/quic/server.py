"""A QUIC server that answers each stream with as many bytes as its first line asks for.

It is an ordinary aioquic program, and knows nothing of Skyloom:

    python -m scenarios.quic.server ADDRESS PORT [reno|cubic]

It makes its certificate as it starts, and logs its TLS keys where SSLKEYLOGFILE says. On SIGTERM it closes its
connections and writes server.qlog into the working folder.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

try:
    from aioquic.asyncio.protocol import QuicConnectionProtocol, QuicStreamHandler
    from aioquic.asyncio.server import serve
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.logger import QuicLogger
except ImportError as error:
    sys.exit(f"{error}; aioquic is an optional dependency: pip install 'skyloom[quic]'")
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

ALPN = "download"


def configuration(congestion: str, qlog: QuicLogger) -> QuicConfiguration:
    """aioquic's defaults, with a congestion control, a fresh certificate, a qlog and a key log."""
    made = QuicConfiguration(
        is_client=False, alpn_protocols=[ALPN], congestion_control_algorithm=congestion, quic_logger=qlog
    )
    made.private_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    now = datetime.now(UTC)
    made.certificate = (
        x509.CertificateBuilder(name, name, made.private_key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(made.private_key, SHA256())
    )
    if keys := os.environ.get("SSLKEYLOGFILE"):
        made.secrets_log_file = open(keys, "a")  # noqa: SIM115  it is open as long as the process lives
    return made


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send what the first line asks for."""
    writer.write(bytes(int(await reader.readline())))
    writer.write_eof()


async def main(address: str, port: int, congestion: str) -> QuicLogger:
    """Serve until SIGTERM; what the connections' qlog has."""
    qlog = QuicLogger()
    connections: list[QuicConnectionProtocol] = []
    answering: set[asyncio.Task[None]] = set()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    def protocol(quic: QuicConnection, stream_handler: QuicStreamHandler | None = None) -> QuicConnectionProtocol:
        connections.append(QuicConnectionProtocol(quic, stream_handler))
        return connections[-1]

    def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(answer(reader, writer))
        answering.add(task)
        task.add_done_callback(answering.discard)

    await serve(
        address, port, configuration=configuration(congestion, qlog), create_protocol=protocol, stream_handler=stream
    )
    logging.info("listening on %s port %d, congestion control %s", address, port, congestion)
    await stop.wait()
    for connection in connections:
        connection.close()
    return qlog


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logged = asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "reno"))
    Path("server.qlog").write_text(json.dumps(logged.to_dict()))
