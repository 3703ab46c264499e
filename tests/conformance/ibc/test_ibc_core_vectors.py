"""Commitments, keys, denominations and identifiers against values of ibc-go's and ibc-rs's own tests.

Origin: ../shared/data/ibc/SOURCES.md. The data stay where they are; without them the tests are skipped.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodes.ibc.core import commitments, identifiers, paths
from nodes.ibc.core.denominations import Denomination, Hop
from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.transfer_data import ABI, JSON, TransferData
from nodes.ibc.proto import channel_v2
from nodes.ibc.proto.channel import Packet
from nodes.ibc.proto.ibc import Height

VECTORS = Path(__file__).resolve().parents[4] / "shared/data/ibc/vectors"


def load(name: str) -> dict[str, Any]:
    path = VECTORS / name
    return json.loads(path.read_text()) if path.exists() else {}


COMMITMENTS = load("commitments.json")
NAMES = load("denoms_ids.json")
CHECKS = (identifiers.check_client, identifiers.check_connection, identifiers.check_channel, identifiers.check_port)

pytestmark = pytest.mark.skipif(not COMMITMENTS, reason="reference data ../shared/data/ibc is absent")


def numbered(kind: str, rows: list[Any]) -> list[Any]:
    return [pytest.param(row, id=f"{kind}-{number}") for number, row in enumerate(rows)]


def packet_of(row: dict[str, Any]) -> Packet:
    height = Height(row["timeout_revision_number"], row["timeout_revision_height"])
    data = bytes.fromhex(row["data_hex"])
    return Packet(data=data, timeout_height=height, timeout_timestamp=row["timeout_timestamp"])


@pytest.mark.parametrize("row", numbered("v1_packet", COMMITMENTS.get("v1_packet", [])))
def test_v1_packet(row: dict[str, Any]) -> None:
    packet = packet_of(row)
    assert commitments.packet_commitment(packet).hex() == row["commitment"]
    for other in (
        replace(packet, data=bytes((packet.data[0] ^ 1,)) + packet.data[1:]),
        replace(packet, timeout_timestamp=packet.timeout_timestamp ^ 1),
        replace(packet, timeout_height=replace(packet.timeout_height, revision_number=43)),
        replace(packet, timeout_height=replace(packet.timeout_height, revision_height=25)),
    ):
        assert commitments.packet_commitment(other).hex() != row["commitment"]


@pytest.mark.parametrize("row", numbered("v1_ack", COMMITMENTS.get("v1_ack", [])))
def test_v1_acknowledgement(row: dict[str, Any]) -> None:
    data = bytes.fromhex(row["ack_hex"])
    assert commitments.acknowledgement_commitment(data).hex() == row["commitment"]
    assert commitments.acknowledgement_commitment(bytes((data[0] ^ 1,)) + data[1:]).hex() != row["commitment"]


def packet_v2_of(row: dict[str, Any]) -> channel_v2.Packet:
    payloads = tuple(
        channel_v2.Payload(
            each["source_port"],
            each["destination_port"],
            each["version"],
            each["encoding"],
            bytes.fromhex(each["value_hex"]),
        )
        for each in row["payloads"]
    )
    return channel_v2.Packet(
        row["sequence"], row["source_client"], row["destination_client"], row["timeout_timestamp"], payloads
    )


@pytest.mark.parametrize("row", numbered("v2_packet", COMMITMENTS.get("v2_packet", [])))
def test_v2_packet(row: dict[str, Any]) -> None:
    packet = packet_v2_of(row)
    assert commitments.packet_commitment_v2(packet).hex() == row["commitment"]
    payload = packet.payloads[0]
    for other in (
        replace(packet, destination_client="07-tendermint-2"),
        replace(packet, timeout_timestamp=packet.timeout_timestamp ^ 1),
        replace(packet, payloads=(*packet.payloads, payload)),
        *(replace(packet, payloads=(replace(payload, **{name: "x"}),)) for name in
          ("source_port", "destination_port", "version", "encoding")),
        replace(packet, payloads=(replace(payload, value=payload.value[:-1] + bytes((payload.value[-1] ^ 1,))),)),
    ):  # fmt: skip
        assert commitments.packet_commitment_v2(other).hex() != row["commitment"]


@pytest.mark.parametrize("row", numbered("v2_packet", COMMITMENTS.get("v2_packet", [])))
def test_v2_packet_data_encode_to_the_same_bytes(row: dict[str, Any]) -> None:
    payload = packet_v2_of(row).payloads[0]
    data = TransferData.decode(payload.value, payload.encoding)
    assert data == TransferData(Denomination("uatom"), 1_000_000, "sender", "receiver", "memo")
    assert data.encode(payload.encoding) == payload.value
    assert payload.encoding in (JSON, ABI)


@pytest.mark.parametrize("row", numbered("v2_ack", COMMITMENTS.get("v2_ack", [])))
def test_v2_acknowledgement(row: dict[str, Any]) -> None:
    answers = tuple(map(bytes.fromhex, row["acks_hex"]))
    assert commitments.acknowledgement_commitment_v2(channel_v2.Acknowledgement(answers)).hex() == row["commitment"]
    flipped = bytes((answers[0][0] ^ 1,)) + answers[0][1:]
    assert commitments.acknowledgement_commitment_v2(channel_v2.Acknowledgement((flipped,))).hex() != row["commitment"]
    if "universal" in row.get("note", ""):
        assert answers == (commitments.UNIVERSAL_ERROR,)


KEYS = {
    "commitment": paths.packet_commitment_v2,
    "receipt": paths.packet_receipt_v2,
    "ack": paths.packet_acknowledgement_v2,
}


@pytest.mark.parametrize("row", numbered("v2_key", COMMITMENTS.get("v2_keys", [])))
def test_v2_key(row: dict[str, Any]) -> None:
    assert KEYS[row["kind"]](row["client"], row["sequence"]).hex() == row["key_hex"]
    assert KEYS[row["kind"]](row["client"], row["sequence"] + 1).hex() != row["key_hex"]


@pytest.mark.parametrize("row", numbered("denomination", NAMES.get("parse", [])))
def test_denomination(row: dict[str, Any]) -> None:
    found = Denomination.parse(row["path"])
    assert found == Denomination(row["base"], tuple(Hop(*hop) for hop in row["trace"]))
    assert found.path == row["path"] or not found.base  # a path of hops alone is refused where it arrives


@pytest.mark.parametrize("row", numbered("chain_id", NAMES.get("chain_id_revision", [])))
def test_revision_of_chain_id(row: dict[str, Any]) -> None:
    assert identifiers.revision(row["chain_id"]) == row["revision"]


@pytest.mark.parametrize("name", numbered("valid", NAMES.get("identifiers", {}).get("valid", [])))
def test_valid_identifier(name: str) -> None:
    assert [check(name) for check in CHECKS] == [name] * 4


@pytest.mark.parametrize("name", numbered("invalid", NAMES.get("identifiers", {}).get("invalid", [])))
def test_invalid_identifier(name: str) -> None:
    checks = CHECKS if len(name) <= 64 else CHECKS[:3]
    for check in checks:
        with pytest.raises(AbciError) as refused:
            check(name)
        assert (refused.value.codespace, refused.value.code) == ("host", 2)
