"""The Mininet door: a plain Topo, `cmd`, `popen`, `pingAll` and the prompt, without mnexec or ifconfig."""

import io
import os
import signal
import subprocess
import threading
import time
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from fabric_sandbox import Wire, in_sandbox, needs_sandbox
from mininet.log import lg
from mininet.node import Node
from mininet.topo import SingleSwitchTopo, Topo

from emulator.fabric.mininet.net import Net, popen_in
from emulator.fabric.mininet.popen import popen_through
from emulator.model.errors import EmulationError
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule

pytestmark = [pytest.mark.netns, needs_sandbox]


class LinuxRouter(Node):
    """As in Mininet's examples."""

    def config(self, **params):
        super().config(**params)
        self.cmd("echo 1 > /proc/sys/net/ipv4/ip_forward")

    def terminate(self):
        self.cmd("echo 0 > /proc/sys/net/ipv4/ip_forward")
        super().terminate()


class RouterTopo(Topo):
    def build(self):
        router = self.addNode("r0", cls=LinuxRouter, ip="10.0.1.254/24")
        for number in (1, 2):
            switch = self.addSwitch(f"s{number}")
            host = self.addHost(f"h{number}", ip=f"10.0.{number}.1/24", defaultRoute=f"via 10.0.{number}.254")
            self.addLink(host, switch, bw=100, delay="1ms")
            self.addLink(
                switch, router, intfName2=f"r0-eth{number}", params2={"ip": f"10.0.{number}.254/24"}
            )  # fmt: skip


def stations():
    """gs-a and gs-b with a transit satellite between them; only its name is in the network."""
    end = EndSpec(schedule=PiecewiseSchedule.constant(0.001, 1e9))
    nodes = (
        NodeSpec("gs-a", "host", True, "10.1.0.1", "fd53:6b79::1"), NodeSpec("gs-b", "host", True, "10.1.0.2"),
        NodeSpec("sat-1", "satellite", False, "10.1.0.3", forwards=True, shared_downlink=True),
    )  # fmt: skip
    return Network(nodes, (LinkSpec("gs-a:up", 0, 1, "up", "up", end, end),))


def run_script(net, text):
    """What the prompt prints when it is given these lines."""
    from emulator.fabric.mininet.prompt import Prompt

    path = Path(f"/proc/self/fd/{os.memfd_create('script')}")
    path.write_text(text)
    shown = io.StringIO()
    handler = lg.handlers[0]
    before = handler.setStream(shown)
    try:
        with redirect_stdout(shown), open(os.devnull) as nothing:
            Prompt(net, stdin=nothing, script=str(path))
    finally:
        handler.setStream(before)
    return shown.getvalue()


def test_switches_hosts_and_ping_all():
    def body():
        net = Net(SingleSwitchTopo(k=3))
        net.start()
        wire = Wire(net.ports)
        assert [host.IP() for host in net.hosts] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        assert net.pingAll() == 0
        assert net.get("h1").MAC() == net.get("h1").defaultIntf().updateMAC()
        assert len(net.linksBetween(net["h1"], net["s1"])) == 1
        net.stop()
        wire.stop()

    in_sandbox(body)


def test_a_router_class_of_the_users_own_and_two_subnets():
    def body():
        net = Net(RouterTopo())
        wire = Wire(net.ports)
        assert isinstance(net["r0"], LinuxRouter)
        assert net["r0"].cmd("cat /proc/sys/net/ipv4/ip_forward").strip() == "1"
        answer = net["h1"].cmd("ping -n -c1 -W5 10.0.2.1")
        assert "ttl=63" in answer, answer
        net.stop()
        wire.stop()

    in_sandbox(body)


def test_nothing_starts_with_a_host_and_a_shell_keeps_its_state():
    def body():
        def processes():
            return sum(path.name.isdigit() for path in Path("/proc").iterdir())

        def command_lines():
            return {path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")}

        before = processes()
        net = Net(SingleSwitchTopo(k=4))
        assert processes() == before
        host = net["h1"]
        assert host.cmd("echo hello").strip() == "hello"
        assert processes() == before + 1
        host.cmd("cd /proc; WORD=kept")
        assert host.cmd("echo $WORD $PWD").strip() == "kept /proc"
        host.cmd("sleep 1000 &")
        background = host.lastPid
        assert int(host.cmd("echo $!")) == background
        assert "status 143" in host.cmd("kill %1; wait %1; echo status $?")
        host.sendCmd("sleep 1000; echo done")
        deadline_s = time.monotonic() + 30  # an interrupt that comes before the command takes it from the terminal
        while b"sleep\x001000\x00" not in command_lines():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        host.sendInt()
        assert "done" not in host.waitOutput()
        net.stop()
        assert processes() == before

    in_sandbox(body)


def test_popen_and_pexec_run_in_the_node():
    def body():
        net = Net(SingleSwitchTopo(k=2))
        out, err = net["h2"].popen("ip -o -4 addr show dev h2-eth0").communicate()
        assert b"10.0.0.2/8" in out
        assert err == b""
        assert net["h1"].pexec(["sh", "-c", "exit 3"])[2] == 3
        net.stop()

    in_sandbox(body)


def test_no_setting_of_the_host_is_touched_by_mininets_own_start():
    def body():
        from mininet.net import Mininet

        before = Path("/proc/sys/fs/file-max").read_text()
        net = Net(SingleSwitchTopo(k=2))
        assert Path("/proc/sys/fs/file-max").read_text() == before
        assert not Mininet.inited
        net.stop()

    in_sandbox(body)


def test_the_prompt_takes_hyphens_and_replaces_names():
    def body():
        net = Net(stations())
        wire = Wire(net.ports)
        text = run_script(net, "nodes\ngs-a ping -n -c1 -W5 gs-b\nsat-1 ls\nno-such ls\nxterm gs-a\nlinks\nnet\n")
        assert "gs-a gs-b" in text
        assert "PING 10.1.0.2" in text
        assert " 0% packet loss" in text
        assert "sat-1 is a transit node" in text
        assert "Unknown command: no-such ls" in text
        assert "not part of Skyloom" in text
        assert "(OK OK)" in text
        net.stop()
        wire.stop()

    in_sandbox(body)


def test_link_down_is_passed_on():
    def body():
        asked = []
        net = Net(stations(), set_links=lambda ends, up: asked.append((ends, up)))
        run_script(net, "link gs-a gs-b down\nlink gs-b gs-a up\n")
        assert asked == [(["gs-a:up", "gs-b:up"], False), (["gs-a:up", "gs-b:up"], True)]
        assert "have no link" in run_script(net, "link gs-a sat-1 down\n")
        net.stop()

    in_sandbox(body)


def test_a_prompt_on_a_network_that_lives_elsewhere():
    """The far side gets a node, a command and three descriptors, as over the control socket of a live run."""

    def body():
        built = Net(stations())
        here = popen_in(built.fabric)

        def execute(node, argv, stdin, stdout, stderr):
            return here(node, list(argv), stdin=stdin, stdout=stdout, stderr=stderr)

        net = Net(stations(), popen=popen_through(execute))
        assert net.fabric is None
        assert net.ports == []
        assert "10.1.0.1" in net["gs-a"].cmd("ip -o -4 addr show dev lo")
        assert "10.1.0.2" in run_script(net, "gs-b ip -o -4 addr show dev lo\n")
        process = net["gs-a"].popen(["cat"], stdin=subprocess.PIPE)
        assert process.communicate(b"words") == (b"words", b"")
        assert process.returncode == 0
        process = net["gs-a"].popen(["sh", "-c", "echo wrong >&2; exit 5"], stderr=subprocess.STDOUT, text=True)
        assert process.communicate() == ("wrong\n", None)
        assert process.wait(5) == 5
        process = net["gs-a"].popen(["sleep", "1000"], stdout=subprocess.DEVNULL)
        process.terminate()
        assert process.wait(5) == -signal.SIGTERM
        net.stop()
        built.stop()
        assert threading.active_count() == 1

    in_sandbox(body)


def test_what_cannot_be_done_is_said():
    def body():
        net = Net(stations())
        intf = net["gs-a"].defaultIntf()
        for refused in (lambda: intf.rename("x"), lambda: intf.ifconfig("10.0.0.1"), lambda: net.fabric.netns(2)):
            with pytest.raises(EmulationError):
                refused()
        assert intf.isUp()
        intf.ifconfig("down")
        assert intf.status() == "down"
        intf.setIP("10.7.0.1/24")
        assert "10.7.0.1/24" in net["gs-a"].cmd("ip -o addr show dev up")
        net.stop()

    in_sandbox(body)


def test_private_directories_are_refused():
    class Private(Topo):
        def build(self):
            self.addHost("h1", privateDirs=["/var/run"])

    def body():
        from emulator.model.errors import DataError

        with pytest.raises(DataError, match="option 'privateDirs' is not supported"):
            Net(Private())

    in_sandbox(body)
