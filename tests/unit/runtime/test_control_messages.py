"""Control messages: each comes out as it went in, and what is none of them is one clear refusal, whatever the bytes."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.client import watch
from emulator.model.errors import EmulationError, UsageError
from emulator.runtime.control import messages
from emulator.runtime.control.channel import RECORDS, Channel, records
from emulator.runtime.control.encoding import MESSAGE_BYTES, VERSION, BadMessage, ControlMessage, decode, encode
from emulator.runtime.control.launcher_link import LauncherLink
from emulator.runtime.control.messages import Act, Kill, Met, NodeNames, Refused, SetView, Stop
from emulator.runtime.control.transport import Transport, hear, hear_with_descriptors, say
from emulator.runtime.programs.processes import Process, Processes
from emulator.runtime.supervisor.caller import Caller
from emulator.runtime.supervisor.live import LiveControl

EVERY = tuple(
    found
    for found in vars(messages).values()
    if isinstance(found, type) and issubclass(found, ControlMessage) and found is not ControlMessage
)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(max_size=12)
PLAIN = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field with this annotation."""
    arguments = get_args(hint)
    if hint is Any:
        return PLAIN
    if is_typeddict(hint):
        return st.fixed_dictionaries({}, optional={name: values(it) for name, it in get_type_hints(hint).items()})
    if get_origin(hint) is tuple and arguments[-1] is Ellipsis:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if get_origin(hint) is tuple:
        return st.tuples(*map(values, arguments))
    if get_origin(hint) is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    plain = {
        str: TEXTS,
        int: INTEGERS,
        float: st.floats(allow_nan=False),
        bool: st.booleans(),
        bytes: st.binary(max_size=9),
    }
    return plain[hint]


def made(kind: type[ControlMessage]) -> st.SearchStrategy[ControlMessage]:
    hints = get_type_hints(kind)
    return st.builds(kind, **{each.name: values(hints[each.name]) for each in fields(kind)})  # type: ignore[arg-type]


MESSAGES = st.sampled_from(EVERY).flatmap(made)


@given(MESSAGES)
def test_every_message_comes_out_as_it_went_in(message: ControlMessage) -> None:
    assert decode(encode(message), EVERY) == message


def test_messages_are_told_apart_by_their_names() -> None:
    assert len({each.__name__ for each in EVERY}) == len(EVERY) > 30


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_refusal(data: bytes) -> None:
    with pytest.raises(BadMessage):
        decode(data, EVERY)


@given(PLAIN, st.sampled_from(EVERY))
def test_any_fields_are_a_message_or_a_refusal(given_fields: Any, kind: type[ControlMessage]) -> None:
    data = msgpack.packb([VERSION, kind.__name__, given_fields])
    try:
        assert isinstance(decode(data, EVERY), kind)
    except BadMessage:
        pass


@given(MESSAGES, st.data())
def test_a_message_that_was_damaged_on_the_way_is_a_message_or_a_refusal(message: ControlMessage, data: Any) -> None:
    whole = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(whole[: data.draw(st.integers(0, len(whole)))]), EVERY)
    except BadMessage:
        pass


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (msgpack.packb([VERSION + 1, "Stop", {}]), f"of version {VERSION + 1}; expected version {VERSION}"),
        (msgpack.packb({"op": "stop"}), "without a version"),
        (b"\xc1 never used", "no control message"),
        (b"\xdd\xff\xff\xff\xff", "no control message"),
        (b"\x91" * 5000, "no control message"),
        (msgpack.packb([VERSION, "Stop"]), "another shape"),
        (msgpack.packb([VERSION, "Kill", {"ids": [1], "signum": 9}]), "'Kill'; expected Stop, Act"),
        (msgpack.packb([VERSION, "Stop", {"now": True}]), "Stop with 'now'; expected no field"),
        (msgpack.packb([VERSION, "Act", {}]), "Act without action"),
        (msgpack.packb([VERSION, "Act", {"action": 3}]), "Act.action is of type int; expected dict"),
        (msgpack.packb([VERSION, "SetView", {"view": {"rows": "many"}}]), "of type str; expected int"),
        (msgpack.packb([VERSION, "SetView", {"view": {"colour": "red"}}]), "with a key 'colour'; expected panel"),
        (b"\xc0" * (MESSAGE_BYTES + 1), f"expected at most {MESSAGE_BYTES}"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_was_found_and_what_was_expected(data: bytes, said: str) -> None:
    with pytest.raises(BadMessage, match=said):
        decode(data, (Stop, Act, SetView))


@pytest.mark.parametrize(
    ("kind", "given_fields"),
    [(Kill, {"ids": [True], "signum": 9}), (Met, {"round": 1, "totals": {1: 1}}), (NodeNames, {"names": "a"})],
)
def test_a_field_is_of_its_type_only(kind: type[ControlMessage], given_fields: dict[str, Any]) -> None:
    with pytest.raises(BadMessage, match=kind.__name__):
        decode(msgpack.packb([VERSION, kind.__name__, given_fields]), (kind,))


def test_a_message_that_does_not_fit_is_refused_where_it_is_said() -> None:
    with pytest.raises(EmulationError, match=f"NodeNames of .* bytes; {MESSAGE_BYTES} fit"):
        encode(NodeNames(("a" * MESSAGE_BYTES,)))


class Pipe:
    """A transport without sockets: packets in a list, as one over a network could be. It carries no descriptors."""

    def __init__(self) -> None:
        self.packets: deque[bytes] = deque()
        self._readable, self._write = os.pipe()

    def fileno(self) -> int:
        return self._write

    def set_timeout(self, timeout_s: float | None) -> None:
        pass

    def send_bytes(self, data: bytes | bytearray, fds: Sequence[int] = ()) -> None:
        if fds:
            raise OSError("no descriptors here")
        self.packets.append(bytes(data))

    def receive_bytes(self) -> tuple[bytes, list[int]]:
        return (self.packets.popleft() if self.packets else b""), []

    def close(self) -> None:
        os.close(self._readable)
        os.close(self._write)


@pytest.fixture(params=["local", "in memory"])
def ends(request: pytest.FixtureRequest) -> Any:
    """Both ends of every transport there is: what is said into the first is heard from the second."""
    one: Transport
    other: Transport
    one, other = Channel.pair() if request.param == "local" else (pipe := Pipe(), pipe)
    yield one, other
    for end in {one, other}:
        end.close()


def test_messages_keep_their_order_over_every_transport(ends: Any) -> None:
    one, other = ends
    sent = [Stop(), Met(3, {"a": 2**40}), Kill((1, 2), 9)]
    for message in sent:
        say(one, message)
    assert [hear(other, (Stop, Met, Kill)) for _ in sent] == sent


def test_after_a_refusal_the_next_message_is_heard(ends: Any) -> None:
    one, other = ends
    one.send_bytes(b"noise")
    say(one, Stop())
    with pytest.raises(BadMessage):
        hear(other, (Stop,))
    assert hear(other, (Stop,)) == Stop()


def test_descriptors_of_a_refused_message_are_closed() -> None:
    one, other = Channel.pair()
    readable, write = os.pipe()
    one.send_bytes(b"noise", (write,))
    os.close(write)
    with pytest.raises(BadMessage):
        hear_with_descriptors(other, (Stop,))
    os.set_blocking(readable, False)
    assert os.read(readable, 1) == b"", "somebody holds the other end"
    for each in (one, other):
        each.close()
    os.close(readable)


def test_the_supervisor_counts_what_its_launcher_says_amiss() -> None:
    ours, theirs = Channel.pair()
    launcher = LauncherLink(ours, {"version": 1})
    theirs.send_bytes(msgpack.packb([VERSION + 1, "Stop", {}]))
    say(theirs, SetView({"panel": "links"}))
    launcher.hear()
    assert (launcher.rejected, launcher.stops, launcher.view) == (1, 0, {"panel": "links"})
    for each in (ours, theirs):
        each.close()


@pytest.mark.parametrize(
    "packet", [b"\xc1junk", b"\xc1\x93\x01\x02\x03", b"noise", msgpack.packb([VERSION, "Ready", 1])]
)
def test_what_a_node_process_says_amiss_is_counted(packet: bytes) -> None:
    zygotes = SimpleNamespace()
    processes = Processes(zygotes, Path())  # type: ignore[arg-type]
    processes.all.append(Process(0, "a", "p", log=Path()))
    zygotes.on_packet(0, packet)
    assert processes.rejected == 1
    assert processes.first_rejected.startswith("a: ")


def test_records_before_a_malformed_one_hold() -> None:
    packet = (
        bytes((RECORDS,)) + msgpack.packb([1, "kind", {}]) + msgpack.packb([1, "name", 2.0, "key"]) + msgpack.packb(7)
    )
    found = records(packet)
    assert [next(found), next(found)] == [[1, "kind", {}], [1, "name", 2.0, "key"]]
    with pytest.raises(BadMessage):
        next(found)


def test_a_terminal_of_another_version_is_told_so() -> None:
    async def main() -> Any:
        ours, theirs = Channel.pair()
        for end in (ours, theirs):
            end.set_timeout(0.0)
        with socket.socket() as listener, closing(theirs):
            nothing: Any = None
            control = LiveControl(
                listener, network=nothing, action_runner=nothing, commands=nothing, captures=nothing, look=nothing,
                stop=nothing,
            )  # fmt: skip
            theirs.send_bytes(msgpack.packb([VERSION + 1, "ListNodes", {}]))
            await control._serve(Caller(ours))
            return hear(theirs, (Refused,))

    refused = asyncio.run(main())
    assert refused.exit_code == UsageError.exit_code
    assert f"of version {VERSION + 1}; expected version {VERSION}" in refused.text


def test_a_run_of_another_version_is_an_error_of_the_terminal() -> None:
    ours, theirs = Channel.pair()
    connection = watch.Connection.__new__(watch.Connection)
    connection.run_id, connection.channel = "a1", ours
    theirs.send_bytes(msgpack.packb([VERSION + 1, "Done", {}]))
    with pytest.raises(BadMessage, match="different versions of skyloom"):
        connection.receive((messages.Done,))
    for each in (ours, theirs):
        each.close()
