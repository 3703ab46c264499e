"""ICS-20 packet data in its three encodings, and acknowledgements in JSON.

Invariant: a decode accepts no JSON with unknown or doubled fields, and no ABI bytes but those that its data encode to.
Source: ICS-20, ICS-4 (acknowledgement envelope), ibc-go `modules/apps/transfer/types/{packet,abi}.go`.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from nodes.ibc.core.denominations import Denomination
from nodes.ibc.core.errors import (
    ABI_DECODING,
    INVALID_ADDRESS,
    INVALID_AMOUNT,
    INVALID_MEMO,
    INVALID_TYPE,
    UNKNOWN_REQUEST,
    AbciError,
)
from nodes.ibc.core.keepers import Acknowledgement
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.transfer import FungibleTokenPacketData

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
ABI = "application/x-solidity-abi"

MOST_RECEIVER_BYTES = 2 << 10
MOST_MEMO_BYTES = 32 << 10
_AMOUNT_LIMIT = 2**256
_FIELDS = ("denom", "amount", "sender", "receiver", "memo")
_GO_ESCAPES = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


@dataclass(frozen=True)
class TransferData:
    """A transfer: amount in the smallest unit, addresses in the form of their own chains."""

    denomination: Denomination
    amount: int
    sender: str
    receiver: str
    memo: str = ""

    def encode(self, encoding: str) -> bytes:
        if encoding == JSON:
            return self._json()
        if encoding == PROTOBUF:
            return self._message().encode()
        if encoding == ABI:
            return _encode_abi(self._message())
        raise _unknown(encoding)

    @classmethod
    def decode(cls, data: bytes, encoding: str) -> TransferData:
        """Raises AbciError for any other bytes, and for values out of their limits."""
        if encoding == JSON:
            message = _parse_json(data)
        elif encoding == PROTOBUF:
            try:
                message = FungibleTokenPacketData.decode(data)
            except WireError as error:
                raise INVALID_TYPE.error(f"cannot unmarshal ICS20-V1 transfer packet data: {error}") from None
        elif encoding == ABI:
            message = _decode_abi(data)
        else:
            raise _unknown(encoding)
        return cls(
            Denomination.parse(message.denom).check(),
            parse_amount(message.amount),
            message.sender,
            message.receiver,
            message.memo,
        ).check()

    def check(self) -> TransferData:
        if not 0 < self.amount < _AMOUNT_LIMIT:
            raise INVALID_AMOUNT.error(f"amount must be strictly positive and of 256 bits: got {self.amount}")
        if not self.sender.strip():
            raise INVALID_ADDRESS.error("sender address cannot be blank")
        if not self.receiver.strip():
            raise INVALID_ADDRESS.error("receiver address cannot be blank")
        if len(self.receiver.encode()) > MOST_RECEIVER_BYTES:
            raise INVALID_ADDRESS.error(f"receiver address must not exceed {MOST_RECEIVER_BYTES} bytes")
        if len(self.memo.encode()) > MOST_MEMO_BYTES:
            raise INVALID_MEMO.error(f"memo must not exceed {MOST_MEMO_BYTES} bytes")
        return self

    def _message(self) -> FungibleTokenPacketData:
        return FungibleTokenPacketData(self.denomination.path, str(self.amount), self.sender, self.receiver, self.memo)

    def _json(self) -> bytes:
        """As Go's encoding/json writes it: fields in order, an empty memo left out."""
        message = self._message()
        fields = {name: getattr(message, name) for name in _FIELDS if name != "memo" or message.memo}
        text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
        return text.translate(_GO_ESCAPES).encode()


def parse_amount(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 78:
        raise INVALID_AMOUNT.error(f"unable to parse transfer amount ({text[:80]})")
    return int(text)


def _unknown(encoding: str) -> AbciError:
    return INVALID_TYPE.error(f"invalid encoding {encoding!r}; expected {JSON}, {PROTOBUF} or {ABI}")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is there twice")
    return found


def load_json(data: bytes) -> object:
    """JSON of a peer. Raises ValueError for anything else: nothing is there twice, no NaN, no endless nesting."""
    try:
        return _JSON.decode(data.decode())
    except RecursionError:
        raise ValueError("nested too deep") from None


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


_JSON = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)


def _parse_json(data: bytes) -> FungibleTokenPacketData:
    try:
        found = load_json(data)
    except ValueError as error:
        raise INVALID_TYPE.error(f"cannot unmarshal ICS20-V1 transfer packet data: {error}") from None
    if not isinstance(found, dict) or not found.keys() <= set(_FIELDS):
        raise INVALID_TYPE.error(f"cannot unmarshal ICS20-V1 transfer packet data; expected {', '.join(_FIELDS)} only")
    values = [found.get(name, "") for name in _FIELDS]
    if not all(isinstance(value, str) and is_unicode(value) for value in values):
        raise INVALID_TYPE.error("cannot unmarshal ICS20-V1 transfer packet data; expected text in each field")
    return FungibleTokenPacketData(*values)


def is_unicode(text: str) -> bool:
    """False for a lone surrogate, which JSON can spell and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_WORD = 32
_HEAD = 5 * _WORD


def _word(number: int) -> bytes:
    return number.to_bytes(_WORD)


def _encode_abi(message: FungibleTokenPacketData) -> bytes:
    """The tuple (denom, sender, receiver, amount, memo) as Solidity's abi.encode writes it."""
    head, tail = b"", b""
    for value in (message.denom, message.sender, message.receiver, int(message.amount), message.memo):
        if isinstance(value, int):
            head += _word(value)
            continue
        text = value.encode()
        head += _word(_HEAD + len(tail))
        tail += _word(len(text)) + text + bytes(-len(text) % _WORD)
    return _word(_WORD) + head + tail


def _decode_abi(data: bytes) -> FungibleTokenPacketData:
    def text(place: int) -> str:
        start = _WORD + int.from_bytes(data[(place + 1) * _WORD : (place + 2) * _WORD])
        length = int.from_bytes(data[start : start + _WORD])
        return data[start + _WORD : start + _WORD + length].decode()

    try:
        denom, sender, receiver, memo = map(text, (0, 1, 2, 4))
        amount = str(int.from_bytes(data[4 * _WORD : 5 * _WORD]))
        message = FungibleTokenPacketData(denom, amount, sender, receiver, memo)
    except (UnicodeDecodeError, OverflowError) as error:
        raise ABI_DECODING.error(f"cannot unmarshal ICS20-V1 transfer packet data: {error}") from None
    if _encode_abi(message) != data:
        raise ABI_DECODING.error("the bytes are not what their own values encode to")
    return message


RESULT_1 = Acknowledgement(b'{"result":"AQ=="}', True)


def error_text(error: AbciError) -> str:
    """Only the code is told: words may differ from node to node, and all nodes must store the same."""
    return f"ABCI code: {error.code}: error handling packet: see events for details"


def error_acknowledgement(error: AbciError | str) -> Acknowledgement:
    text = error if isinstance(error, str) else error_text(error)
    return Acknowledgement(json.dumps({"error": text}, separators=(",", ":"), ensure_ascii=False).encode(), False)


def parse_acknowledgement(data: bytes) -> tuple[bytes | None, str]:
    """Result and "", or None and the error. Raises AbciError for any other bytes."""
    try:
        found = load_json(data)
        if isinstance(found, dict) and len(found) == 1:
            (kind, value), *_ = found.items()
            if kind == "result" and isinstance(value, str):
                return base64.b64decode(value, validate=True), ""
            if kind == "error" and isinstance(value, str):
                return None, value
    except (ValueError, binascii.Error):
        pass
    raise UNKNOWN_REQUEST.error("cannot unmarshal ICS-20 transfer packet acknowledgement")
