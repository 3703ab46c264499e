"""A relayer that was away while 6,000 packets queued: it clears them in a minute of the chains' time, each once."""

from __future__ import annotations

import pytest

from nodes.ibc.proto.cosmos_base import Coin
from nodes.ibc.proto.transfer import MsgTransfer
from tests.support.ibc_chain import SECOND_NS, address
from tests.support.ibc_relayed import Node, World

PACKETS = 6000
IN_ONE = 100  # transfers of a transaction


@pytest.mark.timeout(300)  # 14 s of processor time
def test_six_thousand_packets_that_queued_are_cleared_within_a_minute() -> None:
    net = World({name: Node(name) for name in "ab"})
    net.keys["relayer-1"] = ("relayer-1", "relayer-1b")
    net.start("relayer-1")
    net.until(net.is_open)
    here, _ = net.ends()
    killed = net.relayers.pop("relayer-1")
    net.open.clear()
    late_s = net.now_ns // SECOND_NS + 3600
    message = MsgTransfer("transfer", here.client, Coin("stake", "1"), address("alice"), address("bob"),
                          timeout_timestamp=late_s, encoding="application/json")  # fmt: skip
    for _ in range(PACKETS // IN_ONE // 20):
        for _ in range(20):
            net.nodes["a"].send(*[message] * IN_ONE)
        net.now_ns += SECOND_NS
        for node in net.nodes.values():
            node.block(net.now_ns)
    del killed
    net.start("relayer-1")
    net.until(net.is_open)
    assert net.committed() == PACKETS
    assert net.relay_all(60) < 60
    for kind in ("send_packet", "recv_packet", "acknowledge_packet"):
        counts = [count for node in net.nodes.values() for name, count in node.events.items() if name.startswith(kind)]
        assert (len(counts), set(counts)) == (PACKETS, {1})
    net.check_escrow(net.ends())
