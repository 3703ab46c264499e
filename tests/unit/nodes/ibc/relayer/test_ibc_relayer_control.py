"""What a relayer answers on its control socket: to questions, orders and nonsense."""

from __future__ import annotations

import pytest

from nodes.ibc.relayer import control
from tests.support.ibc_relayed import Node, World


def opened() -> World:
    net = World({name: Node(name) for name in "ab"})
    net.start("relayer-1")
    net.until(net.is_open)
    return net


def test_questions_are_answered_and_nonsense_is_refused() -> None:
    net = opened()
    relayer = net.relayers["relayer-1"]
    assert "a:b" in control.answer(relayer, ["status"])[1]
    assert control.answer(relayer, ["pending"]) == (True, "no packet is pending")
    assert control.answer(relayer, ["clear", "a:b"])[0]
    for words in ([], ["status", "now"], ["why", "a/x/1"], ["clear", "x"], ["stop"]):
        assert not control.answer(relayer, words)[0]
    here, _ = net.ends()
    net.cut.add("b")
    net.nodes["a"].transfer(here, 3, "stake", net.now_ns, 3600)
    net.run(3)
    assert "is to be received" in control.answer(relayer, ["why", f"{here.name}/1"])[1]
    net.cut.clear()
    net.relay_all()
    assert "settled" in control.answer(relayer, ["why", f"{here.name}/1"])[1]


@pytest.mark.parametrize("line", [b"", b"status\n", b'"status"', b"[1]", b"\xff", b"[" * 4000, b"9" * 4000])
def test_an_order_out_of_form_is_refused_in_words(line: bytes) -> None:
    understood, text = control.reply(opened().relayers["relayer-1"], line)
    assert not understood
    assert text.startswith("an order that")
