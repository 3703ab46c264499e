"""The kernel's words about IPv4 routes (rtnetlink), read: bytes in, changes of a table out. No sockets.

Invariant: a table holds exactly what the kernel has in its main table, once a dump and all that followed were read; a
message that is cut short or of another kind changes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

NLMSG_DONE = 3
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTMGRP_IPV4_ROUTE = 0x40
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_INET, _MAIN, _UNICAST = 2, 254, 1  # AF_INET, RT_TABLE_MAIN, RTN_UNICAST
_DST, _OIF, _GATEWAY, _PRIORITY, _MULTIPATH = 1, 4, 5, 6, 9
_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg
_ATTRIBUTE = struct.Struct("=HH")
_NEXT_HOP = struct.Struct("=HBBi")  # rtnexthop

NextHops = tuple[str, ...]  # gateways in order; "dev <index>" where a hop has none


class RouteTable:
    """Routes by prefix ("10.0.0.1" of a host, "10.0.0.0/8" of others), each with a tuple of next hops by metric.

    Where `wants_dump`, send what `begin_dump` gives: at the start, and after `lose`.
    """

    def __init__(self) -> None:
        self._by_metric: dict[str, dict[int, NextHops]] = {}
        self._lost = True  # messages, of which a dump that is under way may be one
        self._dumping = False
        self._unseen: set[tuple[str, int]] = set()  # routes that the dump has not named yet

    def lose(self) -> None:
        """Messages of the kernel were lost."""
        self._lost = True

    @property
    def wants_dump(self) -> bool:
        """Whether the kernel is to be asked; it answers one request at a time."""
        return self._lost and not self._dumping

    def begin_dump(self) -> bytes:
        """A request for every IPv4 route."""
        self._lost, self._dumping = False, True
        self._unseen = {(prefix, metric) for prefix, metrics in self._by_metric.items() for metric in metrics}
        body = _ROUTE.pack(_INET, 0, 0, 0, 0, 0, 0, 0, 0)
        return _HEADER.pack(_HEADER.size + len(body), RTM_GETROUTE, _DUMP, 1, 0) + body

    def read(self, data: bytes) -> dict[str, NextHops]:
        """Take in what a netlink socket gave; returns the prefixes that changed with their next hops now, () where
        there is no route any more."""
        changed: dict[str, NextHops] = {}
        for kind, body in _messages(data):
            if kind == NLMSG_DONE:
                changed |= self._end_dump()
            elif kind in (RTM_NEWROUTE, RTM_DELROUTE) and (found := _route(body)) is not None:
                prefix, metric, hops = found
                changed |= self._set(prefix, metric, hops if kind == RTM_NEWROUTE else ())
        return changed

    def _set(self, prefix: str, metric: int, hops: NextHops) -> dict[str, NextHops]:
        """A route, or with () none any more: the prefix, if that changes what the kernel uses."""
        before = self.next_hops(prefix)
        metrics = self._by_metric.setdefault(prefix, {})
        if hops:
            metrics[metric] = hops
        else:
            metrics.pop(metric, None)
        self._unseen.discard((prefix, metric))
        after = self.next_hops(prefix)
        return {prefix: after} if after != before else {}

    def _end_dump(self) -> dict[str, NextHops]:
        """What a whole dump has not named is there no more."""
        changed: dict[str, NextHops] = {}
        if self._dumping and not self._lost:
            for prefix, metric in list(self._unseen):
                changed |= self._set(prefix, metric, ())
        self._dumping = False
        return changed

    def next_hops(self, prefix: str) -> NextHops:
        """Next hops of the route that the kernel uses, that of the lowest metric."""
        metrics = self._by_metric.get(prefix)
        return metrics[min(metrics)] if metrics else ()


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            return
        yield kind, data[at + _HEADER.size : at + length]
        at += -(-length // 4) * 4


def _route(body: bytes) -> tuple[str, int, NextHops] | None:
    """Prefix, metric and next hops of a unicast route of the main table; None for all others."""
    if len(body) < _ROUTE.size:
        return None
    family, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
    if family != _INET or table != _MAIN or kind != _UNICAST:
        return None
    attributes = dict(_attributes(body[_ROUTE.size :]))
    address = _text((attributes.get(_DST, b"") + bytes(4))[:4])
    if _MULTIPATH in attributes:
        hops = tuple(sorted(_multipath(attributes[_MULTIPATH])))
    else:
        index = int.from_bytes(attributes.get(_OIF, b"")[:4], "little")
        hops = (_hop(attributes, index),)
    metric = int.from_bytes(attributes.get(_PRIORITY, b"")[:4], "little")
    return address if length == 32 else f"{address}/{length}", metric, hops


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            return
        yield kind & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += -(-length // 4) * 4


def _multipath(data: bytes) -> Iterator[str]:
    at = 0
    while at + _NEXT_HOP.size <= len(data):
        length, _, _, index = _NEXT_HOP.unpack_from(data, at)
        if length < _NEXT_HOP.size or at + length > len(data):
            return
        yield _hop(dict(_attributes(data[at + _NEXT_HOP.size : at + length])), index)
        at += -(-length // 4) * 4


def _hop(attributes: dict[int, bytes], index: int) -> str:
    gateway = attributes.get(_GATEWAY, b"")
    return _text(gateway) if len(gateway) == 4 else f"dev {index}"


def _text(address: bytes) -> str:
    return ".".join(map(str, address))
