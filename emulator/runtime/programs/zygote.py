"""The zygote: one warm Python process from which every process of a run is forked into its node's namespace.

Invariant: it has a single thread, imports nothing heavy and never waits for a child, so that a fork costs a few
milliseconds and three megabytes. All processes of a run, commands too, are its children and die with it.
"""

from __future__ import annotations

import fcntl
import gc
import os
import resource
import select
import signal
import socket
import sys
import termios
import time
from typing import assert_never

from emulator.fabric.kernel.syscalls import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUTS,
    die_with_parent,
    sethostname,
    setns,
    unshare,
)
from emulator.model import clock
from emulator.model.clock_page import ClockPage
from emulator.model.errors import EmulationError
from emulator.runtime.control.channel import Channel
from emulator.runtime.control.encoding import BadMessage, prepare
from emulator.runtime.control.messages import (
    FROM_NODE,
    TO_NODE,
    TO_ZYGOTE,
    Cold,
    Kill,
    Members,
    Peers,
    ProcessExited,
    Spawn,
    Spawned,
    Start,
    Stop,
    ToZygote,
    Warm,
    Warmed,
)
from emulator.runtime.control.transport import close_all, hear_with_descriptors, say
from emulator.runtime.programs.node_runner import field_types, load_program, log_to_stderr, run_command, run_program
from emulator.sdk.node import Peer

REHEARSALS = 10  # the interpreter specialises code that has run eight times


class Zygote:
    """The loop: messages of the supervisor in, forks and exits out."""

    def __init__(self, channel: Channel, page: ClockPage | None) -> None:
        self._channel = channel
        self._page = page
        self._peers: dict[str, Peer] = {}
        self._members: dict[str, list[str]] = {}  # program: nodes that run it
        self._children: dict[int, int] = {}  # pid: id that the supervisor gave
        self._pids: dict[int, int] = {}
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        """Serve until the supervisor closes the channel."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            for fd, _events in poll.poll():
                if fd == self._woken:
                    os.read(self._woken, 4096)
                    self._reap()
                    continue
                try:
                    message, fds = hear_with_descriptors(self._channel, TO_ZYGOTE)
                except BadMessage as error:
                    sys.stderr.write(f"{error}\n")
                    continue
                if message is None:
                    return
                try:
                    self._obey(message, fds)
                finally:
                    close_all(fds)

    def _obey(self, message: ToZygote, fds: list[int]) -> None:
        match message:
            case Peers(rows):
                for row in rows:
                    self._peers[row[0]] = Peer(*row)
            case Members(program, nodes):
                self._members.setdefault(program, []).extend(nodes)
            case Warm():
                self._warm(message)
            case Spawn():
                self._spawn(message, fds)
            case Kill(ids, signum):
                for number in ids:
                    self._kill(number, signum)
            case other:
                assert_never(other)

    def _warm(self, message: Warm) -> None:
        """Import the programs, so that their children share them."""
        begun = time.monotonic()
        sys.path[:0] = [path for path in message.path if path not in sys.path]
        for dotted in message.programs:
            try:
                field_types(load_program(dotted).Config)
            except Exception as error:
                say(self._channel, Cold(dotted, f"{type(error).__name__}: {error}"[:2000]))
                return
        log_to_stderr()
        prepare((*TO_NODE, *FROM_NODE))
        for _ in range(REHEARSALS):
            self._rehearse(message.store)
        clock.share(self._page)  # not before: its first line may be a step, which a rehearsal would wait for
        gc.freeze()  # without a collection: children would fill the holes that it leaves, and copy a page for each
        say(self._channel, Warmed(time.monotonic() - begun))

    def _rehearse(self, store: str) -> None:
        """Live a short idle life here: its code comes out specialised and its caches filled, once for all children.

        Measured: saves each child about 0.7 MB and 2 ms; a tenth one 0.1 MB more than the first.
        """
        ours, theirs = Channel.pair()
        say(ours, Start(clock.monotonic_ns()))
        say(ours, Stop())
        idle = Spawn(0, "", "", 0, log="", store=store, key_log="", fds=(), run="emulator.sdk.node:Node")
        run_program(idle, theirs, {"": Peer("", "", "127.0.0.1")})
        ours.close()
        theirs.close()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def _spawn(self, message: Spawn, fds: list[int]) -> None:
        pid = os.fork()
        if pid:
            self._children[pid] = message.id
            self._pids[message.id] = pid
            say(self._channel, Spawned(message.id, pid))
            return
        status = 70
        try:
            status = self._child(message, fds)
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _child(self, message: Spawn, fds: list[int]) -> int:
        """In the child: namespace, session, standard streams, then the program. Returns the exit status."""
        die_with_parent(signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            default = bool(message.command) or number != signal.SIGPIPE
            signal.signal(number, signal.SIG_DFL if default else signal.SIG_IGN)
        self._channel.close()
        given = dict(zip(message.fds, fds, strict=True))
        os.setsid()
        self._streams(message, given)
        for name, fd in given.items():
            if name.startswith("group"):
                os.write(fd, b"0")  # this process
        _join(message.node, given)
        control = Channel(socket.socket(fileno=os.dup(given["control"]))) if "control" in given else None
        if message.directory:
            try:
                os.chdir(message.directory)
            except OSError:
                os.chdir("/")
        _bound(message)
        if message.command:
            return run_command(message, control)
        assert control is not None
        gc.enable()
        return run_program(message, control, self._peers, self._members.get(message.program, []))

    def _streams(self, message: Spawn, given: dict[str, int]) -> None:
        """Standard streams: those given, else nothing in and the node's log out."""
        if "stdin" in given:
            streams = [given["stdin"], given["stdout"], given["stderr"]]
        else:
            log = os.open(message.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            streams = [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), log, log]
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in streams]
        for target, fd in enumerate(high):
            os.dup2(fd, target)
            os.close(fd)
        if message.terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def _kill(self, number: int, signum: int) -> None:
        pid = self._pids.get(number)
        if pid is None:
            return
        try:
            os.killpg(pid, signum)
        except ProcessLookupError:
            try:
                os.kill(pid, signum)  # before it had a session of its own
            except ProcessLookupError:
                pass

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self._children.pop(pid, None)
            if number is None:
                continue
            del self._pids[number]
            try:
                os.killpg(pid, signal.SIGKILL)  # what the process left behind in its session's group
            except ProcessLookupError:
                pass
            spent_s = usage.ru_utime + usage.ru_stime
            say(self._channel, ProcessExited(number, os.waitstatus_to_exitcode(status), spent_s))


def _join(node: str, given: dict[str, int]) -> None:
    """Enter the namespaces of the node; one without files of its own has its name, too."""
    setns(given["net"], CLONE_NEWNET)
    if "uts" in given:
        setns(given["uts"], CLONE_NEWUTS)
        setns(given["mnt"], CLONE_NEWNS)
    else:
        unshare(CLONE_NEWUTS)
        sethostname(node)


def _bound(message: Spawn) -> None:
    """Take on the limits and the account of the node."""
    for name, value in message.limits.items():
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (value, value))
        except (ValueError, OSError):
            _, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))
            raise EmulationError(f"limits.{name} = {value}: at most {hard} without root") from None
    if message.account:
        user, group, *groups = message.account
        os.setgroups(groups)
        os.setgid(group)
        os.setuid(user)
        die_with_parent(signal.SIGKILL)  # another user's process has forgotten it


def main() -> None:
    """Entry point. The command line names two descriptors: the channel to the supervisor, and, where the host has a
    clock of its own, the page by which it reads the run's."""
    die_with_parent(signal.SIGKILL)
    gc.disable()
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    try:
        import uvloop  # noqa: F401  so that children share it
    except ImportError:
        pass
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    page = ClockPage(int(sys.argv[2])) if len(sys.argv) > 2 else None
    Zygote(Channel(socket.socket(fileno=int(sys.argv[1]))), page).serve()


if __name__ == "__main__":
    main()
