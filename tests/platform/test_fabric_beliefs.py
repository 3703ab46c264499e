"""What the fabric believes of Linux and of Mininet; the first thing to look at on a new machine."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fabric_sandbox import in_sandbox, needs_sandbox

from emulator.fabric.kernel import netlink, syscalls, tun

netns = [pytest.mark.netns, needs_sandbox]


def test_importing_mininet_starts_nothing_and_needs_no_tool():
    words = "import mininet.net, mininet.cli, mininet.topo, os; print(len(os.listdir('/proc/self/task')))"
    done = subprocess.run([sys.executable, "-c", words], env={"PATH": ""}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_mininet_would_change_the_host_if_it_were_not_kept_from_it():
    """Why `Net` sets `Mininet.inited` while it is made."""
    import inspect

    from mininet.net import Mininet

    source = inspect.getsource(Mininet.init)
    assert "fixLimits()" in source
    assert "if cls.inited" in source


@pytest.mark.netns
@needs_sandbox
def test_setns_and_unshare_hold_for_the_calling_thread_only():
    def body():
        from threading import Thread

        home = Path("/proc/thread-self/ns/net").readlink()
        elsewhere = []

        def visit():
            syscalls.unshare(syscalls.CLONE_NEWNET)
            elsewhere.append(Path("/proc/thread-self/ns/net").readlink())

        thread = Thread(target=visit)
        thread.start()
        thread.join()
        assert elsewhere != [home]
        assert Path("/proc/thread-self/ns/net").readlink() == home

    in_sandbox(body)


@pytest.mark.netns
@needs_sandbox
def test_persistent_ports_close_at_once_and_stay():
    """Devices that are not persistent take some 20 ms each to close; 200 of ours must not take seconds."""

    def body():
        syscalls.unshare(syscalls.CLONE_NEWNET)
        fds = [tun.open_port(f"p{number}", tun.FIRST_INDEX + number) for number in range(200)]
        started = time.perf_counter()
        for fd in fds:
            os.close(fd)
        assert time.perf_counter() - started < 2.0
        route_socket = netlink.Socket()
        assert sum(link.name.startswith("p") for link in route_socket.links()) == 200

    in_sandbox(body)


@pytest.mark.netns
@needs_sandbox
def test_interface_numbers_can_be_chosen_and_names_of_15_characters_used():
    def body():
        syscalls.unshare(syscalls.CLONE_NEWNET)
        os.close(tun.open_port("a" * 15, 4711))
        assert ("a" * 15, 4711) in [(link.name, link.index) for link in netlink.Socket().links()]
        with pytest.raises(OSError, match=r"File exists|busy"):
            tun.open_port("second", 4711)

    in_sandbox(body)


@pytest.mark.netns
@needs_sandbox
def test_a_batch_is_carried_out_before_send_returns_and_goes_on_after_an_error():
    def body():
        syscalls.unshare(syscalls.CLONE_NEWNET)
        route_socket = netlink.Socket()
        batch = [netlink.add_address(77, "10.0.0.9", 32), netlink.set_link(1, up=True)]
        batch += [netlink.add_address(1, f"10.0.{number // 250}.{number % 250 + 1}", 32) for number in range(1000)]
        refused = route_socket.try_send(batch)
        assert [errno for errno, _ in refused] == [19]  # ENODEV
        shown = subprocess.check_output(["ip", "-o", "-4", "addr", "show", "dev", "lo"], text=True)
        assert shown.count("inet 10.") == 1000

    in_sandbox(body)
