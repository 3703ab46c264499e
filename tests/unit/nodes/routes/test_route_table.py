"""What the kernel says of routes, read: single and several next hops, metrics, and bytes that are no message."""

import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.routes.kernel import NLMSG_DONE, RTM_DELROUTE, RTM_NEWROUTE, RouteTable


def attribute(kind: int, body: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(body), kind) + body + bytes(-len(body) % 4)


def hop(gateway: str, index: int) -> bytes:
    body = attribute(5, socket.inet_aton(gateway)) if gateway else b""
    return struct.pack("=HBBi", 8 + len(body), 0, 0, index) + body


def message(kind: int, prefix: str, *gateways: str, metric: int = 20, table: int = 254, index: int = 7) -> bytes:
    address, _, length = prefix.partition("/")
    body = struct.pack("=BBBBBBBBI", 2, int(length or 32), 0, 0, table, 188, 0, 1, 0)
    body += attribute(1, socket.inet_aton(address)) + attribute(6, struct.pack("=I", metric))
    if len(gateways) > 1:
        body += attribute(9, b"".join(hop(gateway, index) for gateway in gateways))
    else:
        body += attribute(4, struct.pack("=I", index))
        body += attribute(5, socket.inet_aton(gateways[0])) if gateways else b""
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_routes_come_change_and_go() -> None:
    table = RouteTable()
    assert table.read(message(RTM_NEWROUTE, "10.0.0.9", "10.0.0.1")) == {"10.0.0.9": ("10.0.0.1",)}
    two = message(RTM_NEWROUTE, "10.0.0.9", "10.0.0.2", "10.0.0.1") + message(RTM_NEWROUTE, "172.16.0.0/12")
    assert table.read(two) == {"10.0.0.9": ("10.0.0.1", "10.0.0.2"), "172.16.0.0/12": ("dev 7",)}
    assert table.read(two) == {}, "nothing new"
    assert table.read(message(RTM_DELROUTE, "10.0.0.9", "10.0.0.1")) == {"10.0.0.9": ()}
    assert table.next_hops("10.0.0.9") == ()
    assert table.read(message(RTM_DELROUTE, "10.0.0.9", "10.0.0.1")) == {}


def test_the_lowest_metric_counts() -> None:
    table = RouteTable()
    table.read(message(RTM_NEWROUTE, "10.0.0.9", "10.0.0.2", metric=20))
    assert table.read(message(RTM_NEWROUTE, "10.0.0.9", "10.0.0.3", metric=30)) == {}
    assert table.read(message(RTM_NEWROUTE, "10.0.0.9", metric=0)) == {"10.0.0.9": ("dev 7",)}
    assert table.read(message(RTM_DELROUTE, "10.0.0.9", metric=0)) == {"10.0.0.9": ("10.0.0.2",)}


def test_other_tables_and_kinds_are_left_alone() -> None:
    table = RouteTable()
    assert table.read(message(RTM_NEWROUTE, "127.0.0.1", table=255)) == {}
    assert table.read(message(3, "10.0.0.9", "10.0.0.1")) == {}


def test_a_request_for_all_is_one_whole_message() -> None:
    request = RouteTable().begin_dump()
    assert int.from_bytes(request[:4], "little") == len(request)


DONE = struct.pack("=IHHII", 20, NLMSG_DONE, 2, 1, 0) + bytes(4)


def test_routes_that_went_while_messages_were_lost_are_found_by_a_dump() -> None:
    table = RouteTable()
    assert table.wants_dump
    table.begin_dump()
    here = {prefix: message(RTM_NEWROUTE, prefix, "10.0.0.1") for prefix in ("10.0.0.7", "10.0.0.8", "10.0.0.9")}
    table.read(b"".join(here.values()) + DONE)
    assert not table.wants_dump
    table.lose()
    assert table.wants_dump
    table.begin_dump()
    assert table.read(here["10.0.0.7"]) == {}
    assert table.read(message(RTM_DELROUTE, "10.0.0.8", "10.0.0.1")) == {"10.0.0.8": ()}
    assert table.read(DONE) == {"10.0.0.9": ()}
    assert table.next_hops("10.0.0.7") == ("10.0.0.1",)
    assert not table.wants_dump


def test_of_a_dump_of_which_messages_were_lost_nothing_is_concluded() -> None:
    table = RouteTable()
    table.begin_dump()
    table.read(message(RTM_NEWROUTE, "10.0.0.9", "10.0.0.1") + DONE)
    table.lose()
    table.begin_dump()
    table.lose()
    assert not table.wants_dump, "the kernel answers one request at a time"
    assert table.read(DONE) == {}
    assert table.wants_dump


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 120))
def test_bytes_that_make_no_sense_change_nothing_and_raise_nothing(noise: bytes, cut: int) -> None:
    table = RouteTable()
    table.read(noise)
    whole = message(RTM_NEWROUTE, "10.0.0.9", "10.0.0.1", "10.0.0.2")
    table = RouteTable()
    if cut < len(whole):
        assert table.read(whole[:cut]) == {}
    table.read(whole[:40] + noise)


@pytest.mark.parametrize("length", [0, 3])
def test_attributes_shorter_than_their_header_end_the_message(length: int) -> None:
    whole = bytearray(message(RTM_NEWROUTE, "10.0.0.9", "10.0.0.1"))
    struct.pack_into("=H", whole, 28, length)
    assert RouteTable().read(bytes(whole)) == {"0.0.0.0": ("dev 0",)}
