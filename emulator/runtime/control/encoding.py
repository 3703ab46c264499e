"""The encoding of control messages: dataclasses to bytes and back, with a version and with every field checked.

A message travels as one msgpack array, `[VERSION, name of its class, {field: value}]`, within MESSAGE_BYTES. Two
processes of different versions understand nothing of each other, and say so.

Invariant: `decode` gives a message of the expected classes whose fields have their declared types, or raises
BadMessage, whatever the bytes are. The annotations of the dataclasses are read here, not by pydantic, which no node
process loads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from types import NoneType, UnionType
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

import msgpack

from emulator.model.errors import EmulationError

VERSION = 1  # of all messages
MESSAGE_BYTES = 64_000  # below the allocator's threshold for separate mappings, far below a socket's buffer
UNREADABLE = (ValueError, TypeError, KeyError, OverflowError, msgpack.exceptions.UnpackException)


class BadMessage(EmulationError):
    """What came is no message that is expected here: malformed, of another kind or of another version."""


class ControlMessage:
    """Base of all messages, which are frozen dataclasses."""

    __slots__ = ()


T = TypeVar("T", bound=ControlMessage)
Read = Callable[[Any], Any]


def prepare(kinds: Iterable[type[ControlMessage]]) -> None:
    """Work out now what these carry: processes that are forked later share it."""
    for kind in kinds:
        _SHAPES[kind]


def encode(message: ControlMessage) -> bytes:
    """A message as it travels. EmulationError where it does not fit; TypeError where a field is nothing plain."""
    kind = type(message)
    data: bytes = msgpack.packb(
        [VERSION, kind.__name__, {name: getattr(message, name) for name in _SHAPES[kind].readers}]
    )
    if len(data) > MESSAGE_BYTES:
        raise EmulationError(f"a control message {kind.__name__} of {len(data)} bytes; {MESSAGE_BYTES} fit")
    return data


def decode(data: bytes, expected: tuple[type[T], ...]) -> T:
    """The message in `data`, one of the expected classes. BadMessage."""
    if len(data) > MESSAGE_BYTES:
        raise BadMessage(f"a control message of {len(data)} bytes; expected at most {MESSAGE_BYTES}")
    try:
        found = msgpack.unpackb(data, strict_map_key=False)
    except UNREADABLE as error:
        raise BadMessage(f"{len(data)} bytes are no control message: {error or type(error).__name__}") from None
    if not isinstance(found, list) or not found or type(found[0]) is not int:
        raise BadMessage("a control message without a version; expected one of this version of skyloom")
    if found[0] != VERSION:
        raise BadMessage(
            f"a control message of version {found[0]}; expected version {VERSION}: run and terminal are of different "
            "versions of skyloom"
        )
    if len(found) != 3 or not isinstance(found[1], str) or not isinstance(found[2], dict):
        raise BadMessage("a control message of another shape; expected version, kind and fields")
    kind = next((each for each in expected if each.__name__ == found[1]), None)
    if kind is None:
        names = ", ".join(each.__name__ for each in expected)
        raise BadMessage(f"a control message {found[1][:40]!r}; expected {names}")
    return _made(kind, found[2])


def _made(kind: type[T], given: Mapping[Any, Any]) -> T:
    readers, required = _SHAPES[kind]
    unknown = [name for name in given if name not in readers]
    if unknown:
        raise BadMessage(f"{kind.__name__} with {str(unknown[0])[:40]!r}; expected {', '.join(readers) or 'no field'}")
    values = {}
    for name, value in given.items():
        try:
            values[name] = readers[name](value)
        except ValueError as error:
            raise BadMessage(f"{kind.__name__}.{name} is {error}") from None
    missing = required - values.keys()
    if missing:
        raise BadMessage(f"{kind.__name__} without {', '.join(sorted(missing))}")
    return kind(**values)


class _Shape(NamedTuple):
    """What one class of messages carries."""

    readers: dict[str, Read]  # by field: what checks a value and gives it back as the field has it (arrays as tuples)
    required: frozenset[str]


class _Shapes(dict[type, _Shape]):
    """Shapes by class, each worked out once."""

    def __missing__(self, kind: Any) -> _Shape:
        hints, both = get_type_hints(kind), (MISSING, MISSING)
        readers = {each.name: _reader(hints[each.name]) for each in fields(kind)}
        required = frozenset(it.name for it in fields(kind) if (it.default, it.default_factory) == both)
        shape = self[kind] = _Shape(readers, required)
        return shape


_SHAPES = _Shapes()


def _reader(hint: Any) -> Read:
    arguments = get_args(hint)
    if hint is Any:
        return lambda value: value
    if get_origin(hint) is tuple and arguments[-1] is Ellipsis:
        return _array(_reader(arguments[0]))
    if get_origin(hint) is tuple:
        return _row([_reader(each) for each in arguments])
    if get_origin(hint) is list:
        return _list(_reader(arguments[0]))
    if get_origin(hint) is dict:
        return _map(_reader(arguments[0]), _reader(arguments[1]))
    if is_typeddict(hint):
        return _table({name: _reader(each) for name, each in get_type_hints(hint).items()})
    if get_origin(hint) in (Union, UnionType) and NoneType in arguments:
        (other,) = (_reader(each) for each in arguments if each is not NoneType)
        return lambda value: None if value is None else other(value)
    if hint is float:
        return lambda value: float(_exactly(value, int, float))
    if hint in (str, int, bool, bytes):
        return lambda value: _exactly(value, hint)
    raise TypeError(f"a field of type {hint}, which no control message can carry")


def _exactly(value: Any, *kinds: type) -> Any:
    if type(value) not in kinds:  # a bool is no int here
        raise ValueError(f"of type {type(value).__name__}; expected {kinds[-1].__name__}")
    return value


def _array(item: Read) -> Read:
    return lambda value: tuple(item(each) for each in _exactly(value, tuple, list))


def _list(item: Read) -> Read:
    return lambda value: [item(each) for each in _exactly(value, list)]


def _row(items: list[Read]) -> Read:
    def read(value: Any) -> Any:
        if len(_exactly(value, tuple, list)) != len(items):
            raise ValueError(f"of {len(value)} values; expected {len(items)}")
        return tuple(item(each) for item, each in zip(items, value, strict=True))

    return read


def _table(readers: dict[str, Read]) -> Read:
    """A TypedDict whose keys are all optional."""

    def read(value: Any) -> Any:
        for name in _exactly(value, dict):
            if name not in readers:
                raise ValueError(f"with a key {str(name)[:40]!r}; expected {', '.join(readers)}")
        return {name: readers[name](each) for name, each in value.items()}

    return read


def _map(key: Read, item: Read) -> Read:
    return lambda value: {key(name): item(each) for name, each in _exactly(value, dict).items()}
