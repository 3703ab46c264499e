"""Mininet's interface: `Mininet`, `Node`, `Intf` and `Link` over a network that Skyloom builds, or that already runs.

Invariant: making a host starts no process. A node gets a shell at its first `cmd`; the fabric makes interfaces,
addresses and routes in one batch; mnexec, ifconfig and the host's settings are not used. Commands are started by a
strategy (`NodePopen`), so the same objects work inside the sandbox and from another terminal.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from mininet.link import Intf as MininetIntf
from mininet.link import Link as MininetLink
from mininet.net import Mininet
from mininet.node import Node as MininetNode

from emulator.fabric.build import Fabric, Port, port_mac
from emulator.fabric.kernel import syscalls
from emulator.fabric.mininet.convert import network_from
from emulator.model.errors import EmulationError
from emulator.model.network import Network, NodeSpec

if TYPE_CHECKING:
    from mininet.topo import Topo

LinkSwitch = Callable[[list[str], bool], None]  # link ends by name, and whether to switch them on


class NodePopen(Protocol):
    """`subprocess.Popen` in a node: its name, the command as a list, and Popen's own keywords."""

    def __call__(self, node: str, argv: list[str], /, **options: Any) -> Any: ...


def popen_in(fabric: Fabric) -> NodePopen:
    """Commands by fork and exec in the node's network namespace; for the process that holds the fabric."""
    numbers = {node.name: number for number, node in enumerate(fabric.network.nodes)}

    def popen(node: str, argv: list[str], /, **options: Any) -> subprocess.Popen[Any]:
        with syscalls.inside(fabric.netns(numbers[node])):
            return subprocess.Popen(argv, **{"start_new_session": True, **options})

    return popen


class Host(MininetNode):  # type: ignore[misc]
    """A node's namespace, with a shell from its first `cmd` on."""

    def __init__(self, name: str, popen: NodePopen | None = None, spec: NodeSpec | None = None, **params: Any) -> None:
        self._open, self.spec = popen, spec
        super().__init__(name, **params)

    @classmethod
    def setup(cls) -> None:
        """Does nothing; Mininet would look for mnexec and ifconfig here."""

    def startShell(self, mnopts: str | None = None) -> None:
        """Does nothing yet: `sendCmd` starts the shell."""

    def mountPrivateDirs(self) -> None:
        if self.privateDirs:
            raise EmulationError(f"{self.name}: privateDirs are not supported: nodes share the sandbox's file system")

    def _popen(self, cmd: list[str], **params: Any) -> Any:
        """Start in the node what Mininet starts through `mnexec … env …`."""
        if self._open is None:
            raise EmulationError(f"{self.name}: the network is not built yet")
        if cmd[0] == "mnexec":
            # The shell opens its terminal again, which makes it the controlling one: Ctrl-C and job control work.
            terminal = 'exec "$@" <"/proc/self/fd/0" >"/proc/self/fd/0" 2>&1'
            cmd = ["sh", "-c", terminal, "sh", *cmd[cmd.index("env") :]]
        return self._open(self.name, cmd, **params)

    def sendCmd(self, *args: Any, **kwargs: Any) -> None:
        if not self.shell:
            super().startShell()
        super().sendCmd(*args, **{**kwargs, "printPid": False})

    def cmd(self, *args: Any, **kwargs: Any) -> str:
        """Run a command in the node's shell and return what it prints, as in Mininet."""
        self.sendCmd(*args, **kwargs)
        return str(self.waitOutput(kwargs.get("verbose", False)))

    def popen(self, *args: Any, **kwargs: Any) -> Any:
        """A `subprocess.Popen` (or the like of it) in the node."""
        kwargs.pop("mncmd", None)
        return super().popen(*args, mncmd=[], **kwargs)

    def addIntf(self, intf: Any, port: int | None = None, moveIntfFn: Any = None) -> None:
        super().addIntf(intf, port, lambda *_: None)

    def terminate(self) -> None:
        if self.shell and self.shell.poll() is None:
            os.write(self.master, b"\x04")  # end of input: works for shells in other processes too
            try:
                self.shell.wait(timeout=1)
            except subprocess.TimeoutExpired:
                self.shell.kill()
        self.cleanup()

    def config(self, **_params: Any) -> dict[str, Any]:
        """The fabric has configured the node; the user's own classes may extend this."""
        return {}

    def setARP(self, ip: str, mac: str) -> str:
        return self.cmd("ip neigh replace", ip, "lladdr", mac, "dev", self.defaultIntf())

    def setHostRoute(self, ip: str, intf: Any) -> str:
        return self.cmd("ip route replace", ip, "dev", intf)

    def setDefaultRoute(self, intf: Any = None) -> None:
        text = str(intf or self.defaultIntf())
        self.cmd("ip route replace default", text if " " in text else f"dev {text}")


class Switch(Host):
    """A node whose namespace holds a learning bridge. It needs no controller."""

    dpid = ""

    def start(self, controllers: Any) -> None: ...

    def connected(self) -> bool:
        return True

    def dpctl(self, *args: str) -> str:
        return f"{self.name} is a kernel bridge and has no OpenFlow tables\n"


class Intf(MininetIntf):  # type: ignore[misc]
    """An interface that the fabric has made. On unnumbered links its address is that of the node."""

    def __init__(self, name: str, node: Any = None, ip: str = "", **params: Any) -> None:
        super().__init__(name, node, **params)
        self.ip, _, length = ip.partition("/")
        self.prefixLen = int(length or 32) if ip else None

    def config(self, **_params: Any) -> dict[str, Any]:
        return {}

    def ifconfig(self, *args: str) -> str:
        """Only "up" and "down", by `ip link`."""
        if args not in (("up",), ("down",)):
            raise EmulationError(f"{self.name}: ifconfig is not supported; use `ip` in a command of the node")
        return str(self.cmd("ip link set dev", self.name, args[0]))

    def setIP(self, ipstr: str, prefixLen: int | None = None) -> str:
        self.ip, _, length = ipstr.partition("/")
        self.prefixLen = int(length or prefixLen or 32)
        flush = f"ip -4 addr flush dev {self.name}"
        return str(self.cmd(f"{flush}; ip addr add {self.ip}/{self.prefixLen} dev {self.name}"))

    def setMAC(self, macstr: str) -> str:
        self.mac: str | None = macstr
        return str(self.cmd(f"ip link set dev {self.name} address {macstr}"))

    def updateIP(self) -> str | None:
        return self.ip or None

    def updateMAC(self) -> str | None:
        found: list[str] = self._macMatchRegex.findall(self.cmd("ip link show dev", self.name))
        self.mac = found[0] if found else None
        return found[0] if found else None

    def updateAddr(self) -> tuple[str | None, str | None]:
        return self.updateIP(), self.updateMAC()

    def isUp(self, setUp: bool = False) -> bool:
        if setUp:
            return not self.ifconfig("up")
        return ",UP" in self.cmd("ip link show dev", self.name)

    def status(self) -> str:
        return "OK" if self.isUp() else "down"

    def rename(self, newname: str) -> str:
        raise EmulationError(f"{self.name}: interfaces cannot be renamed, as the run refers to them by name")

    def delete(self) -> None:
        """Does nothing: interfaces are removed with their namespace."""


class Link(MininetLink):  # type: ignore[misc]
    """Two interfaces that the fabric has made."""

    @classmethod
    def makeIntfPair(cls, *_args: Any, **_kwargs: Any) -> None:
        """Does nothing: `Fabric` makes the interfaces."""


class Net(Mininet):  # type: ignore[misc]
    """A network with Mininet's interface, from the user's Topo or from a `Network`.

    With `popen` the network already runs elsewhere and nothing is built. `set_links` switches link ends on and off for
    the prompt's `link a b down`. Transit nodes of the relay have no namespace and are not part of it.
    """

    def __init__(
        self,
        topo: Topo | Network,
        popen: NodePopen | None = None,
        set_links: LinkSwitch | None = None,
        build: bool = True,
        **options: Any,
    ) -> None:
        inited, Mininet.inited = Mininet.inited, True  # keeps Mininet from changing the host's sysctls
        try:
            super().__init__(host=Host, switch=Switch, controller=None, link=Link, intf=Intf, build=False, **options)
        finally:
            Mininet.inited = inited
        described = isinstance(topo, Network)
        self.topo: Any = None if described else topo
        self.network: Network = topo if isinstance(topo, Network) else network_from(topo)
        self.popen, self.set_links = popen, set_links
        self.fabric: Fabric | None = None
        self.ports: list[Port] = []
        if build:
            self.build()

    def build(self) -> None:
        """Make the kernel's part in one batch, then the objects for it."""
        if self.popen is None:
            self.fabric = Fabric(self.network)
            self.ports = self.fabric.build()
            self.popen = popen_in(self.fabric)
        for node in self.network.nodes:
            if node.live:
                self._add(node)
        for number, link in enumerate(self.network.links):
            self._connect(number, link.a_address, link.b_address)
        for host in self.hosts:
            if type(host).config is not Host.config:
                host.config(**host.params)
        self.built = True

    def _add(self, node: NodeSpec) -> None:
        options = dict(self.topo.nodeInfo(node.name)) if self.topo else {}
        chosen = options.pop("cls", None)
        kind = Switch if node.bridge else _host_class(chosen)
        options = {key: value for key, value in options.items() if key not in ("ip", "isSwitch")}
        made = kind(node.name, popen=self.popen, spec=node, **options)
        (self.switches if node.bridge else self.hosts).append(made)
        self.nameToNode[node.name] = made

    def _connect(self, number: int, a_address: str, b_address: str) -> None:
        link = self.network.links[number]
        a, b = (self.network.nodes[end] for end in (link.a, link.b))
        addresses = [a_address or a.ipv4, b_address or b.ipv4]
        if a.live and b.live and not link.moving:
            macs = [port_mac(self.network, 2 * number + side) if link.ethernet else None for side in (0, 1)]
            made = Link(
                self[a.name], self[b.name], intfName1=link.a_port, intfName2=link.b_port, intf=Intf,
                addr1=macs[0], addr2=macs[1], params1={"ip": addresses[0]}, params2={"ip": addresses[1]},
            )  # fmt: skip
            self.links.append(made)
            return
        if a.live and (not link.moving or link.a_port not in self[a.name].nameToIntf):
            Intf(link.a_port, self[a.name], addresses[0])
        if b.live and (not link.moving or link.b_port not in self[b.name].nameToIntf):
            Intf(link.b_port, self[b.name], addresses[1])

    def configLinkStatus(self, src: str, dst: str, status: str) -> None:
        """`link a b up|down`: done in the relay, so that routes and addresses are kept."""
        if self.set_links is None:
            super().configLinkStatus(src, dst, status)
            return
        numbers = {node.name: number for number, node in enumerate(self.network.nodes)}
        pair = {numbers.get(src), numbers.get(dst)}
        ends = [number for number, link in enumerate(self.network.links) if {link.a, link.b} == pair]
        if not ends:
            raise EmulationError(f"{src} and {dst} have no link")
        self.set_links([self.network.end_name(2 * link + side) for link in ends for side in (0, 1)], status == "up")

    def start(self) -> None:
        if not self.built:
            self.build()

    def stop(self) -> None:
        """End the shells, and close the network if this object made it."""
        for node in self.hosts + self.switches:
            node.terminate()
        if self.fabric:
            self.fabric.close()
            self.fabric = None


_host_classes: dict[type, type] = {}


def _host_class(chosen: type | None) -> type:
    """The user's class (as Mininet's LinuxRouter example) on top of our Host; Host for Mininet's own classes."""
    if chosen is None or chosen.__module__.startswith("mininet.") or not isinstance(chosen, type):
        return Host
    if chosen not in _host_classes:
        _host_classes[chosen] = chosen if issubclass(chosen, Host) else type(chosen.__name__, (chosen, Host), {})
    return _host_classes[chosen]
