"""Each attack on routes is refused by the check, and with the hop or clause, that is there for it."""

from __future__ import annotations

import pytest
from xroute_attacks import ATTACKS, Scene

from nodes.xroute.module.errors import SPACE


def test_without_an_attack_the_message_is_delivered() -> None:
    scene = Scene()
    result = scene.deliver(scene.proof())
    assert result.code == 0, result.log


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused(name: str) -> None:
    run, refusal = ATTACKS[name]
    result = run()
    where = "" if refusal.place is None else f" {refusal.place}"
    assert (result.codespace, result.code) == (SPACE, 100 + refusal.check), result.log
    assert f"{refusal.check.name.lower()}{where}: " in result.log
