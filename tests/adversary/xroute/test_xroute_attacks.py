"""Each attack on routes is refused by the check, and with the hop or clause, that is there for it."""

from __future__ import annotations

import pytest
from xroute_attacks import ATTACKS, LINE, Scene

from nodes.ibc.proto.ibc import MsgRecoverClient
from nodes.xroute.module.errors import SPACE
from tests.support.ibc_chain import address


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


def test_a_transit_is_believed_again_once_the_client_that_saw_it_misbehave_is_recovered() -> None:
    scene = Scene(edges=(*LINE, ("b", "d")), changes={"d": {"authority": address("other")}})
    world, proof = scene.world, scene.proof()
    world.freeze("d", "b")
    assert scene.deliver(proof).code
    frozen = world["d"].clients["b"]
    substitute = world.new_client(world["d"], world["b"], bind=False, at=world["b"].chain.height)
    world["d"].must("other", MsgRecoverClient(frozen, substitute, address("other")))
    delivered = scene.deliver(proof)
    assert delivered.code == 0, delivered.log
