"""DAG-BFT over sockets: early against commit latency, crashes, throughput, many validators, memory over ten minutes.

python -m benchmarks.lemonshark [PART…]     parts: latency crashes throughput many memory; the last takes ten minutes
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.leo import play
from benchmarks.nodes import memory_kb
from benchmarks.rounds import settings

RATES = (10_000, 15_000, 20_000)
MINUTES = 10


def summary(runs: Path, *words: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The summary of a run, and its verdict."""
    folder, _ = play(runs, "lemonshark", *words)
    verdict = json.loads((folder / "verdict.json").read_text())
    return verdict["summary"], verdict


def line(name: str, found: dict[str, Any], verdict: dict[str, Any]) -> None:
    told = verdict.get("prediction", {}).get("early_over_commit") or 0
    early, commit, ratio = (found.get(key) or 0 for key in ("early_ms", "commit_ms", "early_over_commit"))
    print(f"{name:<34} early {early:.0f} ms, commit {commit:.0f} ms, ratio {ratio:.3f} (links alone {told:.3f})")
    share, rounds = found.get("early_share") or 0, found["rounds_per_s"] or 0
    wrong = f"{found['early_wrong']} of {found['early_ok']} wrong"
    print(f"    early share {share:.3f}, {wrong}, {rounds:.2f} rounds/s, exit {verdict['exit_code']}", flush=True)


def latency(runs: Path) -> None:
    """Ten validators in five regions, asynchronous, no fault."""
    line("n=10, five regions", *summary(runs, "--duration", "60s"))


def crashes(runs: Path) -> None:
    """One and three crashed validators, both rules."""
    for count in (1, 3):
        for protocol in ("lemonshark", "support-gated"):
            words = ["--set", f"faults.crash={count}", "--set", f"consensus.protocol={protocol}"]
            line(f"n=10, {count} crashed, {protocol}", *summary(runs, "--duration", "60s", *words))


def throughput(runs: Path) -> None:
    """Four validators, one worker each, no added delay, transactions of 512 bytes, all signatures checked."""
    for together in (False, True):
        for rate in RATES:
            words = settings(validators=4, topology="lan", colocated=str(together).lower())
            words += ["--set", f"load.rate={rate}"]
            found, verdict = summary(runs, "--duration", "30s", *words)
            early_ms, commit_ms = found["tx_early_ms"]["mean"], found["tx_commit_ms"]["mean"]
            name = f"n=4{', colocated' * together}, {rate} tx/s offered"
            print(f"{name}: {found['tx_per_s']:.0f} end to end, {found['cpu_ms_per_tx']} ms of CPU each")
            print(f"    as clients saw them: early {early_ms:.0f} ms, commit {commit_ms:.0f} ms")
            print(f"    {found['early_wrong']} of {found['early_ok']} wrong, exit {verdict['exit_code']}", flush=True)


def many(runs: Path) -> None:
    """Twenty and fifty validators in five regions, each program in a process of its own, and colocated."""
    for count in (20, 50):
        for together in (False, True):
            words = settings(validators=count, colocated=str(together).lower())
            found, verdict = summary(runs, "--duration", "40s", *words)
            line(f"n={count}{', colocated' * together}, five regions", found, verdict)
            round_ms, floor_ms = 1e3 / found["rounds_per_s"], found["round_floor_ms"]
            print(f"    round {round_ms:.0f} ms, floor {floor_ms} ms: {round_ms / floor_ms:.2f} x", flush=True)


class PrimaryMemory:
    """Resident memory of validator v1's largest process, and the store of its primary, over time: minutes and MB."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs

    def __enter__(self) -> PrimaryMemory:
        self.seen: list[tuple[float, float]] = []
        self.stored: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        began_s = time.monotonic()
        while not self._over.wait(30.0):
            sizes = []
            for comm in Path("/proc").glob("[0-9]*/comm"):
                try:
                    if comm.read_text().strip() == "v1":
                        sizes.append(memory_kb(int(comm.parent.name))[1])
                except OSError:
                    continue
            minutes = (time.monotonic() - began_s) / 60
            if sizes:
                self.seen.append((minutes, max(sizes) / 1e3))
            newest = max(self._runs.glob("*/*"), key=lambda folder: folder.stat().st_mtime, default=self._runs)
            for path in newest.glob("store/v1/**/primary.store/data.mdb"):
                self.stored.append((minutes, path.stat().st_blocks * 512 / 1e6))

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def memory(runs: Path) -> None:
    """The largest process of one validator over ten minutes; garbage collection begins after some 60 rounds."""
    with PrimaryMemory(runs) as watch:
        words = [*settings(validators=4, topology="lan"), "--set", "load.rate=400"]
        found, verdict = summary(runs, "--duration", f"{MINUTES} min", *words)
    shown = ", ".join(f"{minutes:.1f} min {mb:.1f}" for minutes, mb in watch.seen[::2])
    print(f"n=4, {found['transactions']} transactions in {MINUTES} minutes, own memory of v1's primary in MB: {shown}")
    print(f"  exit {verdict['exit_code']}, early_wrong {found['early_wrong']} of {found['early_ok']}", flush=True)
    shown = ", ".join(f"{minutes:.1f} min {mb:.1f}" for minutes, mb in watch.stored[::2])
    print(f"  on disk in v1's primary.store, MB: {shown}", flush=True)


PARTS = {part.__name__: part for part in (latency, crashes, throughput, many, memory)}


def main() -> None:
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        sys.exit(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            PARTS[name](Path(folder))


if __name__ == "__main__":
    main()
