"""Any message that decodes is taken or refused with an AbciError, and a refusal changes nothing."""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import IntEnum
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibc_world import Chain, World, prove, sent, transfer

from nodes.ibc.core import paths
from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.router import Router
from nodes.ibc.proto import channel, channel_v2, connection, ibc
from nodes.ibc.proto.cosmos import MsgSend
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.transfer import MsgTransfer
from nodes.ibc.proto.wire import Message

MODULES = (channel, channel_v2, connection, ibc)
KINDS = [
    MsgTransfer,
    *(
        kind
        for module in MODULES
        for name, kind in sorted(vars(module).items())
        if name.startswith("Msg") and not name.endswith("Response")
    ),
]
NAMES = ("transfer", "channel-0", "connection-0", "07-tendermint-0", "07-tendermint-1", "ics20-1", "stake", "1", "",
         "a1" + b"user".hex(), "b1" + b"user".hex(), "application/json")  # fmt: skip
KEYS = (paths.channel_end("transfer", "channel-0"), paths.connection("connection-0"))
TEXTS = st.sampled_from(NAMES) | st.text(max_size=5)
NUMBERS = st.sampled_from((0, 1, 2, 5, 1100, 1100 * 10**9, 2**64 - 1))
OCTETS = st.sampled_from((b"", b"ibc", b'{"result":"AQ=="}', *map(prove, KEYS))) | st.binary(max_size=8)


@cache
def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type, often such as get past the first checks."""
    origin = typing.get_origin(kind)
    if origin is tuple:
        return st.lists(values(typing.get_args(kind)[0]), max_size=2).map(tuple)
    if origin in (types.UnionType, typing.Union):
        inner = next(each for each in typing.get_args(kind) if each is not type(None))
        return st.none() | values(inner)
    if issubclass(kind, Message):
        return messages(kind)
    if issubclass(kind, IntEnum):
        return st.sampled_from(list(kind))
    return {str: TEXTS, bytes: OCTETS, bool: st.booleans(), int: NUMBERS}[kind]


@cache
def messages(kind: type[Message]) -> st.SearchStrategy[Message]:
    hints = typing.get_type_hints(kind)
    fields = {field.name: values(hints[field.name]) for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return st.builds(kind, **fields)


@cache
def chain() -> Chain:
    """Chain b with an open channel and a v2 path to a, and one packet that it received."""
    world = World()
    a, b = world.add("a"), world.add("b")
    path = world.open_channel(world.connect(a, b))
    world.link_v2(a, b)
    a.fund("stake")
    b.fund("stake")
    world.receive(path, sent(transfer(path.a, "stake", 5, b.user())))
    return b


def test_all_kinds_of_messages_are_handled() -> None:
    router: Router = chain().router
    assert [kind.NAME for kind in KINDS if not router.handles(kind())] == []
    assert not router.handles(MsgSend())
    with pytest.raises(AbciError, match="expected one of IBC"):
        router.deliver(chain().context(), MsgSend())


@settings(max_examples=300)
@given(message=st.sampled_from(KINDS).flatmap(messages))
def test_messages_are_taken_or_refused(message: Message) -> None:
    try:
        message = type(message).decode(message.encode())
    except WireError:
        return
    here = chain()
    before, context = here.digest(), here.context()
    branch = context.branch()  # what is taken is forgotten, so that every message finds the same chain
    refused = None
    try:
        outcome = here.router.deliver(branch, message)
    except AbciError as error:
        refused = error
    if refused is not None:
        assert refused.code > 0
        assert refused.codespace
        assert branch.events == []
        assert not any(store._changes for store in branch.branches.values())
    else:
        assert tuple(branch.events) == outcome.events
        type(outcome.response).decode(outcome.response.encode())
    assert here.digest() == before
