"""ICS-20 over channels: escrow, mint, burn and refund; and what packet data and acknowledgements look like."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ibc_world import (
    SECOND_NS,
    Link,
    World,
    answer,
    found,
    refused,
    sent,
    transfer,
)

from nodes.ibc.core import denominations
from nodes.ibc.core.denominations import Denomination, Hop
from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.transfer import escrow_account, total_escrow
from nodes.ibc.core.transfer_data import ABI, JSON, PROTOBUF, TransferData, load_json, parse_acknowledgement
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.transfer import MsgTransfer

OK = b'{"result":"AQ=="}'
VOUCHER = Denomination("stake", (Hop("transfer", "channel-0"),)).local


def opened() -> tuple[World, Link]:
    world = World()
    a, b = world.add("a"), world.add("b")
    path = world.open_channel(world.connect(a, b))
    a.fund("stake", 100)
    return world, path


def test_escrow_account_is_the_known_one_of_the_cosmos_hub() -> None:
    """cosmos1x54ltnyg88k0ejmk8ytwrhd3ltm84xehrnlslf in hexadecimal digits."""
    assert escrow_account("transfer", "channel-141").hex() == "352bf5cc8839ecfccb763916e1ddb1faf67a9b37"


def test_tokens_go_there_and_back() -> None:
    world, path = opened()
    a, b = path.a.chain, path.b.chain
    escrow = escrow_account("transfer", "channel-0")
    outcome = transfer(path.a, "stake", 40, b.user(), memo="hi")
    packet = sent(outcome)
    assert packet.data == (
        f'{{"denom":"stake","amount":"40","sender":"{a.user()}","receiver":"{b.user()}","memo":"hi"}}'.encode()
    )
    assert found(outcome, "ibc_transfer").attributes == (
        ("sender", a.user()),
        ("receiver", b.user()),
        ("denom", "stake"),
        ("amount", "40"),
        ("memo", "hi"),
    )
    received = world.receive(path, packet)
    assert answer(received) == OK
    assert (a.balance("stake"), a.balance("stake", escrow)) == (60, 40)
    assert (b.balance(VOUCHER), b.supply(VOUCHER)) == (40, 40)
    assert total_escrow(a.stores["transfer"], "stake") == 40
    assert denominations.known(b.stores["transfer"]) == [Denomination("stake", (Hop("transfer", "channel-0"),))]
    acknowledged = world.acknowledge(path, packet, OK)
    told = [each for each in acknowledged.events if each.type == "fungible_token_packet"]
    assert told[0]["acknowledgement"] == 'result:"\\001" '
    assert told[1].attributes == (("success", "\x01"),)
    back = sent(transfer(path.b, VOUCHER, 15, a.user()))
    assert json.loads(back.data)["denom"] == "transfer/channel-0/stake"
    assert (b.supply(VOUCHER), a.balance("stake", escrow)) == (25, 40)
    world.acknowledge(path.back, back, answer(world.receive(path.back, back)))
    assert (a.balance("stake"), a.balance("stake", escrow)) == (75, 25)
    assert total_escrow(a.stores["transfer"], "stake") == 25


def test_failure_at_the_destination_is_refunded() -> None:
    world, path = opened()
    a, b = path.a.chain, path.b.chain
    packet = sent(transfer(path.a, "stake", 40, "nobody"))
    received = world.receive(path, packet)
    expected = b'{"error":"ABCI code: 5: error handling packet: see events for details"}'
    assert answer(received) == expected
    assert found(received, "fungible_token_packet")["ibccallbackerror-error"].endswith("invalid address")
    world.acknowledge(path, packet, expected)
    assert (a.balance("stake"), b.supply(VOUCHER)) == (100, 0)
    blocked = sent(transfer(path.a, "stake", 1, b.bank.address(b"blocked")))
    assert answer(world.receive(path, blocked)).startswith(b'{"error":"ABCI code: 2:')


def test_voucher_is_made_again_when_its_way_back_fails() -> None:
    world, path = opened()
    a, b = path.a.chain, path.b.chain
    packet = sent(transfer(path.a, "stake", 40, b.user()))
    world.acknowledge(path, packet, answer(world.receive(path, packet)))
    failed = sent(transfer(path.b, VOUCHER, 10, "nobody"))
    lost = sent(transfer(path.b, VOUCHER, 5, a.user()))
    assert b.supply(VOUCHER) == 25
    world.acknowledge(path.back, failed, answer(world.receive(path.back, failed)))
    assert b.balance(VOUCHER) == 35
    a.commit(seconds=700)
    timed_out = world.timeout(path.back, lost)
    assert b.balance(VOUCHER) == 40
    assert found(timed_out, "timeout").attributes == (
        ("receiver", b.user()),
        (
            "refund_tokens",
            '{"denom":{"base":"stake","trace":[{"port_id":"transfer","channel_id":"channel-0"}]},"amount":"5"}',
        ),
        ("memo", ""),
    )


def test_timeout_is_refunded() -> None:
    world, path = opened()
    lost = sent(transfer(path.a, "stake", 40, path.b.chain.user()))
    path.b.chain.commit(seconds=700)
    world.timeout(path, lost)
    assert path.a.chain.balance("stake") == 100
    assert total_escrow(path.a.chain.stores["transfer"], "stake") == 0


def test_token_that_takes_another_channel_is_another_token() -> None:
    world, path = opened()
    a, b = path.a.chain, path.b.chain
    other = world.open_channel(world.connect(a, b))
    packet = sent(transfer(path.a, "stake", 40, b.user()))
    world.receive(path, packet)
    away = sent(transfer(other.b, VOUCHER, 10, a.user()))
    world.receive(other.back, away)
    twice = Denomination("stake", (Hop("transfer", "channel-1"), Hop("transfer", "channel-0")))
    assert a.balance(twice.local) == 10
    assert b.balance(VOUCHER, escrow_account("transfer", "channel-1")) == 10
    home = sent(transfer(other.a, twice.local, 10, b.user()))
    world.receive(other, home)
    assert (a.supply(twice.local), b.balance(VOUCHER)) == (0, 40)


def test_a_chain_cannot_send_more_than_it_was_sent() -> None:
    """What a dishonest chain claims to send back is paid from that channel's escrow alone."""
    world, path = opened()
    a, b = path.a.chain, path.b.chain
    other = world.open_channel(world.connect(a, b))
    world.receive(path, sent(transfer(path.a, "stake", 40, b.user())))
    forged = Denomination("stake", (Hop("transfer", "channel-1"),))
    b.bank.mint(b.context(), b"user", forged.local, 40)
    denominations.remember(b.stores["transfer"], forged)
    packet = sent(transfer(other.b, forged.local, 40, a.user()))
    assert answer(world.receive(other.back, packet)).startswith(b'{"error":"ABCI code: 5:')
    assert a.balance("stake") == 60


def test_transfers_that_cannot_be_sent() -> None:
    _, path = opened()
    b = path.b.chain
    refused(lambda: transfer(path.a, "stake", 101, b.user()), "sdk", 5)
    refused(lambda: transfer(path.a, "stake", 0, b.user()), "transfer", 5)
    refused(lambda: transfer(path.a, "ibc/" + "0" * 64, 1, b.user()), "transfer", 6)
    refused(lambda: transfer(path.a, "ibc/xyz", 1, b.user()), "transfer", 3)
    refused(lambda: transfer(path.a, "stake", 1, " "), "ibc", 5)
    refused(lambda: transfer(path.a, "stake", 1, "x" * 2049), "ibc", 5)
    refused(lambda: transfer(path.a, "stake", 1, b.user(), memo="x" * 32769), "transfer", 11)
    refused(lambda: transfer(replace(path.a, channel="channel-9"), "stake", 1, b.user()), "channel", 3)
    refused(lambda: transfer(replace(path.a, channel="07-tendermint-9"), "stake", 1, b.user()), "clientv2", 2)
    refused(lambda: path.a.chain.deliver(MsgTransfer("x", "channel-0")), "host", 2)
    alias = MsgTransfer("transfer", "channel-0", use_aliasing=True)
    refused(lambda: path.a.chain.deliver(alias), "ibc", 8)
    assert path.a.chain.balance("stake") == 100
    transfer(path.a, "stake", 1, "x" * 2048, memo="x" * 32768)


def test_timeouts_of_a_transfer_are_those_of_its_packet() -> None:
    _, path = opened()
    packet = sent(transfer(path.a, "stake", 1, "r", height=77, timeout_ns=1234567890 * SECOND_NS))
    assert (packet.timeout_height, packet.timeout_timestamp) == (Height(0, 77), 1234567890 * SECOND_NS)


BAD_JSON = [
    b"",
    b"[]",
    b"{}",
    b'{"denom":"stake","amount":"1","sender":"s","receiver":"r","more":"x"}',
    b'{"denom":"stake","denom":"gold","amount":"1","sender":"s","receiver":"r"}',
    b'{"denom":"stake","amount":1,"sender":"s","receiver":"r"}',
    b'{"denom":"stake","amount":"-1","sender":"s","receiver":"r"}',
    b'{"denom":"stake","amount":"0","sender":"s","receiver":"r"}',
    b'{"denom":"stake","amount":"1e3","sender":"s","receiver":"r"}',
    '{"denom":"stake","amount":"١","sender":"s","receiver":"r"}'.encode(),
    b'{"denom":"stake","amount":"' + str(2**256).encode() + b'","sender":"s","receiver":"r"}',
    b'{"denom":"stake","amount":"1","sender":"\\ud800","receiver":"r"}',
    b'{"denom":" ","amount":"1","sender":"s","receiver":"r"}',
    b'{"denom":"transfer/channel-0/transfer/channel-1","amount":"1","sender":"s","receiver":"r"}',
    b'{"denom":"stake","amount":"1","sender":"s"}',
    b"[" * 100_000,
    b'{"denom":"\xff","amount":"1","sender":"s","receiver":"r"}',
]


@pytest.mark.parametrize("data", BAD_JSON)
def test_packet_data_that_are_refused(data: bytes) -> None:
    with pytest.raises(AbciError):
        TransferData.decode(data, JSON)


def test_json_is_escaped_as_go_does() -> None:
    data = TransferData(Denomination("stake"), 1, "s", "é<&>\u2028")
    assert data.encode(JSON) == (
        '{"denom":"stake","amount":"1","sender":"s","receiver":"é\\u003c\\u0026\\u003e\\u2028"}'.encode()
    )
    assert TransferData.decode(data.encode(JSON), JSON) == data


def test_other_encodings() -> None:
    data = TransferData(Denomination.parse("transfer/channel-7/stake"), 2**255, "s", "r", "m" * 33)
    for encoding in (PROTOBUF, ABI):
        encoded = data.encode(encoding)
        assert TransferData.decode(encoded, encoding) == data
        for wrong in (encoded + b"\0", encoded[:-1], b"", bytes(len(encoded)), b"\xff" * len(encoded)):
            with pytest.raises(AbciError):
                TransferData.decode(wrong, encoding)
    refused(lambda: data.encode("text/plain"), "ibc", 12)
    refused(lambda: TransferData.decode(b"", "text/plain"), "ibc", 12)


def test_acknowledgements() -> None:
    assert parse_acknowledgement(OK) == (b"\x01", "")
    assert parse_acknowledgement(b'{"error":"why"}') == (None, "why")
    for wrong in (b"", b"{}", b'{"result":1}', b'{"result":"AQ==","error":"x"}', b'{"result":"%"}', b'{"other":"x"}'):
        refused(lambda wrong=wrong: parse_acknowledgement(wrong), "ibc", 4)
    with pytest.raises(ValueError, match="NaN"):
        load_json(b"NaN")
