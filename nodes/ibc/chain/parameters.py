"""Parameters of JSON-RPC requests, as JSON and as the query of a URI.

Invariant: `read` returns values of the declared kinds for all declared names, or raises ParameterError, which names the
parameter, what was found and what was expected. Source: CometBFT 0.38, rpc/jsonrpc/server.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.model.errors import Unfit

__all__ = ["FLAG", "HEX", "NUMBER", "OCTETS", "TEXT", "Kind", "ParameterError", "read"]

_NUMBER = re.compile(r"-?[0-9]{1,19}")


class ParameterError(Unfit):
    """A parameter that does not fit."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of parameter is read; `absent` is its value where it is not given."""

    name: str
    absent: Any
    of_json: Callable[[Any], Any]  # ValueError or TypeError where it does not fit
    of_uri: Callable[[str], Any]


def read(declared: Mapping[str, Kind], given: Any, *, uri: bool = False) -> dict[str, Any]:
    """The parameters by name: an object, or an array in the order of declaration."""
    if isinstance(given, list):
        if len(given) > len(declared):
            raise ParameterError(f"{len(given)} parameters", f"at most {len(declared)}")
        given = dict(zip(declared, given, strict=False))
    if not isinstance(given, Mapping):
        raise ParameterError("params that are no object and no array", f"an object with {', '.join(declared)}")
    if unknown := [name for name in given if name not in declared]:
        raise ParameterError(f"parameter {str(unknown[0])[:64]!r}", f"one of {', '.join(declared) or 'none'}")
    values = {}
    for name, kind in declared.items():
        value = given.get(name)
        try:
            values[name] = kind.absent if value is None else (kind.of_uri if uri else kind.of_json)(value)
        except (ValueError, TypeError):
            raise ParameterError(f"{name} {str(value)[:64]!r}", kind.name) from None
    return values


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: Any) -> int:
    """A number, or the decimal text of one."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError
    return int(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _unquoted(text: str) -> str:
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        raise ValueError
    return text[1:-1]


def _uri_flag(text: str) -> bool:
    return (
        {"true": True, "false": False, "1": True, "0": False}[text]
        if text in ("true", "false", "1", "0")
        else _flag(text)
    )


def _uri_octets(text: str) -> bytes:
    return bytes.fromhex(text[2:]) if text.startswith("0x") else _unquoted(text).encode()


TEXT = Kind("a text", "", _text, _unquoted)
NUMBER = Kind("a whole number", 0, _number, lambda text: _number(text[1:-1] if text[:1] == '"' else text))
FLAG = Kind("true or false", False, _flag, _uri_flag)
OCTETS = Kind("base64", b"", lambda value: b64decode(_text(value), validate=True), _uri_octets)
HEX = Kind("hex", b"", lambda value: bytes.fromhex(_text(value).removeprefix("0x")), _uri_octets)
