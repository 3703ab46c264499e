"""Our netlink encoder beside pyroute2's, in turns: the network of a torus of 200 live nodes with four links each.

The same fabric is built in a sandbox with our messages and with those of pyroute2's message classes, which are checked
to be the same bytes; our socket sends both in batches. pyroute2's own calls (`IPRoute.route(...)`, here compiled by its
IPBatch) are slower than its classes and are timed beside them.
Seconds are processor time, user and kernel, of the building thread. Needs `pip install pyroute2`.

    python benchmarks/netlink.py [--turns 3]
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import numpy as np

from emulator.fabric import Fabric, sandbox
from emulator.fabric.kernel import netlink
from emulator.model.network import BuildOptions, Network
from emulator.schedule.fib import FibCompiler, RouteDelta
from emulator.schedule.timeline import KnotTimeline

IMPORTS = "import time; begun = time.process_time(); import {}; print(time.process_time() - begun)"


class Pyroute2:
    """The functions of `emulator.fabric.kernel.netlink` that a fabric of TUN ports needs, encoded by pyroute2."""

    Socket = netlink.Socket

    def __init__(self) -> None:
        from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
        from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
        from pyroute2.netlink.rtnl.ndmsg import ndmsg
        from pyroute2.netlink.rtnl.rtmsg import rtmsg
        from pyroute2.netlink.rtnl.tcmsg import tcmsg

        self._link, self._address, self._neighbour, self._route, self._qdisc = ifinfmsg, ifaddrmsg, ndmsg, rtmsg, tcmsg

    @staticmethod
    def _encode(make: Callable[[], Any], kind: int, flags: int, fields: dict[str, int], attributes: list[Any]) -> bytes:
        message = make()
        message["header"]["type"], message["header"]["flags"] = kind, netlink.NLM_F_REQUEST | flags
        for name, value in fields.items():
            message[name] = value
        message["attrs"] = attributes
        message.encode()
        return bytes(message.data)

    def set_link(
        self,
        index: int,
        *,
        up: bool | None = None,
        multicast: bool | None = None,
        txqlen: int | None = None,
        master: int | None = None,
        mac: str = "",
        link_local: bool = True,
    ) -> bytes:
        assert master is None, "no bridge in a torus"
        assert not mac, "no Ethernet in a torus"
        flags = (netlink.IFF_UP if up else 0) | (netlink.IFF_MULTICAST if multicast else 0)
        change = (up is not None) * netlink.IFF_UP | (multicast is not None) * netlink.IFF_MULTICAST
        attributes: list[Any] = [] if txqlen is None else [("IFLA_TXQLEN", txqlen)]
        if not link_local:
            mode = {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", netlink.IN6_ADDR_GEN_MODE_NONE)]}
            attributes.append(("IFLA_AF_SPEC", {"attrs": [("AF_INET6", mode)]}))
        fields = {"index": index, "flags": flags, "change": change}
        return self._encode(self._link, netlink.RTM_NEWLINK, 0, fields, attributes)

    def no_queue(self, index: int) -> bytes:
        fields = {"index": index, "parent": netlink.TC_H_ROOT}
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
        return self._encode(self._qdisc, netlink.RTM_NEWQDISC, flags, fields, [("TCA_KIND", "noqueue")])

    def add_address(self, index: int, address: str, prefix_length: int) -> bytes:
        family, quiet = (10, netlink.IFA_F_NODAD) if ":" in address else (2, 0)
        attributes = [("IFA_LOCAL", address), ("IFA_ADDRESS", address), ("IFA_FLAGS", quiet)]
        fields = {"family": family, "prefixlen": prefix_length, "index": index}
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
        return self._encode(self._address, netlink.RTM_NEWADDR, flags, fields, attributes)

    def add_neighbour(self, index: int, address: str) -> bytes:
        fields = {"family": 2, "ifindex": index, "state": netlink.NUD_PERMANENT}
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
        return self._encode(self._neighbour, netlink.RTM_NEWNEIGH, flags, fields, [("NDA_DST", address)])

    def route(self, prefix: bytes, length: int, index: int, *, unreachable: bool = False) -> bytes:
        family = 2 if len(prefix) == 4 else 10
        fields = {
            "family": family,
            "dst_len": length,
            "table": netlink.RT_TABLE_MAIN,
            "proto": netlink.RTPROT_STATIC,
            "scope": netlink.RT_SCOPE_LINK if family == 2 else netlink.RT_SCOPE_UNIVERSE,
            "type": netlink.RTN_UNREACHABLE if unreachable else netlink.RTN_UNICAST,
        }
        attributes: list[Any] = [("RTA_DST", str(ipaddress.ip_address(prefix)))] if length else []
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
        return self._encode(self._route, netlink.RTM_NEWROUTE, flags, fields, [*attributes, ("RTA_OIF", index)])

    def routes(self, prefixes: bytes, lengths: Sequence[int], indexes: Sequence[int], version: int = 4) -> bytes:
        width = 4 if version == 4 else 16
        return b"".join(
            self.route(prefixes[width * at : width * (at + 1)], length, index, unreachable=index == 0)
            for at, (length, index) in enumerate(zip(lengths, indexes, strict=True))
        )


def torus() -> Network:
    """200 live nodes of four links, with next hops for each destination."""
    from topologies import graph

    config = graph.Config.model_validate({"graph": {"spec": "torus:10x20"}})
    return graph.build(config, BuildOptions(materialise="all")).network()


def first_routes(network: Network) -> list[RouteDelta]:
    transit = np.zeros(len(network.nodes), np.bool_)
    timeline = KnotTimeline(network.nodes, network.links, 1.0, network.routing, transit, None)
    return FibCompiler(network).update(next(iter(timeline.rows(0, 1))).next_end)


def build(network: Network, deltas: list[RouteDelta], messages: Any) -> dict[str, Any]:
    """Processor time of the fabric with `messages` in place of our netlink module, and what it made of it."""
    with mock.patch("emulator.fabric.build.netlink", messages):
        fabric = Fabric(network)
        begun = time.process_time()
        ports = fabric.build()
        built = time.process_time()
        refused = fabric.apply_routes(deltas)
        routed = time.process_time()
        configured = [message for node in network.live for message in fabric._configuration(node)]
        encoded = time.process_time()
        changes = [fabric._changes(delta) for delta in deltas]
        done = time.process_time()
        fabric.close()
    assert not refused, refused[:3]
    counts = {"ports": len(ports), "messages": len(configured), "routes": sum(len(delta.add) for delta in deltas)}
    return {
        **counts,
        "build_s": built - begun,
        "routes_s": routed - built,
        "message_us": (encoded - routed) / counts["messages"] * 1e6,
        "route_us": (done - encoded) / counts["routes"] * 1e6,
        "bytes": b"".join([*configured, *changes]),
    }


def calls_us(count: int = 200) -> float:
    """A route by a call of pyroute2's own API, compiled and not sent."""
    from pyroute2 import IPBatch

    batch = IPBatch()
    begun = time.process_time()
    for number in range(count):
        batch.route("replace", dst=f"10.0.0.{number}/32", oif=1, scope="link")
    spent_s = time.process_time() - begun
    batch.close()
    return spent_s / count * 1e6


def encoder(turns: int) -> None:
    network = torus()
    deltas = first_routes(network)
    theirs_messages = Pyroute2()
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "pyroute2": []}
    for _ in range(turns):
        found["ours"].append(build(network, deltas, netlink))
        found["pyroute2"].append(build(network, deltas, theirs_messages))
    assert found["ours"][0]["bytes"] == found["pyroute2"][0]["bytes"], "the messages differ"
    start_s = {}
    for name, rows in found.items():
        row = {key: statistics.median(each[key] for each in rows) for key in rows[0] if key != "bytes"}
        start_s[name] = row["build_s"] + row["routes_s"]
        print(json.dumps({"what": name, **{key: round(value, 3) for key, value in row.items()}}), flush=True)
    print(json.dumps({"what": "pyroute2's own call", "route_us": round(calls_us(), 1)}))
    print(json.dumps({"what": "ratio", "start_of_pyroute2_to_ours": round(start_s["pyroute2"] / start_s["ours"], 2)}))


def import_s(module: str) -> float:
    """Processor time of importing a module in a fresh interpreter, the best of three."""
    command = [sys.executable, "-c", IMPORTS.format(module)]
    return min(float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    try:
        import pyroute2  # noqa: F401
    except ImportError:
        sys.exit("pyroute2 is missing: pip install pyroute2")

    def inside() -> int:
        encoder(options.turns)
        return 0

    pid = sandbox.spawn(inside, {})
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        sys.exit("the sandbox ended with an error")
    spent = {module: round(import_s(module), 3) for module in ("emulator.fabric.kernel.netlink", "numpy", "pyroute2")}
    print(json.dumps({"what": "import", **spent}))


if __name__ == "__main__":
    main()
