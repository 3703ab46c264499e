"""IBC: blocks and transactions of a chain that one process signs, and of one whose four validators are processes.

`python -m benchmarks ibc_validators [--transactions N]`. All on loopback, with disks; the validators with sockets and
TLS between them. Payments of four accounts are handed to the chain as fast as it takes them, those of each account to a
validator of its own; RPC is not used.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from emulator.model.clock import MonotonicClock
from emulator.sdk.node import NodeContext, Peer
from nodes.ibc.chain.process import Chain
from tests.support.ibc_chain import send, signed
from tests.support.ibc_validators import VALIDATORS, Lived
from tests.support.sdk_net import Records

NAMES = ("alice", "bob", "carol", "dora")
BLOCK_S = 0.5
IDLE_BLOCKS = 8
CHAIN = "a-1"
SETUP_S = 5.0  # by then all processes are set up


class Figures(NamedTuple):
    """What one process saw and spent."""

    interval_s: float  # between empty blocks, median
    idle_share: float  # of a core, while blocks were empty
    took_s: float  # from the first transaction handed in to the block that had the last
    cpu_s: float  # meanwhile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, default=2000)
    options = parser.parse_args()
    count = options.transactions // len(NAMES)
    total = count * len(NAMES)
    print(f"{total:,} payments, a block each {BLOCK_S} s; processor time of all processes together")
    print(f"{'signed by':16} {'interval s, idle':>17} {'% of a core, idle':>18} {'transactions/s':>15} {'ms each':>8}")
    for kind, accounts in (("one process", [NAMES]), ("four processes", [(name,) for name in NAMES])):
        seen = played(accounts, count)
        rate_hz = total / max(each.took_s for each in seen)
        idle, cpu_s = sum(each.idle_share for each in seen), sum(each.cpu_s for each in seen)
        print(f"{kind:16} {seen[0].interval_s:17.2f} {100 * idle:18.1f} {rate_hz:15,.0f} {1e3 * cpu_s / total:8.2f}")


def played(accounts: Sequence[Sequence[str]], count: int) -> list[Figures]:
    """A process for each of these: it hands in `count` payments of each of its accounts."""
    begin_ns = time.monotonic_ns() + round(SETUP_S * 1e9)
    fork = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        processes, done = [], fork.Barrier(len(accounts))
        for number, names in enumerate(accounts):
            here, there = fork.Pipe(duplex=False)
            given = Path(folder), number if len(accounts) > 1 else None, begin_ns, names, count, done
            process = fork.Process(target=lambda there, given: there.send(tuple(lived(*given))), args=(there, given))
            process.start()
            there.close()
            processes.append((process, here))
        figures = [Figures(*here.recv()) for _, here in processes]
        for process, _ in processes:
            process.join()
    return figures


def lived(folder: Path, place: int | None, begin_ns: int, names: Sequence[str], count: int, done: Barrier) -> Figures:
    """The life of one process, which ends when all are done; no place: that of the chain's only one."""
    return asyncio.run(_lived(folder, place, begin_ns, names, count, done))


async def _lived(
    folder: Path, place: int | None, begin_ns: int, names: Sequence[str], count: int, done: Barrier
) -> Figures:
    txs = [
        [signed(name, [send(name, "alice", stake=1)], each, NAMES.index(name), chain_id=CHAIN) for each in range(count)]
        for name in names
    ]
    clock = MonotonicClock(begin_ns)
    records, context, program = _alone(folder, clock) if place is None else _one_of_four(folder, clock, place)
    await program.setup()
    await context.sleep_until(0.0)
    running = asyncio.ensure_future(program.run())
    figures = await _measured(records, program, txs)
    await asyncio.get_running_loop().run_in_executor(None, done.wait)
    context.stopping.set()
    await running
    await context.exit_stack.aclose()
    return figures


def _alone(folder: Path, clock: MonotonicClock) -> tuple[Records, NodeContext, Chain]:
    records = Records()
    context = NodeContext(
        name="a-0", program="chain", seed=1, address=Peer("a-0", "host", "127.0.0.1"), peers={}, store=folder,
        clock=clock, sink=records,
    )  # fmt: skip
    return records, context, Chain(Chain.Config(chain_id=CHAIN, port=0, block_s=BLOCK_S, accounts=NAMES), context)


def _one_of_four(folder: Path, clock: MonotonicClock, place: int) -> tuple[Records, NodeContext, Chain]:
    life = Lived(folder, VALIDATORS[place], clock, block_s=BLOCK_S, round_s=0.1, accounts=NAMES)
    return life.records, life.context, life.program


async def _measured(records: Records, program: Chain, txs: list[list[bytes]]) -> Figures:
    """The figures, up to the block that had the last payment of all processes."""
    await _blocks_until(records, lambda blocks: len(blocks) >= 2)
    begin_s, begin_cpu_s = time.monotonic(), time.process_time()
    at_s = []
    for height in range(3, 3 + IDLE_BLOCKS):
        await _blocks_until(records, lambda blocks, height=height: blocks[-1]["height"] >= height)
        at_s.append(time.monotonic())
    idle = (time.process_time() - begin_cpu_s) / (time.monotonic() - begin_s)
    interval_s = median(later - earlier for earlier, later in pairwise(at_s))
    begin_s, begin_cpu_s = time.monotonic(), time.process_time()
    for row in zip(*txs, strict=True):
        for tx in row:
            result = program.submit(tx)
            assert not result.code, result
        await asyncio.sleep(0)
    total = len(txs[0]) * len(NAMES)
    await _blocks_until(records, lambda blocks: sum(each["txs"] - each["failed"] for each in blocks) >= total)
    took_s, cpu_s = time.monotonic() - begin_s, time.process_time() - begin_cpu_s
    return Figures(interval_s, idle, took_s, cpu_s)


async def _blocks_until(records: Records, enough: Callable[[list[dict[str, Any]]], bool]) -> None:
    """Wait until the blocks that were told of are enough."""
    while True:
        blocks = [fields for kind, fields in records.events if kind == "block"]
        if blocks and enough(blocks):
            return
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    main()
