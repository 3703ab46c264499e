"""The command `skyloom` in a process of its own, as users start it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SKYLOOM = [sys.executable, "-m", "emulator.cli"]


def skyloom(*words: str | Path, timeout_s: float = 100) -> subprocess.CompletedProcess[str]:
    """The command when it has ended: its exit code and what it wrote. Its limit comes before that of the test."""
    return subprocess.run([*SKYLOOM, *words], capture_output=True, text=True, timeout=timeout_s, check=False)
