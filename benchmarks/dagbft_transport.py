"""DAG-BFT messages and links: cost of codec and signatures, and what one TLS link carries between two processes.

`python -m benchmarks.dagbft_transport`; a few seconds. A receiver process listens, a sender process keeps its queue
filled for a second; the receiver counts.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop

from emulator.model.clock import MonotonicClock
from emulator.sdk.node import NodeContext, Peer
from emulator.sdk.transport.local import LocalLink, LocalServer
from nodes.dagbft.field_types import batch_digest
from nodes.dagbft.identity import Identity, Roster, Verifier, check_certificate, check_header
from nodes.dagbft.links import validator_mesh
from nodes.dagbft.messages import CODEC, Batch, Certificate, Header, Message, SubmitTx, Vote
from nodes.dagbft.wire import decode, encode

NAMES = [f"v{number}" for number in range(10)]
IDENTITIES = [Identity.of(1, name) for name in NAMES]
HOST = "127.0.0.1"
MEASURED_S = 1.0


class NoSink:
    def event(self, t_s: float, kind: str, fields: dict[str, Any]) -> None: ...
    def sample(self, t_s: float, name: str, value: float, key: str) -> None: ...


def context(name: str) -> NodeContext:
    peers = {each: Peer(each, "host", HOST) for each in NAMES}
    return NodeContext(
        name=name, program="primary", seed=1, address=peers[name], peers=peers, store=Path("/nonexistent"),
        clock=MonotonicClock(0), sink=NoSink(),
    )  # fmt: skip


def each_us(do: Callable[[], object], for_s: float = 0.2) -> float:
    """Mean duration of a call, the best of three tries."""
    best = float("inf")
    for _ in range(3):
        count, begin = 0, time.perf_counter()
        while (took := time.perf_counter() - begin) < for_s / 3:
            do()
            count += 1
        best = min(best, took / count)
    return best * 1e6


def block(n: int) -> Certificate:
    """A certificate of n validators with all parents and four batches, rightly signed."""
    roster = Roster.of(1, NAMES[:n])
    committee = roster.committee
    digests = tuple(sorted(batch_digest(bytes([number])) for number in range(n)))
    plain = Header(
        0, 2, 7, tuple((each, 0) for each in digests[:4]), b"", digests, committee.shard(2, 7), digests[0], b"", 1,
        bytes(8), bytes(64),
    )  # fmt: skip
    header = Header(
        *[getattr(plain, name) for name in plain.__dataclass_fields__ if name != "signature"],
        IDENTITIES[2].sign(plain.id),
    )
    name = Certificate(header, ()).digest
    return Certificate(header, tuple((voter, IDENTITIES[voter].sign(name)) for voter in range(committee.quorum)))


def codec() -> None:
    certificate = block(10)
    roster = Roster.of(1, NAMES)
    header = certificate.header
    vote = Vote(header.id, 7, 2, 0, certificate.votes[0][1])
    messages: list[Message] = [vote, header, certificate, SubmitTx(bytes(512)), Batch(os.urandom(500_000))]
    print("message (n = 10)        bytes   encode µs   decode µs")
    for message in messages:
        data = encode(message)
        print(f"{type(message).__name__:20} {len(data):8} {each_us(lambda m=message: encode(m)):11.1f} "
              f"{each_us(lambda d=data: decode(d)):11.1f}")  # fmt: skip
    data = encode(header)
    known, forgetful = Verifier(), Verifier(most=0)
    check_certificate(certificate, roster, known)
    print(f"header id            {each_us(lambda: decode(data).id):8.1f} µs with decoding")
    print(f"sign                 {each_us(lambda: IDENTITIES[0].sign(header.id)):8.1f} µs")
    print(f"check header         {each_us(lambda: check_header(header, roster, forgetful)):8.1f} µs")
    print(f"check certificate    {each_us(lambda: check_certificate(certificate, roster, forgetful)):8.1f} µs, afresh")
    print(f"  votes were seen    {each_us(lambda: check_certificate(certificate, roster, known)):8.1f} µs")
    print(f"batch digest 500 kB  {each_us(lambda: batch_digest(bytes(500_000))):8.1f} µs")


async def receive(pipe: Connection, tls: bool) -> None:
    """Count what comes until told to stop."""
    count = 0

    def take(_key: Any, _message: Message) -> None:
        nonlocal count
        count += 1

    if tls:
        endpoint: Any = validator_mesh(context("v1"), IDENTITIES[1], NAMES[:2], take, service="x", port=0)
    else:
        endpoint = LocalServer(context("v1"), CODEC, take, service="x", port=0)
    pipe.send(await endpoint.open())
    running = asyncio.ensure_future(endpoint.run())
    loop = asyncio.get_running_loop()
    stop = loop.create_future()
    marks: list[tuple[float, int, float]] = []

    def told() -> None:
        marks.append((time.perf_counter(), count, time.process_time()))
        if pipe.recv() == "stop":
            stop.set_result(None)

    loop.add_reader(pipe.fileno(), told)
    await stop
    loop.remove_reader(pipe.fileno())
    (begin_s, begin, begin_cpu), (end_s, end, end_cpu) = marks[-2:]
    pipe.send(((end - begin) / (end_s - begin_s), (end_cpu - begin_cpu) / (end_s - begin_s)))
    running.cancel()
    endpoint.close()


def receiver(pipe: Connection, tls: bool) -> None:
    uvloop.run(receive(pipe, tls))


async def send(pipe: Connection, tls: bool, message: Message) -> tuple[float, float, float]:
    """Keep the queue filled; messages a second, and the processors' shares of receiver and sender."""
    port = pipe.recv()
    if tls:
        endpoint: Any = validator_mesh(
            context("v0"), IDENTITIES[0], NAMES[:2], lambda *_: None, service="x", port=0, ports=[0, port]
        )
    else:
        endpoint = LocalLink(context("v0"), CODEC, lambda *_: None, service="x", label="y", port=port)
    key: Any = 1 if tls else "x"
    running = asyncio.ensure_future(endpoint.run())
    begin_s = time.perf_counter()
    asked = False
    cpu = time.process_time()
    while (elapsed_s := time.perf_counter() - begin_s) < MEASURED_S + 0.5:
        if elapsed_s > 0.5 and not asked:
            pipe.send("begin")
            asked, cpu = True, time.process_time()
        for _ in range(200):
            if not endpoint.send(key, message):
                break
        await asyncio.sleep(0)
    share = (time.process_time() - cpu) / MEASURED_S
    pipe.send("stop")
    rate, receiver_share = pipe.recv()
    running.cancel()
    endpoint.close()
    return rate, receiver_share, share


def links() -> None:
    print("\nlink                 message     per s      MB/s   CPU receiver   sender")
    for tls in (True, False):
        for size, message in (
            (100, SubmitTx(bytes(95))),
            (512, SubmitTx(bytes(507))),
            (500_000, Batch(os.urandom(500_000))),
        ):
            ours, theirs = get_context("fork").Pipe()
            process = get_context("fork").Process(target=receiver, args=(theirs, tls))
            process.start()
            rate, receiver_share, share = uvloop.run(send(ours, tls, message))
            process.join()
            what = f"{'TLS' if tls else 'in clear':16} {size:9} B"
            print(f"{what} {rate:9.0f} {rate * size / 1e6:9.1f} {receiver_share:11.0%} {share:11.0%}")


if __name__ == "__main__":
    codec()
    links()
