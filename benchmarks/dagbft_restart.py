"""What a restart of a DAG-BFT validator takes after N commits, what its archive holds then, and what a snapshot costs.

python -m benchmarks.dagbft_restart [COMMITS…]     by default 500 2000 6000; four validators in memory at 400 tx/s of
512 bytes, the one that restarts with stores on disk; then a ledger of 50,000 keys
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from emulator.sdk.store import Store
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.execution.snapshot import Snapshot
from nodes.dagbft.execution.transactions import NOTHING, Code, Kind, Transaction, encode, key_of
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.primary.records import TABLES as PRIMARY_TABLES
from nodes.dagbft.primary.records import Archive
from nodes.dagbft.primary.snapshots import Snapshots
from nodes.dagbft.simulate import Settings, Simulation, Validator, uniform
from nodes.dagbft.simulate.validator import PRIMARY
from nodes.dagbft.worker.batch_store import TABLES as WORKER_TABLES

RATE_HZ, SIZE_BYTES, KEYS = 400, 512, 1024  # keys a shard, as the clients of `lemonshark` have
COMMITS = (500, 2000, 6000)
LARGE = 50_000  # keys
TIMES = 9
RESTARTS = 3  # the quickest is told: others were disturbed


def open_stores(folder: Path) -> dict[int, Store]:
    """Those of the primary and of worker 0."""
    return {
        PRIMARY: Store(folder / "primary.store", PRIMARY_TABLES, sync=False),
        0: Store(folder / "worker-0.store", WORKER_TABLES, sync=False),
    }


def load(run: Simulation) -> None:
    """Transactions at 400 a second, in handfuls of one hundredth of a second."""
    random = Random(1)
    handful = RATE_HZ // 100
    count = 0

    def submit() -> None:
        nonlocal count
        for _ in range(handful):
            shard, at = random.randrange(4), random.randrange(4)
            operations = ((int(Code.ADD), key_of(shard, random.randrange(KEYS)), 0, 1),)
            id = count.to_bytes(16, "big")
            data = encode(Transaction(int(Kind.ALPHA), 0, shard, id, NOTHING, 0, 1, 0, operations))
            run.validators[at].submit(0, data + bytes(SIZE_BYTES - len(data)))
            count += 1
        run.clock.at(run.clock.now_s + 0.01, submit)

    run.clock.at(0.0, submit)


def restart(run: Simulation, folder: Path) -> tuple[float, Validator]:
    """Seconds from opening the stores until all of the log is executed that can be, with the own worker's batches."""
    run.crash(0)
    victim = run.validators[0]
    for store in victim._disks.values():
        store.close()  # type: ignore[attr-defined]
    begun = time.perf_counter()
    victim._disks = open_stores(folder)  # type: ignore[assignment]
    run.restart(0)
    run.clock.run(run.clock.now_s)
    took_s = time.perf_counter() - begun
    return took_s, victim


def rows(store: Store, table: str) -> int:
    return sum(1 for _ in store.items(table))


def restarts(folder: Path, snapshot_rounds: int, commits: tuple[int, ...]) -> None:
    """Play, and restart validator 0 each time it has so many commits."""
    config = PrimaryConfig(header_delay_s=0.05, snapshot_rounds=snapshot_rounds)
    run = Simulation(Settings(n=4, delay=uniform(0.01), primary=config, ledger=True))
    run.validators[0]._disks = open_stores(folder)  # type: ignore[assignment]
    load(run)
    run.start()
    for count in commits:
        while run.validators[0].primary.consensus.commits < count:
            run.run(1)
        took_s, victim = min((restart(run, folder) for _ in range(RESTARTS)), key=lambda pair: pair[0])
        primary, worker = (victim._disks[process] for process in (PRIMARY, 0))
        held = {name: rows(primary, name) for name in ("certificate", "commit", "snapshot")}  # type: ignore[arg-type]
        size_mb = sum(path.stat().st_blocks * 512 for path in (folder / "primary.store").iterdir()) / 1e6
        batches = rows(worker, "batch")  # type: ignore[arg-type]
        every = f"every {snapshot_rounds} rounds" if snapshot_rounds else "never"
        told = f"{run.clock.now_s:.0f} s, {victim.primary.consensus.commits} commits, snapshots {every}"
        print(f"{told}: restart {took_s:.3f} s; archive {size_mb:.1f} MB, {held}; {batches} batches", flush=True)
        if victim.ledger.commits < victim.primary.logged:
            print(f"    executed {victim.ledger.commits} of these: batches of the others are gone", flush=True)
            return
        run.run(1)


def median_ms(do: Callable[[], object]) -> float:
    times = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        do()
        times.append(time.perf_counter() - begun)
    return 1e3 * sorted(times)[TIMES // 2]


def large(folder: Path) -> None:
    """A ledger with many keys: what a snapshot stops the primary for, and what beginning with it takes."""
    random, ledger = Random(1), Ledger(Committee(4), 0)
    for number in range(LARGE):
        ledger.state[key_of(number % 4, number)] = random.randrange(1, 1 << 64)
    snapshot = ledger._snapshot()
    data = snapshot.encode()
    store = Store(folder / "large.store", PRIMARY_TABLES, sync=False)
    snapshots = Snapshots(Archive(store), lambda round: 0)
    taking_ms, encoding_ms = median_ms(ledger._snapshot), median_ms(lambda: snapshots.keep(snapshot))
    records = snapshots.keep(snapshot)
    storing_ms = median_ms(lambda: store.apply(records))
    beginning_ms = median_ms(lambda: Ledger(Committee(4), 0).resume(Snapshot.decode(data)))
    print(f"{LARGE} keys, {len(data) / 1e6:.2f} MB: taken in {taking_ms:.1f} ms, encoded in {encoding_ms:.1f} ms,")
    print(f"    stored in {storing_ms:.1f} ms; a ledger begins with it in {beginning_ms:.1f} ms")


def main() -> None:
    commits = tuple(int(word) for word in sys.argv[1:]) or COMMITS
    for snapshot_rounds in (128, 0):
        with tempfile.TemporaryDirectory() as folder:
            restarts(Path(folder), snapshot_rounds, commits)
    with tempfile.TemporaryDirectory() as folder:
        large(Path(folder))


if __name__ == "__main__":
    main()
