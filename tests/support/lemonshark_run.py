"""Runs of the scenario lemonshark, short ones of four validators near each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from skyloom_command import skyloom

ANY_MACHINE = "fidelity.lateness_p99=1 s"  # what is asserted here does not depend on how quick the machine is
NEAR = ("validators=4", "topology=lan", "network.local=10 ms", "load.start=1 s", "load.drain=2 s")
CRASH = ("faults.crash=1", "faults.at=1.5 s", "faults.restart_after=1.5 s")


def run(folder: Path, duration: str, *parameters: str, code: int = 0) -> dict[str, Any]:
    """The verdict of a run."""
    sets = [word for parameter in (*parameters, ANY_MACHINE) for word in ("--set", parameter)]
    done = skyloom("run", "lemonshark", "--no-tui", "--json", "--runs", folder, "--duration", duration, *sets)
    assert done.returncode == code, done.stdout + done.stderr
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict
