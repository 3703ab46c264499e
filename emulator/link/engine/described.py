"""How a C structure is described, so that ctypes and the engine's headers are made of one text.

Invariant: a description gives the fields in the order in which they lie in memory, with the types that C has.
"""

from __future__ import annotations

from collections.abc import Mapping
from ctypes import Structure, c_double, c_int16, c_int32, c_int64, c_uint8, c_uint32, c_uint64, c_void_p
from typing import Any, ClassVar, NamedTuple

Fields = list[tuple[str, Any]]  # a name and a ctypes class
_CTYPES: dict[str, Any] = {
    "double": c_double, "int16_t": c_int16, "int32_t": c_int32, "int64_t": c_int64, "uint8_t": c_uint8,
    "uint32_t": c_uint32, "uint64_t": c_uint64,
}  # fmt: skip


class Member(NamedTuple):
    """Fields of a structure that have one type and one meaning. An array is named "name[length]"."""

    c_type: str  # as C has it; "const double *": an address
    names: str  # a blank between each
    meaning: str = ""


class Described(Structure):
    """A structure, with what its fields mean."""

    members: ClassVar[list[Member]] = []


def fields_of(
    members: list[Member], constants: Mapping[str, int], structures: Mapping[str, type[Described]] | None = None
) -> Fields:
    """The fields for ctypes. Addresses are plain numbers: `tables.Tables` keeps what they point to. `constants` are the
    lengths that have names, `structures` those that may be inside this one."""
    types = {**_CTYPES, **(structures or {})}
    found = []
    for member in members:
        kind = c_void_p if member.c_type.endswith("*") else types[member.c_type]
        for name in member.names.split():
            plain, _, length = name.rstrip("]").partition("[")
            found.append((plain, kind * (constants.get(length) or int(length)) if length else kind))
    return found
