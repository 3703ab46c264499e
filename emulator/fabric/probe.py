"""Probes the capabilities of this machine: each is tried in a separate process, never guessed from a version.

Invariant: a probe leaves nothing behind: all that it makes is in namespaces of its process, which ends within seconds.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fcntl import ioctl
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from emulator.fabric import sandbox
from emulator.fabric.host.cgroup import ControlGroups, NoControlGroups
from emulator.fabric.host.namespaces import make_namespaces
from emulator.fabric.host.settings import HostSettings, PrivateFolder
from emulator.fabric.kernel import netlink, syscalls, tun
from emulator.model.errors import PlatformError

TIMEOUT_S = 10.0
RTM_NEWQDISC, TC_H_ROOT, TCA_KIND, TCA_OPTIONS = 36, 0xFFFFFFFF, 1, 2
VETH_INFO_PEER = 1
TUNGETVNETHDRSZ = 0x800454D7
FILES_PER_NODE = 6  # a live satellite: its namespace, four or five ports, a route socket
MEMORY_PER_NODE_MB = 0.7


@dataclass(frozen=True, slots=True)
class Capability:
    """The result of a probe: whether it works, what was found, what it is used for, and how to get it."""

    name: str
    works: bool
    needed: bool  # no run without it
    probed: str
    found: str
    enables: str
    get: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe: a function that returns what it found, and the texts of its result."""

    name: str
    try_it: Callable[[], str]  # returns what was found; OSError or PlatformError if it does not work
    probed: str
    enables: str
    get: str
    needed: bool = False


def probe_all(also: Sequence[Probe] = ()) -> list[Capability]:
    """Run all probes, first the additional ones in `also`; takes about a second."""
    return [_run(probe) for probe in [*also, *PROBES]]


def _run(probe: Probe) -> Capability:
    works, found = in_child(probe.try_it)
    needed = probe.needed or (probe.name == "user namespaces" and os.geteuid() != 0)
    return Capability(probe.name, works, needed, probe.probed, found, probe.enables, probe.get)


def in_child(try_it: Callable[[], str]) -> tuple[bool, str]:
    """Whether `try_it` returns in a forked process, and its result or error."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        words = b"0the probe died"
        with suppress(BaseException):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                words = b"1" + try_it().encode()
            except (OSError, PlatformError) as error:
                words = b"0" + str(error).encode()
            except Exception as error:
                words = f"0{type(error).__name__}: {error}".encode()
            os.write(write_end, words)
        os._exit(0)
    os.close(write_end)
    answer = (
        b"0no answer; the probe hung"
        if not select.select([read_end], [], [], TIMEOUT_S)[0]
        else os.read(read_end, 4096)
    )
    os.close(read_end)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return answer[:1] == b"1", answer[1:].decode(errors="replace") or "nothing was answered"


def _isolate() -> None:
    sandbox.enter_namespaces(os.geteuid() != 0)


def _user_namespaces() -> str:
    sandbox.enter_namespaces(True)
    return "user, mount, network, PID, IPC and UTS namespaces made"


def _namespaces() -> str:
    words = "made as root" if os.geteuid() == 0 else "made as an ordinary user"
    _isolate()
    return words


def _tun() -> str:
    sandbox.check_tun()
    _isolate()
    started = time.perf_counter()
    tun.open_port("probe0", tun.FIRST_INDEX)
    return f"TUN device made in {(time.perf_counter() - started) * 1e3:.1f} ms"


def _node_files() -> str:
    _isolate()
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    over = PrivateFolder("/etc", over_machine=True)
    started = time.perf_counter()
    make_namespaces(HostSettings("probe", private=(over,)), syscalls.open_netns()).close()
    return f"a node's host made in {(time.perf_counter() - started) * 1e3:.1f} ms"


def _control_groups() -> str:
    _isolate()
    try:
        groups = ControlGroups("probe")
    except NoControlGroups as error:
        raise PlatformError(str(error)) from None
    try:
        return f"made, {groups.version}"
    finally:
        groups.close()


def _offload() -> str:
    sandbox.check_tun()
    _isolate()
    fd = tun.open_port("probe0", tun.FIRST_INDEX, offload=True)
    size = ioctl(fd, TUNGETVNETHDRSZ, bytes(4))
    return f"virtio header of {struct.unpack('i', size)[0]} bytes; checksum, TSO4, TSO6"


def _veth() -> str:
    _isolate()
    link = struct.pack("=BxHiII", 0, 0, 0, 0, 0)
    peer = netlink.attribute(VETH_INFO_PEER, link + netlink.attribute(netlink.IFLA_IFNAME, b"probe1\0"))
    _kernel(_new_link("probe0", "veth", peer))
    return "pair made"


def _bridge() -> str:
    _isolate()
    _kernel(netlink.add_bridge("probe0", tun.FIRST_INDEX))
    return "bridge without spanning tree made"


def _netem() -> str:
    _isolate()
    index = socket.if_nametoindex("lo")
    options = netlink.attribute(TCA_OPTIONS, struct.pack("=6I", 0, 1000, 0, 0, 0, 0))
    body = struct.pack("=BxxxiIII", 0, index, 0, TC_H_ROOT, 0) + netlink.attribute(TCA_KIND, b"netem\0") + options
    _kernel(netlink.message(RTM_NEWQDISC, netlink.NLM_F_CREATE, body))
    return "queueing discipline set on a loopback"


def _new_link(name: str, kind: str, data: bytes) -> bytes:
    info = netlink.attribute(netlink.IFLA_INFO_KIND, kind.encode()) + netlink.attribute(netlink.IFLA_INFO_DATA, data)
    body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + netlink.attribute(netlink.IFLA_IFNAME, name.encode() + b"\0")
    body += netlink.attribute(netlink.IFLA_LINKINFO, info)
    return netlink.message(netlink.RTM_NEWLINK, netlink.NLM_F_CREATE | netlink.NLM_F_EXCL, body)


def _kernel(request: bytes) -> None:
    """Carry out one netlink request, or raise OSError with the kernel's reason."""
    for errno, reason in netlink.Socket().try_send(request):
        raise OSError(errno, reason)


def _packet_sockets() -> str:
    _isolate()
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    return "opened"


def _ipv6() -> str:
    _isolate()
    _kernel(netlink.set_link(1, up=True))
    _kernel(netlink.add_address(1, "fd53:6b79::1", 128))
    return "address set"


def _timer() -> str:
    from emulator.model.clock import TimerFd, set_timer_slack

    set_timer_slack()
    timer, late_us = TimerFd(), []
    for _ in range(50):
        at = time.monotonic_ns() + 2_000_000
        timer.arm(at)
        select.select([timer.fd], [], [])
        late_us.append((time.monotonic_ns() - at) / 1e3)
    late_us.sort()
    words = f"woken {median(late_us):.0f} µs late at the median, {late_us[-1]:.0f} µs at most, of 50"
    if late_us[len(late_us) * 9 // 10] > 2000:
        raise PlatformError(f"{words}: too late to trust delays")
    return words


def _files() -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    words = f"soft {soft}, hard {hard}: some {max(0, hard - 600) // FILES_PER_NODE} live satellites"
    if hard < 1024:
        raise PlatformError(words)
    return words


def _cores() -> str:
    return f"{len(os.sched_getaffinity(0))} to run on"


def _memory() -> str:
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free_mb = int(fields["MemAvailable"].split()[0]) / 1024
    with suppress(OSError, ValueError):  # inside a container the limit of its control group counts
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        free_mb = min(free_mb, (limit - used) / 2**20)
    words = f"{free_mb:.0f} MB free: some {max(0.0, free_mb - 500) / MEMORY_PER_NODE_MB:.0f} live satellites"
    if free_mb < 300:
        raise PlatformError(words)
    return words


def _mininet() -> str:
    if find_spec("mininet") is None:
        raise PlatformError("the package mininet is missing")
    import mininet.net  # noqa: F401 - on Python 3.12 and later it needs setuptools for distutils

    return "imported; needs neither mnexec nor ifconfig here"


def _tool(name: str) -> Callable[[], str]:
    def look() -> str:
        path = shutil.which(name)
        if path is None:
            raise PlatformError("not in PATH")
        return "in PATH"

    return look


_LOAD = "modprobe {}, or a kernel that has it"
_LATER = "links in the kernel (not used yet)"
PROBES = [
    Probe(
        "namespaces", _namespaces, "unshare of mount, network, PID, IPC and UTS", "every run: its sandbox",
        "run as root, or allow user namespaces", needed=True,
    ),
    Probe(
        "user namespaces", _user_namespaces, "unshare of a user namespace with maps", "runs without root",
        "sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000; on Ubuntu also "
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    Probe(
        "TUN devices", _tun, f"{tun.DEVICE} opened, TUNSETIFF in a namespace", "every run: the ports of its nodes",
        f"modprobe tun; in a container --device {tun.DEVICE}; as user chmod 0666 {tun.DEVICE}", needed=True,
    ),
    Probe(
        "merged segments", _offload, "IFF_VNET_HDR and TUNSETOFFLOAD", "TCP bulk at several Gbit/s through the relay",
        "Linux 5.4 or later", needed=True,
    ),
    Probe("IPv6", _ipv6, "an address on a loopback", "IPv6 between nodes", "boot without ipv6.disable=1", needed=True),
    Probe("bridges", _bridge, "RTM_NEWLINK bridge", "switches of Mininet topologies", _LOAD.format("bridge")),
    Probe(
        "timers", _timer, "timerfd on CLOCK_MONOTONIC, slack 1 ns", "delays that are met",
        "leave the machine idle, or give a virtual machine cores of its own",
    ),
    Probe("open files", _files, "getrlimit", "many live nodes", "ulimit -Hn, or nofile in limits.conf", needed=True),
    Probe(
        "node files", _node_files, "sysfs and an overlay in a mount namespace", "commands, [[host]] tables, images",
        "Linux 5.11 or later with overlayfs (modprobe overlay); in a container an unmasked /sys",
    ),
    Probe(
        "control groups", _control_groups, "a group with cpu and memory, v2 or v1", "cpu and memory of [[host]]",
        "run as root, or in a group of v2 whose controllers are delegated",
    ),
    Probe("cores", _cores, "sched_getaffinity", "relay, planner and nodes side by side", "two or more are good"),
    Probe("memory", _memory, "/proc/meminfo and the control group", "many live nodes", "more memory", needed=True),
    Probe(
        "Mininet classes", _mininet, "import mininet.net", "Topo files, the prompt", "pip install mininet setuptools",
        needed=True,
    ),
    Probe("veth pairs", _veth, "RTM_NEWLINK veth", _LATER, _LOAD.format("veth")),
    Probe("netem", _netem, "RTM_NEWQDISC netem", _LATER, _LOAD.format("sch_netem")),
    Probe("packet sockets", _packet_sockets, "AF_PACKET socket", "tcpdump in nodes", _LOAD.format("af_packet")),
    Probe("mnexec", _tool("mnexec"), "PATH", "comparing with Mininet's own build (benchmarks)", "apt install mininet"),
    Probe("tshark", _tool("tshark"), "PATH", "reading captures as they grow", "apt install tshark"),
]  # fmt: skip
