"""What a machine runs, and whether two may play one run.

Invariant: what forbids a run is named with both versions.
"""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

EQUAL = ("skyloom", "python", "numpy", "sgp4")  # what all hosts of a run must have alike


def versions() -> dict[str, str]:
    """Of what a host runs: that which must be alike, and what is good to know."""
    found = {"python": ".".join(platform.python_version_tuple()[:2]), "kernel": platform.release()}
    for package in ("skyloom", "numpy", "sgp4"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found | {"libc": " ".join(platform.libc_ver())}


def clock_of() -> str:
    """What machines with one and the same monotonic clock have in common: the start of their kernel, and the namespace
    of time."""
    started = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with suppress(OSError):  # before Linux 5.6
        return f"{started} {Path('/proc/self/ns/time').readlink()}"
    return started


def skew(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """The first difference that forbids a run, "theirs; expected ours"; "" where there is none."""
    for name in EQUAL:
        if ours.get(name) != theirs.get(name):
            return f"{name} {theirs.get(name)}; expected {ours.get(name)}, as the lead has"
    return ""
