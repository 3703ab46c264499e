"""The few system calls that Python 3.11 has no name for: unshare, setns, mount, umount, prctl, sethostname,
madvise.

Invariant: every call either does what it says or raises OSError with the name of the call; setns and unshare act on the
calling thread only, which is why `inside` can visit a namespace and come back.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x2, 0x4, 0x8, 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
HOST_NAME_BYTES = 64

SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
SYS_MOUNT_SETATTR = 442  # the same on every architecture; Linux 5.12
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = -100, 0x8000, 0x1

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: Any) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{name}: {os.strerror(errno)}")


def _syscall(name: str, number: int, *arguments: int | bytes) -> None:
    converted = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    if _libc.syscall(ctypes.c_long(number), *converted) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{name}: {os.strerror(errno)}")


def unshare(flags: int) -> None:
    """Put the calling thread into new namespaces; CLONE_NEWPID holds for its later children."""
    _call("unshare", flags)


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace behind `fd`, which must be of `kind` (a CLONE_NEW… flag)."""
    _call("setns", fd, kind)


def mount(source: str, target: str, fstype: str = "", flags: int = 0, data: str = "") -> None:
    _call("mount", source.encode(), target.encode(), fstype.encode() or None, ctypes.c_ulong(flags), data.encode())


def umount(target: str, flags: int = 0) -> None:
    _call("umount2", target.encode(), flags)


def set_read_only(target: str, read_only: bool, recursive: bool = False) -> None:
    """Let the mount at `target` be read-only, or writable again; `recursive`: with every mount below it."""
    on, off = (MOUNT_ATTR_RDONLY, 0) if read_only else (0, MOUNT_ATTR_RDONLY)
    attributes = struct.pack("QQQQ", on, off, 0, 0)
    flags = AT_RECURSIVE if recursive else 0
    _syscall("mount_setattr", SYS_MOUNT_SETATTR, AT_FDCWD, target.encode(), flags, attributes, len(attributes))


def pivot_root(new_root: str, old_root: str) -> None:
    """Make `new_root`, a mount, the root of this mount namespace, and let the old one be seen at `old_root` in it."""
    _syscall("pivot_root", SYS_PIVOT_ROOT[os.uname().machine], new_root.encode(), old_root.encode())


def sethostname(name: str) -> None:
    raw = name.encode()[:HOST_NAME_BYTES]
    _call("sethostname", raw, ctypes.c_size_t(len(raw)))


def die_with_parent(signal: int) -> None:
    """Ask the kernel to send `signal` to this process when the thread that forked it ends."""
    _call("prctl", PR_SET_PDEATHSIG, ctypes.c_ulong(signal), *(ctypes.c_ulong(0),) * 3)


def return_zero_pages(instance: object) -> None:
    """Give the kernel back the memory pages of a large object that hold only zeros; they go on to read as zeros."""
    end = id(instance) + type(instance).__basicsize__  # in CPython the id is the address
    zeros = bytes(mmap.PAGESIZE)
    for page in range(-(-id(instance) // mmap.PAGESIZE) * mmap.PAGESIZE, end - mmap.PAGESIZE + 1, mmap.PAGESIZE):
        if ctypes.string_at(page, mmap.PAGESIZE) == zeros:
            _call("madvise", ctypes.c_void_p(page), ctypes.c_size_t(mmap.PAGESIZE), mmap.MADV_DONTNEED)


def open_netns() -> int:
    """A descriptor of the calling thread's network namespace; the namespace lives at least as long as it is open."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def inside(netns: int) -> Iterator[None]:
    """Visit a network namespace: sockets, devices and children made in the block belong to it."""
    home = open_netns()
    try:
        setns(netns, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)
