"""Netlink encoding: attributes and batches read back, columns equal single messages, no input crashes the reader."""

import struct
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from emulator.fabric.kernel import netlink

payloads = st.lists(st.tuples(st.integers(1, 0x3FFF), st.binary(max_size=80)), max_size=8)
routes_of = st.sampled_from([4, 6]).flatmap(
    lambda version: st.tuples(
        st.just(version),
        st.lists(
            st.tuples(
                st.binary(min_size=4 if version == 4 else 16, max_size=4 if version == 4 else 16),
                st.integers(1, 32 if version == 4 else 128),
                st.integers(0, 2**31 - 1),
            ),
            min_size=1,
            max_size=30,
        ),
    )
)


@given(payloads)
def test_attributes_read_back(items):
    raw = b"".join(netlink.attribute(kind, payload) for kind, payload in items)
    assert len(raw) % 4 == 0
    assert list(netlink.attributes(raw)) == items


@given(st.binary(max_size=200))
def test_reading_attributes_never_runs_past_the_end(raw):
    assert sum(4 + len(payload) for _, payload in netlink.attributes(raw)) <= len(raw)


@given(routes_of)
def test_columns_are_the_single_messages(given_routes):
    version, items = given_routes
    prefixes, lengths, indexes = zip(*items, strict=True)
    batch = netlink.routes(b"".join(prefixes), lengths, indexes, version)
    single = [netlink.route(prefix, length, index, unreachable=index == 0) for prefix, length, index in items]
    assert list(netlink.split(batch)) == single


@given(routes_of)
def test_a_batch_splits_into_its_messages(given_routes):
    _, items = given_routes
    messages = [netlink.route(prefix, length, index, delete=index % 2 == 0) for prefix, length, index in items]
    assert list(netlink.split(b"".join(messages))) == messages


@given(routes_of)
def test_a_route_names_itself(given_routes):
    version, items = given_routes
    for prefix, length, index in items:
        address = IPv4Address(prefix) if version == 4 else IPv6Address(prefix)
        assert netlink.describe(netlink.route(prefix, length, index)) == f"route {address}/{length} by device {index}"
        assert netlink.describe(netlink.route(prefix, length, 0, delete=True)) == f"route removal {address}/{length}"


@given(st.integers(1, 2**31 - 1), st.booleans(), st.integers(68, 65535), st.integers(0, 100_000))
def test_a_link_message_holds_what_was_asked(index, up, mtu, txqlen):
    raw = netlink.set_link(index, up=up, mtu=mtu, txqlen=txqlen, mac="02:00:00:00:00:01")
    length, kind, flags = struct.unpack_from("=IHH", raw)
    assert (length, kind, flags) == (len(raw), netlink.RTM_NEWLINK, netlink.NLM_F_REQUEST)
    _, _, found, state, change = struct.unpack_from("=BxHiII", raw, 16)
    assert (found, state, change) == (index, int(up), 1)
    fields = dict(netlink.attributes(raw[32:]))
    assert struct.unpack("=I", fields[netlink.IFLA_MTU]) == (mtu,)
    assert struct.unpack("=I", fields[netlink.IFLA_TXQLEN]) == (txqlen,)
    assert fields[netlink.IFLA_ADDRESS] == bytes((2, 0, 0, 0, 0, 1))


def test_golden_bytes_of_a_route():
    """Written out by hand from linux/rtnetlink.h: header, rtmsg, RTA_DST, RTA_OIF (little-endian machines)."""
    golden = (
        "2c00000018000105"
        + "00" * 8
        + "02200000fe04fd01"
        + "00" * 4
        + "08000100"
        + "0a010004"
        + "08000400"
        + "65000000"
    )
    assert netlink.route(bytes((10, 1, 0, 4)), 32, 101).hex() == golden
