"""Rtnetlink by hand: links, addresses, routes and neighbours encoded in batches, many messages to one system call.

Invariant: a message is acknowledged only if it fails, and the kernel processes a batch before `sendmsg` returns. So
after `Socket.send` all messages are in effect, or an EmulationError names the first that is not. pyroute2 takes some 18
times as long for a message, 70 times for a route (docs/performance.md). Layouts: rtnetlink(7), linux/rtnetlink.h,
linux/if_link.h. Numbers are in the machine's byte order, addresses in the network's.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import numpy as np

from emulator.model.errors import EmulationError

NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_NEWADDR = 16, 17, 18, 20
RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWNEIGH, RTM_NEWQDISC = 24, 25, 28, 36
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x1, 0x300, 0x100, 0x200, 0x400
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
SOL_NETLINK, NETLINK_EXT_ACK = 270, 11

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_TXQLEN, IFLA_LINKINFO = 1, 3, 4, 10, 13, 18
IFLA_STATS64, IFLA_AF_SPEC, IFLA_NET_NS_FD, VETH_INFO_PEER = 23, 26, 28, 1
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INET6_ADDR_GEN_MODE = 1, 2, 8
IFLA_BR_FORWARD_DELAY, IFLA_BR_STP_STATE, IFLA_BR_MCAST_SNOOPING = 1, 5, 23
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS, IFA_F_NODAD = 1, 2, 8, 0x02
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5
NDA_DST, NDA_LLADDR, NUD_PERMANENT = 1, 2, 0x80
IFF_UP, IFF_MULTICAST = 0x1, 0x1000
RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_NOWHERE = 254, 4, 0, 253, 255
RTN_UNICAST, RTN_UNREACHABLE, RTNH_F_ONLINK = 1, 7, 4
IN6_ADDR_GEN_MODE_NONE = 1
TC_H_ROOT, TCA_KIND = 0xFFFFFFFF, 1

_SEND_BYTES = 65536  # of one sendmsg; well under the default socket buffer
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # family, dst and src length, tos, table, protocol, scope, type, flags
_NEIGHBOUR = struct.Struct("=B3xiHBB")  # family, index, state, flags, type
_QDISC = struct.Struct("=B3xiIII")  # family, index, handle, parent, info
_NAMES = {
    RTM_NEWLINK: "link", RTM_DELLINK: "link removal", RTM_NEWADDR: "address", RTM_NEWROUTE: "route",
    RTM_DELROUTE: "route removal", RTM_NEWNEIGH: "neighbour", RTM_NEWQDISC: "queueing discipline",
}  # fmt: skip


def attribute(kind: int, payload: bytes) -> bytes:
    """One netlink attribute, padded to 4 bytes."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def attributes(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in `raw`; stops at the first whose length does not fit."""
    at = 0
    while at + 4 <= len(raw):
        length, kind = struct.unpack_from("=HH", raw, at)
        if length < 4 or at + length > len(raw):
            return
        yield kind & 0x3FFF, raw[at + 4 : at + length]  # the top bits mark nesting and byte order
        at += (length + 3) & ~3


def message(kind: int, flags: int, body: bytes) -> bytes:
    return _HEADER.pack(16 + len(body), kind, NLM_F_REQUEST | flags, 0, 0) + body


def set_link(
    index: int,
    *,
    up: bool | None = None,
    multicast: bool | None = None,
    mtu: int | None = None,
    txqlen: int | None = None,
    master: int | None = None,
    mac: str = "",
    link_local: bool = True,
) -> bytes:
    """Change link `index`. `link_local=False`: the kernel makes no IPv6 address, and so sends nothing by itself."""
    flags = (IFF_UP if up else 0) | (IFF_MULTICAST if multicast else 0)
    change = (0 if up is None else IFF_UP) | (0 if multicast is None else IFF_MULTICAST)
    body = _LINK.pack(0, 0, index, flags, change)
    for kind, value in ((IFLA_MTU, mtu), (IFLA_TXQLEN, txqlen), (IFLA_MASTER, master)):
        if value is not None:
            body += attribute(kind, struct.pack("=I", value))
    if mac:
        body += attribute(IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))
    if not link_local:
        mode = attribute(IFLA_INET6_ADDR_GEN_MODE, bytes([IN6_ADDR_GEN_MODE_NONE]))
        body += attribute(IFLA_AF_SPEC, attribute(socket.AF_INET6, mode))
    return message(RTM_NEWLINK, 0, body)


def no_queue(index: int) -> bytes:
    """Pass packets to link `index` at once, without a kernel queue before it."""
    body = _QDISC.pack(0, index, 0, TC_H_ROOT, 0) + attribute(TCA_KIND, b"noqueue\0")
    return message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, body)


def add_bridge(name: str, index: int) -> bytes:
    """A learning switch that forwards at once: no spanning tree, no forward delay, no multicast snooping."""
    data = attribute(IFLA_BR_FORWARD_DELAY, struct.pack("=I", 0)) + attribute(IFLA_BR_STP_STATE, struct.pack("=I", 0))
    data += attribute(IFLA_BR_MCAST_SNOOPING, b"\0")
    info = attribute(IFLA_INFO_KIND, b"bridge") + attribute(IFLA_INFO_DATA, data)
    body = _LINK.pack(0, 0, index, 0, 0) + attribute(IFLA_IFNAME, name.encode() + b"\0")
    return message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body + attribute(IFLA_LINKINFO, info))


def add_veth(index: int, name: str, master: int, peer: str, netns: int) -> bytes:
    """A cable: `name` at a bridge of this namespace, `peer` in the namespace behind the descriptor `netns`."""
    other = _LINK.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, peer.encode() + b"\0")
    other += attribute(IFLA_NET_NS_FD, struct.pack("=I", netns))
    info = attribute(IFLA_INFO_KIND, b"veth") + attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, other))
    body = _LINK.pack(0, 0, index, IFF_UP, IFF_UP) + attribute(IFLA_IFNAME, name.encode() + b"\0")
    body += attribute(IFLA_MASTER, struct.pack("=I", master)) + attribute(IFLA_LINKINFO, info)
    return message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def add_address(index: int, address: str, prefix_length: int) -> bytes:
    """An IPv4 or IPv6 address on link `index`, usable at once (no duplicate address detection)."""
    ip = ip_address(address)
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    body = _ADDRESS.pack(family, prefix_length, 0, RT_SCOPE_UNIVERSE, index)
    body += attribute(IFA_LOCAL, ip.packed) + attribute(IFA_ADDRESS, ip.packed)
    body += attribute(IFA_FLAGS, struct.pack("=I", IFA_F_NODAD if ip.version == 6 else 0))
    return message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body)


def add_neighbour(index: int, address: str, mac: str = "") -> bytes:
    """A permanent neighbour, so that the kernel does not resolve its hardware address.

    A TUN interface has one for all of IPv4, 0.0.0.0 without hardware address. A permanent one is not among the entries
    that the kernel drops and makes again with each packet if a machine has more than 1,024 (gc_thresh3).
    """
    ip = ip_address(address)
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    body = _NEIGHBOUR.pack(family, index, NUD_PERMANENT, 0, 0) + attribute(NDA_DST, ip.packed)
    if mac:
        body += attribute(NDA_LLADDR, bytes.fromhex(mac.replace(":", "")))
    return message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body)


def route(
    prefix: bytes,
    length: int,
    index: int,
    *,
    gateway: bytes = b"",
    onlink: bool = False,
    unreachable: bool = False,
    delete: bool = False,
) -> bytes:
    """Set (or delete) the route to a packed IPv4 or IPv6 prefix, by device and perhaps gateway, in the main table.

    A route that exists is replaced in one step, so no packet finds the table without it. `onlink`: the gateway is
    reached by the device although no address matches. `unreachable`: senders get an error; `index` must be 0.
    """
    family = socket.AF_INET if len(prefix) == 4 else socket.AF_INET6
    scope = RT_SCOPE_UNIVERSE if gateway or family == socket.AF_INET6 else RT_SCOPE_LINK
    scope = RT_SCOPE_NOWHERE if delete else scope  # nowhere: of any scope
    protocol, kind = (0, 0) if delete else (RTPROT_STATIC, RTN_UNREACHABLE if unreachable else RTN_UNICAST)
    body = _ROUTE.pack(family, length, 0, 0, RT_TABLE_MAIN, protocol, scope, kind, RTNH_F_ONLINK if onlink else 0)
    if length:
        body += attribute(RTA_DST, prefix)
    if not delete:
        body += attribute(RTA_GATEWAY, gateway) if gateway else b""
        body += attribute(RTA_OIF, struct.pack("=i", index))
    return message(RTM_DELROUTE if delete else RTM_NEWROUTE, 0 if delete else NLM_F_CREATE | NLM_F_REPLACE, body)


def routes(prefixes: bytes, lengths: Sequence[int], indexes: Sequence[int], version: int = 4) -> bytes:
    """The messages of `route` for each (packed prefix, length, device) of the columns, in one batch. No length may be
    0.

    Device 0 means that the prefix is unreachable.
    """
    width = 4 if version == 4 else 16
    samples = (route(bytes(width), 8 * width, 0, unreachable=True), route(bytes(width), 8 * width, 1))
    out = np.frombuffer(b"".join(samples), np.uint8).reshape(2, -1)[(np.asarray(indexes) > 0).astype(np.intp)]
    out[:, 17] = lengths  # rtm_dst_len
    out[:, 32 : 32 + width] = np.frombuffer(prefixes, np.uint8).reshape(-1, width)  # RTA_DST
    out[:, 36 + width : 40 + width] = np.asarray(indexes, np.int32).view(np.uint8).reshape(-1, 4)  # RTA_OIF
    return out.tobytes()


def split(batch: bytes) -> Iterator[bytes]:
    """The single messages of a batch."""
    at = 0
    while at < len(batch):
        (length,) = struct.unpack_from("=I", batch, at)
        yield batch[at : at + length]
        at += length


def describe(message: bytes) -> str:
    """A request as text: "route 10.0.0.3/32 by device 101"."""
    kind = struct.unpack_from("=H", message, 4)[0]
    name = _NAMES.get(kind, f"message {kind}")
    if kind in (RTM_NEWROUTE, RTM_DELROUTE) and len(message) >= 28:
        found = dict(attributes(message[28:]))
        target = f"{ip_address(found[RTA_DST])}/{message[17]}" if RTA_DST in found else "default"
        via = f" by device {struct.unpack('=i', found[RTA_OIF])[0]}" if RTA_OIF in found else ""
        return f"{name} {target}{via}"
    if kind == RTM_NEWADDR and len(message) >= 24:
        found = dict(attributes(message[24:]))
        return f"{name} {ip_address(found[IFA_LOCAL])} on device {struct.unpack_from('=I', message, 20)[0]}"
    if kind in (RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWQDISC) and len(message) >= 24:
        return f"{name} {struct.unpack_from('=i', message, 20)[0]}"
    return name


@dataclass(frozen=True, slots=True)
class LinkStats:
    """The kernel's counters of one interface; tx counts the packets that the node sent into it."""

    index: int
    name: str
    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_dropped: int
    tx_dropped: int


class Socket:
    """A route socket of the calling thread's network namespace."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)

    def close(self) -> None:
        self._socket.close()

    def send(self, messages: Sequence[bytes] | bytes, where: str) -> None:
        """Send the messages in order. EmulationError names the first that failed, at `where`."""
        refused = self.try_send(messages)
        if refused:
            raise EmulationError(f"{where}: the kernel refused {refused[0][1]}" + _more(len(refused) - 1))

    def try_send(self, messages: Sequence[bytes] | bytes) -> list[tuple[int, str]]:
        """Send the messages, whatever fails; returns (errno, description) of each message that failed."""
        batch = messages if isinstance(messages, bytes) else b"".join(messages)
        refused: list[tuple[int, str]] = []
        at = 0
        while at < len(batch):
            end = at
            while end < len(batch):  # whole messages only
                (length,) = struct.unpack_from("=I", batch, end)
                if end + length - at > _SEND_BYTES and end > at:
                    break
                end += length
            self._socket.send(memoryview(batch)[at:end])
            refused += self._refused()
            at = end
        return refused

    def _refused(self) -> Iterator[tuple[int, str]]:
        while True:
            try:
                raw = self._socket.recv(1 << 20, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:  # ENOBUFS: more failures than the socket can hold
                yield error.errno or 0, f"more messages than can be told: {error.strerror}"
                continue
            for answer in split(raw):
                _, kind, flags, _, _ = _HEADER.unpack_from(answer)
                errno = -struct.unpack_from("=i", answer, 16)[0] if kind == NLMSG_ERROR else 0
                if errno:
                    (length,) = struct.unpack_from("=I", answer, 20)
                    asked = answer[20 : 20 + (16 if flags & NLM_F_CAPPED else length)]
                    tlvs = dict(attributes(answer[20 + len(asked) :])) if flags & NLM_F_ACK_TLVS else {}
                    reason = tlvs.get(1, b"").rstrip(b"\0").decode(errors="replace")
                    yield errno, f"{describe(asked)}: {os.strerror(errno)}" + (f" ({reason})" if reason else "")

    def links(self) -> list[LinkStats]:
        """Every interface of the namespace with its counters."""
        body = _LINK.pack(0, 0, 0, 0, 0)
        self._socket.send(message(RTM_GETLINK, NLM_F_DUMP, body))
        found: list[LinkStats] = []
        while True:
            for answer in split(self._socket.recv(1 << 18)):
                kind = _HEADER.unpack_from(answer)[1]
                if kind == NLMSG_DONE:
                    return found
                if kind == NLMSG_ERROR:
                    raise EmulationError(f"reading links: {os.strerror(-struct.unpack_from('=i', answer, 16)[0])}")
                fields = dict(attributes(answer[32:]))
                numbers = struct.unpack_from("=8Q", fields[IFLA_STATS64])
                rx, tx, rx_bytes, tx_bytes, _, _, rx_dropped, tx_dropped = numbers
                name = fields[IFLA_IFNAME].rstrip(b"\0").decode()
                index = _LINK.unpack_from(answer, 16)[2]
                found.append(LinkStats(index, name, rx, tx, rx_bytes, tx_bytes, rx_dropped, tx_dropped))


def _more(count: int) -> str:
    return f" (and {count} more)" if count > 0 else ""
