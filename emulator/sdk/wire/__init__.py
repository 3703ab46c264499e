"""Wire formats, described once: codecs and dissectors come from the same fields.

`kinds` and `layout` say how fields lie in bytes, read and write them; `codec` tells the messages of a protocol apart;
`dissector` says how messages travel.
Invariant: standard library only, as node processes import it.
"""

from emulator.sdk.wire.codec import MessageCodec
from emulator.sdk.wire.dissector import Choice, Dissector, Message, message, row_message
from emulator.sdk.wire.kinds import (
    Fixed,
    Kind,
    Length,
    Many,
    ManyFixed,
    Octets,
    Rest,
    Row,
    Signed,
    Text,
    Unsigned,
    Until,
    Zeros,
)
from emulator.sdk.wire.layout import U8, U16, U32, U64, Layout, Nested, fields_of, layout_of
from emulator.sdk.wire.rules import Rule

__all__ = [
    "U8",
    "U16",
    "U32",
    "U64",
    "Choice",
    "Dissector",
    "Fixed",
    "Kind",
    "Layout",
    "Length",
    "Many",
    "ManyFixed",
    "Message",
    "MessageCodec",
    "Nested",
    "Octets",
    "Rest",
    "Row",
    "Rule",
    "Signed",
    "Text",
    "Unsigned",
    "Until",
    "Zeros",
    "fields_of",
    "layout_of",
    "message",
    "row_message",
]
