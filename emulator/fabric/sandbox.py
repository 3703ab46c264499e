"""The sandbox of a run: a process tree in its own namespaces, which the kernel removes as a whole.

    caller ── watcher ── PID 1 (reaps) ── main        each dies with the one to its left, by SIGKILL
              └────── in the new namespaces ──────┘

Invariant: PID 1 and `main` end together. When either ends, for any reason, the kernel kills every process of the PID
namespace and removes all interfaces and network namespaces. The host's files, settings and interfaces are never
changed: mounts are private, and /etc/hosts, /etc/resolv.conf and /etc/nsswitch.conf are covered, not written.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from emulator.fabric.kernel import syscalls
from emulator.fabric.kernel.tun import DEVICE
from emulator.model.errors import EXIT_INTERNAL, PlatformError, SkyloomError

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
DETACH = signal.SIGUSR2  # asks the watcher to outlive its caller; the watcher answers with the same signal
DETACH_S = 2.0
_NAMESPACES = (
    syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
)
_USER_HINT = (
    "run as root, or let users make namespaces: `sysctl kernel.unprivileged_userns_clone=1`, "
    "`sysctl user.max_user_namespaces=15000`, and on Ubuntu `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
)


def spawn(
    main: Callable[[], int],
    hosts: Mapping[str, tuple[str, ...]],
    keep_fds: Collection[int] | None = None,
    user_namespace: bool | None = None,
) -> int:
    """Run `main` in a new sandbox; returns the process id to wait for, whose exit status is that of `main`.

    `hosts` maps each node name to its addresses and becomes /etc/hosts. Descriptors beyond 0-2 and `keep_fds` are
    closed in the sandbox (None: all stay). SIGINT, SIGTERM, SIGHUP and SIGUSR1 sent to the process reach `main`; a
    `main` killed by signal n ends as 128+n. `user_namespace` None: only when not root. Call it from a thread that
    exists as long as the run, as the sandbox ends with the thread. The sandbox is its own session, so that a terminal's
    Ctrl-C reaches the caller only. Raises PlatformError before anything runs.
    """
    check_tun()
    read_end, write_end = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    caller = os.getpid()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # none is lost before somebody waits for it
    watcher = os.fork()
    if watcher == 0:
        os.close(read_end)
        _guard(lambda: _watch(caller, _unmasked(main, mask), hosts, keep_fds, user_namespace, write_end))
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        trouble = pipe.read().decode()
    if trouble:
        os.waitpid(watcher, 0)
        raise PlatformError(trouble)
    return watcher


def detach(watcher: int) -> bool:
    """Let a sandbox outlive this process, which must be its caller; returns False if it does not answer.

    Call it from the main thread.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {DETACH})
    try:
        os.kill(watcher, DETACH)
        if signal.sigtimedwait({DETACH}, DETACH_S) is not None:
            return True
        signal.signal(DETACH, signal.SIG_IGN)  # the answer may still arrive, and would end this process
        return False
    except ProcessLookupError:
        return False
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def check_tun() -> None:
    """PlatformError unless this user may open /dev/net/tun."""
    if not Path(DEVICE).exists():
        raise PlatformError(
            f"{DEVICE} is missing; load the module (`modprobe tun`), or in a container start it with --device {DEVICE}"
        )
    try:
        os.close(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise PlatformError(
            f"{DEVICE} cannot be opened ({error.strerror}); run as root, or open it to users: `chmod 0666 {DEVICE}`"
        ) from None


def _guard(body: Callable[[], int]) -> None:
    """End a forked process with the return value of `body`, and never return into the caller's code."""
    code = EXIT_INTERNAL
    try:
        code = body()
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except SkyloomError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the process has no other way to report it
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code & 0xFF)


def _unmasked(main: Callable[[], int], mask: set[signal.Signals] | set[int]) -> Callable[[], int]:
    """`main` with the caller's signal mask."""

    def run() -> int:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return main()

    return run


def _watch(
    caller: int,
    main: Callable[[], int],
    hosts: Mapping[str, tuple[str, ...]],
    keep_fds: Collection[int] | None,
    user_namespace: bool | None,
    write_end: int,
) -> int:
    """The watcher: enters the namespaces, forks PID 1, passes signals on, and ends with its exit status."""
    _die_with(caller)
    os.setsid()  # a terminal's Ctrl-C reaches the caller only, which passes it on
    if keep_fds is not None:
        _close_all_but({0, 1, 2, write_end, *keep_fds})
    try:
        enter_namespaces(os.geteuid() != 0 if user_namespace is None else user_namespace)
    except OSError as error:
        os.write(write_end, f"no sandbox can be made: {error}; {_USER_HINT}".encode())
        return PlatformError.exit_code

    def let_go() -> None:
        syscalls.die_with_parent(0)
        os.kill(caller, DETACH)

    return _outlive(lambda: _init(main, hosts, write_end), {DETACH: let_go})


def _init(main: Callable[[], int], hosts: Mapping[str, tuple[str, ...]], write_end: int) -> int:
    """PID 1: prepares the file system, forks `main`, and reaps orphaned processes."""
    signal.signal(DETACH, signal.SIG_DFL)
    syscalls.die_with_parent(signal.SIGKILL)  # the watcher is outside this PID namespace: its id cannot be compared
    try:
        _mounts(hosts)
        syscalls.sethostname("skyloom")
    except OSError as error:
        os.write(write_end, f"the sandbox's file system cannot be made: {error}; {_USER_HINT}".encode())
        return PlatformError.exit_code

    def run() -> int:
        os.close(write_end)
        _die_with(1)
        return main()

    return _outlive(run)


def _outlive(body: Callable[[], int], on: Mapping[int, Callable[[], None]] = MappingProxyType({})) -> int:
    """Fork `body`, pass signals on to it, reap everything, and return its exit status. `on`: what is done at others.

    Signals stay blocked and are waited for: a handler in Python would wait for the end of a system call that begins
    just after the signal has come.
    """
    awaited = {signal.SIGCHLD, *PASSED_ON, *on}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    child = os.fork()
    if child == 0:
        _guard(body)
    signal.set_wakeup_fd(-1)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):  # readers of these must see the end of `main` or of the caller, not of this process
        os.dup2(null, fd)
    os.closerange(3, 1 << 20)
    while True:
        number = signal.sigwait(awaited)
        if number in on:
            on[number]()
        elif number in PASSED_ON:
            _pass_on(child, number)
        else:
            for pid, status in iter(lambda: os.waitpid(-1, os.WNOHANG), (0, 0)):
                if pid == child:
                    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _pass_on(child: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, number)


def _die_with(parent: int) -> None:
    syscalls.die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the request
        os._exit(128 + signal.SIGKILL)


def _close_all_but(keep: Collection[int]) -> None:
    for fd in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if fd not in keep:
            with suppress(OSError):  # the listing's own descriptor is closed by now
                os.close(fd)


def enter_namespaces(user_namespace: bool) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if not user_namespace:
        try:
            syscalls.unshare(_NAMESPACES)
            return
        except PermissionError:  # root of a container without CAP_SYS_ADMIN may still own a user namespace
            pass
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    syscalls.unshare(_NAMESPACES)


def _mounts(hosts: Mapping[str, tuple[str, ...]]) -> None:
    """Private mounts, name resolution that never leaves the sandbox, and a /proc that shows the sandbox's processes."""
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount(
        "tmpfs", "/proc", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755"
    )  # a temporary place for files
    for target, text in (
        ("/etc/hosts", hosts_file(hosts)),
        ("/etc/resolv.conf", "# no name leaves the sandbox\n"),
        ("/etc/nsswitch.conf", _names_from_files()),
    ):
        if Path(target).is_file():  # a mount needs an existing file, and none is made on the host
            desk = Path("/proc") / Path(target).name
            desk.write_text(text)
            desk.chmod(0o644)
            syscalls.mount(str(desk), target, "", syscalls.MS_BIND)
    syscalls.umount("/proc", syscalls.MNT_DETACH)
    syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)


def hosts_file(hosts: Mapping[str, tuple[str, ...]]) -> str:
    """The text of /etc/hosts: localhost, then every node by each of its addresses."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{address} {name}" for name, addresses in hosts.items() for address in addresses if address]
    return "\n".join(lines) + "\n"


def _names_from_files() -> str:
    """The host's nsswitch.conf with host names looked up in files only."""
    with suppress(OSError):
        lines = Path("/etc/nsswitch.conf").read_text().splitlines()
        return "\n".join([line for line in lines if not line.startswith("hosts:")] + ["hosts: files", ""])
    return "hosts: files\n"
