"""Bounds of processor and memory that all processes of a node share, as control groups of the kernel, v2 or v1.

    own group of this process / skyloom-RUN (locked while the run lives) / NODE

Invariant: a group that this module makes carries the run's name and is removed with the run; those of a run that was
killed are empty, nobody holds their lock, and the next run removes them. Other groups are never changed, but that v2
hands the two controllers down to groups below our own.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "skyloom-"
PERIOD_US = 10_000  # within which a node may use its share; the kernel takes shares of 1 ms and more
LONG_PERIOD_US = 100_000  # for less than a tenth of a core
REMOVAL_S = 1.0  # within which all groups of a run are to be gone


class NoControlGroups(Exception):
    """No group can be made here; the message says why."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of a node used so far. None: the kernel does not count it here."""

    cpu_s: float | None
    throttled_s: float | None  # time for which processes that wanted to run had to wait for the bound
    memory_peak_bytes: int | None


@dataclass(slots=True)
class NodeGroup:
    """The groups of one node, by controller, and descriptors by which a process enters each of them."""

    folders: dict[str, Path]
    entrances: list[int] = field(default_factory=list)

    def usage(self) -> Usage:
        cpu, memory = self.folders.get("cpu"), self.folders.get("memory")
        stat = _numbers(cpu / "cpu.stat") if cpu is not None else {}
        account = self.folders.get("cpuacct")
        peak = None
        if memory is not None:
            peak = _number(memory / "memory.peak")
            peak = _number(memory / "memory.max_usage_in_bytes") if peak is None else peak
        spent_ns = _number(account / "cpuacct.usage") if account is not None else None
        spent_s = stat["usage_usec"] * 1e-6 if "usage_usec" in stat else None
        throttled_s = stat["throttled_usec"] * 1e-6 if "throttled_usec" in stat else None
        if "throttled_time" in stat:
            throttled_s = stat["throttled_time"] * 1e-9
        return Usage(spent_ns * 1e-9 if spent_ns is not None else spent_s, throttled_s, peak)


class ControlGroups:
    """The groups of one run. NoControlGroups where none can be made."""

    def __init__(self, run_id: str) -> None:
        self._unified, parents = _parents()
        self.nodes: list[NodeGroup] = []
        self._locks: list[int] = []
        self._folders: dict[str, Path] = {}  # of the run, by controller
        try:
            for parent in dict.fromkeys(parents.values()):
                _remove_left_behind(parent)
                made = self._make(parent / f"{PREFIX}{run_id}")
                self._folders |= {controller: made for controller, where in parents.items() if where == parent}
        except OSError as error:
            self.close()
            raise NoControlGroups(f"{error.filename or 'cgroup'}: {error.strerror}") from None

    @property
    def version(self) -> str:
        return "v2" if self._unified else "v1"

    def add(self, name: str, cpu: float | None, memory_bytes: float | None) -> NodeGroup:
        """The groups of a node, with its bounds. OSError where the kernel does not take one."""
        group = NodeGroup({controller: folder / name for controller, folder in self._folders.items()})
        self.nodes.append(group)
        for folder in dict.fromkeys(group.folders.values()):
            folder.mkdir()
            group.entrances.append(os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
        if cpu is not None:
            self._bound_cpu(group.folders["cpu"], cpu)
        if memory_bytes is not None:
            file = "memory.max" if self._unified else "memory.limit_in_bytes"
            (group.folders["memory"] / file).write_text(f"{memory_bytes:.0f}")
        return group

    def close(self) -> None:
        """Kill what is left in the groups, such as a program that left its session, and remove them."""
        deadline_s = time.monotonic() + REMOVAL_S
        folders = [folder for group in self.nodes for folder in dict.fromkeys(group.folders.values())]
        for folder in [*folders, *dict.fromkeys(self._folders.values())]:
            _remove(folder, deadline_s)
        self.forget()

    def forget(self) -> None:
        """Let go of the groups without removing them."""
        for fd in [*self._locks, *(entrance for group in self.nodes for entrance in group.entrances)]:
            os.close(fd)
        self.nodes, self._folders, self._locks = [], {}, []

    def _bound_cpu(self, folder: Path, cores: float) -> None:
        period_us = PERIOD_US if cores >= 0.1 else LONG_PERIOD_US
        quota_us = round(cores * period_us)
        if self._unified:
            (folder / "cpu.max").write_text(f"{quota_us} {period_us}")
        else:
            (folder / "cpu.cfs_period_us").write_text(f"{period_us}")
            (folder / "cpu.cfs_quota_us").write_text(f"{quota_us}")

    def _make(self, folder: Path) -> Path:
        while True:
            folder.mkdir(exist_ok=True)
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if folder.exists():
                break
            os.close(lock)  # another run, which starts now too, took it for one that was left behind
        self._locks.append(lock)
        if self._unified:
            (folder / "cgroup.subtree_control").write_text("+cpu +memory")
        return folder


def _parents() -> tuple[bool, dict[str, Path]]:
    """Whether controllers are those of v2, and the group of this process by controller."""
    found: dict[str, Path] = {}
    for controllers, folder in _own_groups():
        if not controllers:
            offered = _words(folder / "cgroup.controllers")
            if {"cpu", "memory"} <= offered:
                if not {"cpu", "memory"} <= _words(folder / "cgroup.subtree_control"):
                    _hand_down(folder)
                return True, {"cpu": folder, "memory": folder}
        found |= {name: folder for name in controllers if name in ("cpu", "cpuacct", "memory")}
    if not {"cpu", "memory"} <= found.keys():
        raise NoControlGroups("the controllers `cpu` and `memory` are not mounted here")
    return False, found


def _hand_down(folder: Path) -> None:
    try:
        (folder / "cgroup.subtree_control").write_text("+cpu +memory")
    except OSError as error:
        raise NoControlGroups(f"{folder}/cgroup.subtree_control: {error.strerror}") from None


def _own_groups() -> Iterator[tuple[list[str], Path]]:
    """Controllers (none: v2) and folder of each group that this process is in."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own[controllers] = path
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        root, mounted = before.split(" ")[3:5]
        if kind not in ("cgroup", "cgroup2"):
            continue
        names = (
            [key for key in own if key and set(key.split(",")) <= set(options.split(","))] if kind == "cgroup" else [""]
        )
        for name in names:
            path = own.get(name, "")
            if path.startswith(root):
                yield [each for each in name.split(",") if each], Path(mounted, path.removeprefix(root).lstrip("/"))


def _remove_left_behind(parent: Path) -> None:
    """Remove the groups of runs that were killed: nobody holds their lock any more."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for node in [each for each in folder.iterdir() if each.is_dir()]:
                    node.rmdir()
                folder.rmdir()
            finally:
                os.close(lock)


def _kill(folder: Path) -> None:
    """Kill the processes of a group."""
    for pid in _words(folder / "cgroup.procs") - {"0"}:  # 0: one that this process cannot see
        with suppress(OSError):
            os.kill(int(pid), signal.SIGKILL)


def _remove(folder: Path, deadline_s: float) -> None:
    """Kill what is left in a group and remove it; the next run does where that takes too long."""
    while True:
        _kill(folder)
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline_s:
                return
            time.sleep(0.01)


def _words(file: Path) -> set[str]:
    try:
        return set(file.read_text().split())
    except OSError:
        return set()


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _numbers(file: Path) -> dict[str, int]:
    try:
        return {key: int(value) for key, value in (line.split() for line in file.read_text().splitlines())}
    except (OSError, ValueError):
        return {}
