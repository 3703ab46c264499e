"""Processes forked from the supervisor: the kernel gets their freed memory back."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from emulator.runtime.child import Child, return_freed_memory

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


def test_large_blocks_go_back_to_the_kernel():
    told, tell = os.pipe()

    def main() -> None:
        return_freed_memory()
        os.write(tell, str(freed_bytes()).encode())

    child = Child("test", main)
    assert child.wait(30.0)
    assert child.status == 0
    assert int(os.read(told, 100)) > 0.9 * (BLOCKS - 1) * BLOCK_BYTES
    os.close(told)
    os.close(tell)
