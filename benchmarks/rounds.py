"""Algorithms in rounds over sockets: 256 agents as processes, answers against the formula, slots in a row, the ring.

Whole runs as a user types them. A run that was late says so itself (exit code 75), and is counted, not hidden.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.leo import play
from benchmarks.nodes import memory_kb

SLOTS = (
    ("tree:7", "none"),
    ("cycle:4", "none"),
    ("cycle:6", "none"),
    ("cycle:4", "late"),
    ("cycle:6", "late"),
    ("complete:3", "guard"),
    ("complete:3", "program:steps=5"),
)
IN_A_ROW = 10
OPINIONS = (2, 4, 8, 16, 32)
RING = ((8, 3), (8, 6), (8, 7))  # nodes, T: below, at and past the threshold n - 2


class AgentsMemory:
    """Largest memory of the processes named a0, a1, … while the block runs: mean PSS and USS in kB."""

    def __enter__(self) -> AgentsMemory:
        self.count, self.pss_kb, self.uss_kb = 0, 0.0, 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            sizes = []
            for comm in Path("/proc").glob("[0-9]*/comm"):
                try:
                    name = comm.read_text().strip()
                    if name[:1] == "a" and name[1:].isdecimal():
                        sizes.append(memory_kb(int(comm.parent.name)))
                except OSError:
                    continue
            if len(sizes) >= self.count and sizes:
                self.count = len(sizes)
                self.pss_kb = max(self.pss_kb, sum(pss for pss, _ in sizes) / len(sizes))
                self.uss_kb = max(self.uss_kb, sum(uss for _, uss in sizes) / len(sizes))

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def verdict_of(runs: Path, *words: str) -> tuple[dict[str, Any], Path, float]:
    folder, began_s = play(runs, *words)
    return json.loads((folder / "verdict.json").read_text()), folder, began_s


def settings(**values: object) -> list[str]:
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


def agents(runs: Path) -> None:
    """256 agents, a process each, full mesh by routing; latency long enough to look at them."""
    words = settings(agents=256, opinions=8, latency="100 ms")
    with AgentsMemory() as memory:
        verdict, folder, began_s = verdict_of(runs, "plurality", *words)
    start_s = json.loads((folder / "platform.json").read_text())["t0_monotonic_ns"] * 1e-9 - began_s
    summary = verdict["summary"]
    print(f"256 agents: first query after {start_s:.1f} s, {memory.pss_kb / 1e3:.2f} MB (PSS), "
          f"{memory.uss_kb / 1e3:.2f} MB (own) each")  # fmt: skip
    print(f"  exit {verdict['exit_code']}, consensus {summary['consensus']} in {summary['rounds']} rounds, round "
          f"fidelity {verdict['rounds']['fidelity']}, lateness p99 {verdict['lateness_ms']['p99']:.1f} ms")  # fmt: skip


def answers(runs: Path) -> None:
    """1,000 agents in four processes, each over UDP: answers per update against the formula."""
    for opinions in OPINIONS:
        words = settings(agents=1000, agents_per_process=250, opinions=opinions)
        summary = verdict_of(runs, "plurality", *words)[0]["summary"]
        seen, asked = summary["samples_per_update"], summary["expected_samples_per_update"]
        print(f"k={opinions:<3} answers per update {seen:.3f}, formula {asked:.3f}, {seen / asked - 1:+.2%}; "
              f"{summary['updates']} updates, equal to the simulation: {same(summary, opinions)}")  # fmt: skip


def same(summary: dict[str, Any], opinions: int) -> bool:
    """Whether rounds and samples are those of the in-memory simulation with the same seed."""
    from emulator.scenario import load

    told = load("plurality", settings(agents=1000, agents_per_process=250, opinions=opinions)[1::2]).prediction
    return all(summary[name] == told[name] for name in ("rounds", "samples", "winner", "critical_trips"))


def slots(runs: Path) -> None:
    """Amnesiac flooding in slots of 40 ms: predicted = observed, round fidelity 1.0, ten in a row."""
    for graph, adversary in SLOTS:
        good, late = 0, 0
        for seed in range(1, IN_A_ROW + 1):
            words = [*settings(graph=graph, adversary=adversary), "--seed", str(seed)]
            verdict = verdict_of(runs, "amnesiac", *words)[0]
            good += verdict["exit_code"] == 0 and verdict["rounds"]["fidelity"] == 1.0
            late += verdict["exit_code"] == 75
        print(f"{graph:<12} {adversary:<16} {good} of {IN_A_ROW} as predicted with fidelity 1.0, {late} late")


def ring(runs: Path) -> None:
    """The adaptive ring adversary: nodes seen."""
    for nodes, interval in RING:
        words = settings(graph=f"ring:{nodes}", interval=interval)
        verdict = verdict_of(runs, "explore", *words)[0]
        summary = verdict["summary"]
        print(f"ring:{nodes} T={interval}: {summary['seen']} nodes seen, T measured {summary['t_measured']}, "
              f"{summary['steps']} steps in {verdict['duration_s']:.1f} s, exit {verdict['exit_code']}")  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        for part in (agents, answers, slots, ring):
            began_s = time.monotonic()
            part(runs)
            print(f"  ({time.monotonic() - began_s:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
