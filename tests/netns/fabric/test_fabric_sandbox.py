"""The sandbox: exit status, signals, names, and that nothing is left of it however it ends."""

import os
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest
from fabric_sandbox import in_sandbox, needs_sandbox

from emulator.fabric import sandbox
from emulator.fabric.build import Fabric
from emulator.fabric.kernel import netlink, syscalls
from emulator.model.errors import PlatformError, UsageError
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule

pytestmark = [pytest.mark.netns, needs_sandbox]
RTM_NEWNSID, RTM_GETNSID, NETNSA_NSID, NETNSA_FD = 88, 90, 1, 3


def status_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def until(condition, what, timeout_s=15.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)


def children(pid):
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def descendants(pid):
    found = children(pid)
    for child in list(found):
        found += descendants(child)
    return found


def gone(pids):
    return not any(Path(f"/proc/{pid}").exists() and _state(pid) != "Z" for pid in pids)


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


@pytest.mark.parametrize("code", [0, 1, 75])
def test_exit_status_is_what_main_returned(code):
    assert status_of(sandbox.spawn(lambda: code, {})) == code


def test_an_error_of_ours_ends_with_its_exit_code(capfd):
    def main():
        raise UsageError("no such node")

    assert status_of(sandbox.spawn(main, {})) == 64
    assert "no such node" in capfd.readouterr().err


def test_a_traceback_ends_with_70(capfd):
    assert status_of(sandbox.spawn(lambda: 1 // 0, {})) == 70
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_killed_main_ends_as_128_plus_signal():
    assert status_of(sandbox.spawn(lambda: os.kill(os.getpid(), signal.SIGKILL) or 0, {})) == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_reach_main(number):
    ready, tell = os.pipe()

    def main():
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})
        os.write(tell, b"r")
        return 40 + signal.sigwait({number})

    pid = sandbox.spawn(main, {})
    os.read(ready, 1)
    os.kill(pid, number)
    assert status_of(pid) == 40 + number
    os.close(ready)
    os.close(tell)


def test_main_sees_only_its_own_processes_and_an_empty_network():
    def body():
        seen = sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
        return seen, [name for _, name in socket.if_nameindex()], socket.gethostname()

    seen, interfaces, name = in_sandbox(body)
    assert seen == [1, 2]
    assert "lo" in interfaces
    assert not any(interface.startswith("e") for interface in interfaces)
    assert name == "skyloom"


def test_orphans_are_reaped():
    def body():
        orphan = int(subprocess.check_output(["sh", "-c", "sleep 0.05 >/dev/null & echo $!"]))
        until(lambda: not Path(f"/proc/{orphan}").exists(), "the orphan is reaped")

    in_sandbox(body)


def test_names_resolve_from_the_table_and_nowhere_else():
    def body():
        found = {item[4][0] for item in socket.getaddrinfo("gs-tokyo", None)}
        unknown = subprocess.run(["getent", "hosts", "example.org"], capture_output=True, timeout=20).returncode
        return found, unknown

    found, unknown = in_sandbox(body, {"gs-tokyo": ("10.1.2.3", "fd53:6b79::7")})
    assert found == {"10.1.2.3", "fd53:6b79::7"}
    assert unknown == 2


def test_the_host_keeps_its_files_settings_and_interfaces():
    def snapshot():
        settings = {
            str(path): path.read_bytes()
            for folder in ("/proc/sys/net/ipv4", "/proc/sys/net/ipv6/conf/all", "/proc/sys/net/core")
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file() and path.stat().st_mode & 0o600 == 0o600 and path.name != "stable_secret"
        }
        files = {name: Path(name).read_bytes() for name in ("/etc/hosts", "/etc/resolv.conf") if Path(name).exists()}
        return settings, files, socket.if_nameindex(), Path("/proc/mounts").read_text()

    before = snapshot()
    in_sandbox(lambda: len(Fabric(pair()).build()), {"a": ("10.0.0.1",)})
    assert snapshot() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to map it")
def test_a_user_namespace_is_enough():
    def body():
        return len(Fabric(pair()).build()), Path("/proc/self/uid_map").read_text().split()

    ports, uid_map = in_sandbox(body, user_namespace=True)
    assert ports == 2
    assert uid_map == ["0", "0", "1"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_user_without_tun_is_told_what_to_do():
    if Path("/dev/net/tun").stat().st_mode & 0o006 == 0o006:
        pytest.skip("/dev/net/tun is open to everybody here")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            sandbox.spawn(lambda: 0, {})
        except PlatformError as error:
            os.write(write, f"{error.exit_code} {error}".encode())
        os._exit(0)
    os.close(write)
    words = os.read(read, 4096).decode()
    os.waitpid(child, 0)
    os.close(read)
    assert words.startswith("69 /dev/net/tun cannot be opened")
    assert "chmod" in words


def test_descriptors_that_are_not_kept_are_closed():
    kept, closed = os.pipe()
    try:

        def body():
            held = {int(path.name) for path in Path("/proc/self/fd").iterdir()}
            return kept in held, closed in held

        read, write = os.pipe()

        def main():
            os.write(write, bytes(body()))
            return 0

        pid = sandbox.spawn(main, {}, keep_fds={kept, write})
        os.close(write)
        assert os.read(read, 2) == bytes((True, False))
        os.close(read)
        assert status_of(pid) == 0
    finally:
        os.close(kept)
        os.close(closed)


def pair():
    end = EndSpec(schedule=PiecewiseSchedule.constant(0.001, 1e8))
    nodes = (NodeSpec("a", "host", True, "10.0.0.1"), NodeSpec("b", "host", True, "10.0.0.2"))
    return Network(nodes, (LinkSpec("a:eth0", 0, 1, "eth0", "eth0", end, end),))


def known_namespaces(route_socket):
    """Namespaces that have an id in ours: an id does not keep its namespace alive, and goes with it."""
    raw = route_socket._socket
    raw.send(netlink.message(RTM_GETNSID, netlink.NLM_F_DUMP, bytes(4)))
    found = []
    while True:
        for answer in netlink.split(raw.recv(1 << 16)):
            kind = struct.unpack_from("=H", answer, 4)[0]
            if kind == netlink.NLMSG_DONE:
                return found
            fields = dict(netlink.attributes(answer[20:]))
            found.append(struct.unpack("=i", fields[NETNSA_NSID])[0])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to look into the sandbox from outside")
@pytest.mark.parametrize("victim", ["main", "PID 1", "watcher", "caller"])
def test_sigkill_leaves_no_process_no_namespace_and_no_interface(victim):
    """An observer in its own namespace gives every namespace of the run an id, and waits until all ids are gone."""
    observer = os.fork()
    if observer == 0:
        code = 1
        try:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            _kill_and_look(victim)
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    assert status_of(observer) == 0


def _kill_and_look(victim):
    told, tell = os.pipe()

    def main():
        fabric = Fabric(pair())
        fabric.build()
        with syscalls.inside(fabric.netns(0)):
            subprocess.Popen(["sleep", "1000"], start_new_session=True)
        os.write(tell, struct.pack("2i", fabric.netns(0), fabric.netns(1)))
        signal.pause()
        return 0

    caller = os.fork()
    if caller == 0:
        os.waitpid(sandbox.spawn(main, {}), 0)
        os._exit(0)
    fds = struct.unpack("2i", os.read(told, 8))
    until(lambda: len(descendants(caller)) == 4, "watcher, PID 1, main, sleep")
    watcher, init, main_pid, sleeper = descendants(caller)
    route_socket = netlink.Socket()
    held = [os.open(f"/proc/{main_pid}/fd/{fd}", os.O_RDONLY) for fd in fds]
    held.append(os.open(f"/proc/{main_pid}/ns/net", os.O_RDONLY))
    for fd in held:
        body = bytes(4) + netlink.attribute(NETNSA_FD, struct.pack("=I", fd))
        body += netlink.attribute(NETNSA_NSID, struct.pack("=i", -1))
        route_socket.send(netlink.message(RTM_NEWNSID, 0, body), "observer")
        os.close(fd)
    assert len(known_namespaces(route_socket)) == 3
    os.kill({"main": main_pid, "PID 1": init, "watcher": watcher, "caller": caller}[victim], signal.SIGKILL)
    until(lambda: gone([watcher, init, main_pid, sleeper]), "every process is gone")
    os.waitpid(caller, 0)
    until(lambda: not known_namespaces(route_socket), "every namespace is gone")


def test_an_answer_to_detach_that_comes_too_late_does_not_end_the_caller(monkeypatch):
    pid = sandbox.spawn(lambda: signal.pause() or 0, {})
    before = signal.getsignal(sandbox.DETACH)
    monkeypatch.setattr(sandbox, "DETACH_S", 0.0)
    os.kill(pid, signal.SIGSTOP)  # it cannot answer in time
    try:
        assert sandbox.detach(pid) is False
    finally:
        os.kill(pid, signal.SIGCONT)  # and answers now
    monkeypatch.setattr(sandbox, "DETACH_S", 10.0)
    assert sandbox.detach(pid) is True  # asked again, it does answer, and we are here to hear it
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    signal.signal(sandbox.DETACH, before)
