"""What chains answer, one value of it replaced by others: it is an answer of the call's type, or there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import pytest

from nodes.ibc.chain.parameters import read as read_parameters
from nodes.ibc.proto.cosmos import QueryAccountRequest, QueryAccountResponse
from nodes.ibc.relayer import events
from nodes.ibc.relayer.calls import (
    Ask,
    Block,
    BlockAt,
    Broadcast,
    Call,
    SignedHeaderAt,
    StatusOf,
    Stored,
    TransactionsAt,
    Unanswered,
    ValidatorsAt,
)
from nodes.ibc.relayer.dialect import answer, requests
from nodes.xroute.relayer.events import read as read_messages
from tests.support.ibc_chain import GENESIS_NS, SECOND_NS, address
from tests.support.ibc_relayed import Node

ODD = (None, True, -1, 1 << 80, 0.5, float("inf"), "", "x", "-1", "é", "\ud800", [], [[]], {}, {"": 1})
ACCOUNT = Ask("a", "/cosmos.auth.v1beta1.Query/Account", QueryAccountRequest(address("alice")), QueryAccountResponse)
CALLS: tuple[Call, ...] = (
    StatusOf("a"), ACCOUNT, Stored("a", b"no key", 2, "bank"), BlockAt("a", 2), SignedHeaderAt("a", 2),
    ValidatorsAt("a", 2), TransactionsAt("a", 2), Broadcast("a", b"no transaction"),
)  # fmt: skip


@pytest.fixture(scope="module")
def node() -> Node:
    node = Node("a")
    node.pay("alice", "bob", 1)
    for second in (2, 3):
        node.block(GENESIS_NS + second * SECOND_NS)
    return node


def replies_to(node: Node, call: Call) -> list[dict[str, Any]]:
    found = []
    for method, given in requests(call):
        asked = node.methods.table[method]
        found.append({"result": asked.answer(**read_parameters(asked.parameters, given))})
    form: list[dict[str, Any]] = json.loads(json.dumps(found))
    return form


def places(form: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield at
    for key, value in form.items() if isinstance(form, dict) else enumerate(form) if isinstance(form, list) else ():
        yield from places(value, (*at, key))


def replaced(replies: list[dict[str, Any]], at: tuple[str | int, ...], value: object) -> list[dict[str, Any]]:
    changed: Any = deepcopy(replies)
    *way, last = at
    inner = changed
    for key in way:
        inner = inner[key]
    inner[last] = value
    return changed  # type: ignore[no-any-return]


def require_types(found: object) -> None:
    """The plain fields of answers are of the types that they are said to be."""
    for each in found if isinstance(found, tuple) else (found,):
        if is_dataclass(each):
            hints = get_type_hints(type(each))
            for field in fields(each):
                value = getattr(each, field.name)
                if hints[field.name] in (int, str, bytes):
                    assert type(value) is hints[field.name], (each, field.name)
                elif isinstance(value, tuple):
                    require_types(value)
        elif isinstance(each, tuple):
            require_types(each)
        else:
            assert isinstance(each, str | bytes), each


@pytest.mark.parametrize("call", CALLS, ids=lambda call: type(call).__name__)
def test_an_answer_is_of_its_type_or_there_is_none(node: Node, call: Call) -> None:
    replies = replies_to(node, call)
    require_types(answer(call, replies))
    for at in [at for at in places(replies) if len(at) > 1]:
        for value in ODD:
            try:
                found = answer(call, replaced(replies, at, value))
            except Unanswered:
                continue
            require_types(found)
            if isinstance(found, Block):
                list(events.read(found))
                list(read_messages(found))
