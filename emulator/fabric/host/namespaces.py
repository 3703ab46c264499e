"""The UTS and mount namespace of a node: made once, joined by each of its processes.

Invariant: the calling thread leaves as it came, with its own namespaces and working folder, whatever fails on the way.
A node costs what docs/performance.md says of `benchmarks/hosts.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from emulator.fabric.host import mounts
from emulator.fabric.host.settings import HostSettings
from emulator.fabric.kernel import syscalls
from emulator.model.errors import PlatformError

KINDS = {"net": syscalls.CLONE_NEWNET, "uts": syscalls.CLONE_NEWUTS, "mnt": syscalls.CLONE_NEWNS}


@dataclass(frozen=True, slots=True)
class HostNamespaces:
    """Descriptors of the two namespaces, which live at least as long as these are open."""

    uts: int
    mnt: int

    def close(self) -> None:
        os.close(self.uts)
        os.close(self.mnt)


def make_namespaces(settings: HostSettings, netns: int) -> HostNamespaces:
    """Make the host of a node whose network namespace is `netns`. PlatformError names what the machine refuses."""
    try:
        with _excursion():
            syscalls.setns(netns, syscalls.CLONE_NEWNET)
            set_sysctls(settings)
            syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS)
            syscalls.sethostname(settings.name)
            mounts.arrange(settings)
            return HostNamespaces(_open("uts"), _open("mnt"))
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise PlatformError(f"{settings.name}: its host cannot be made: {error.strerror or error}{where}") from error


def set_sysctls(settings: HostSettings) -> None:
    """Write the settings of the network namespace that this thread is in."""
    for key, value in settings.sysctls.items():
        try:
            with open(f"/proc/sys/{key.replace('.', '/')}", "w") as file:
                file.write(value)
        except OSError as error:
            raise PlatformError(
                f"{settings.name}: sysctl {key} = {value}: {error.strerror}; expected a setting that each network "
                "namespace has, and a value that this kernel takes"
            ) from None


def _open(kind: str) -> int:
    return os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def _excursion() -> Iterator[None]:
    """Whatever namespaces the block enters, come back."""
    home = {kind: _open(kind) for kind in KINDS}
    folder = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        yield
    finally:
        for kind in ("mnt", "uts", "net"):
            syscalls.setns(home[kind], KINDS[kind])
            os.close(home[kind])
        os.fchdir(folder)
        os.close(folder)
