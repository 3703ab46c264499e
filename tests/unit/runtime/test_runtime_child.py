"""Processes forked from the supervisor: the kernel gets their freed memory back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from emulator.runtime.programs.child import Child, return_freed_memory

BLOCK_BYTES, BLOCKS = 4 * 2**20, 20


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def freed_bytes() -> int:
    """What the kernel gets back when all but the topmost of some large blocks are freed."""
    for _ in range(2):  # glibc learns from blocks that are freed
        np.ones(BLOCK_BYTES, np.uint8)
    blocks = [np.ones(BLOCK_BYTES, np.uint8) for _ in range(BLOCKS)]
    before = resident_bytes()
    del blocks[:-1]
    return before - resident_bytes()


def forked() -> None:
    """Print what a forked process gives back."""

    def main() -> None:
        return_freed_memory()
        print(freed_bytes(), flush=True)

    child = Child("test", main)
    sys.exit(0 if child.wait(30.0) and child.status == 0 else 1)


def test_large_blocks_go_back_to_the_kernel():
    # In an interpreter of its own: what other tests have freed in this one would take in some of the blocks.
    told = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    assert int(told.stdout) > 0.9 * (BLOCKS - 1) * BLOCK_BYTES


if __name__ == "__main__":
    forked()
