"""Stages and the controller on a network that does what the test says: epochs, hand-over, replay, back-pressure."""

from dataclasses import replace

import pytest
from pipeline_net import MODEL, PLAN, SOURCE, World, answer_of

from nodes.pipeline.stages.controller import Patience, Request, Step
from nodes.pipeline.stages.wire import CODEC, Chunk, Held, Keys, Place, Probe, Ready, Token

REQUEST = Request(number=1, prompt=tuple(range(11)), answer_tokens=5, chunk_tokens=3, vocabulary=1000)


def play(world: World, until=lambda world: False) -> None:
    """Let all go well, to the end or until something holds."""
    for _ in world.run():
        if until(world):
            return


def play_without(dead: str, world: World) -> None:
    """Let all go well but for a node that does nothing any more."""
    while not world.over:
        world.flying = [each for each in world.flying if dead not in each[:2]]
        world.working.pop(dead, None)
        if world.flying:
            world.deliver()
        elif world.working:
            world.work(next(iter(world.working)))
        else:
            world.wait()


def on_the_way(world: World, kind: type) -> list:
    return [message for _, _, data in world.flying if isinstance(message := CODEC.decode(data), kind)]


@pytest.mark.parametrize("overlaps", [True, False])
def test_a_request_gets_the_answer_of_its_plan(overlaps):
    request = replace(REQUEST, overlaps=overlaps)
    world = World(request)
    play(world)
    assert world.controller.step is Step.DONE
    assert world.controller.answer == answer_of(request)
    assert [epoch.nodes for epoch in world.controller.epochs] == [PLAN.nodes]
    assert world.controller.replayed_tokens == 0
    assert not any(core.rejected for core in world.cores.values())


def test_without_overlap_one_chunk_is_on_the_way():
    world = World(replace(REQUEST, overlaps=False))
    for _ in world.run():
        if world.controller.step is Step.RUNNING:
            waiting = sum(len(core.queue) for core in world.cores.values())
            assert len(on_the_way(world, Chunk)) + waiting + len(world.working) <= 1


def test_a_stage_that_does_not_compute_holds_up_those_before_it():
    world = World(replace(REQUEST, prompt=tuple(range(60))), window=2)
    play(world, lambda world: world.controller.step is Step.RUNNING)
    for _ in range(200):  # n1 stands still
        ready = [name for name in world.working if name != "n1"]
        if world.flying:
            world.deliver()
        elif ready:
            world.work(ready[0])
    assert not world.flying
    assert {name: len(core.queue) for name, core in world.cores.items()} == {
        "n0": 2,
        "n1": 2,
        "n2": 0,
        "n3": 0,
        "n4": 0,
    }


def test_a_stage_takes_no_more_chunks_than_its_window():
    world = World(REQUEST, window=2)
    play(world, lambda world: world.controller.step is Step.RUNNING)
    core = world.cores["n1"]
    for offset in (0, 3, 6, 9):
        core.on_message("n0", Chunk(1, 1, offset, 3, b"a", b"\0" * 12), 0.0)
    assert len(core.queue) == 2
    assert core.rejected["crowd"] >= 1


def test_a_second_request_starts_from_nothing():
    world = World(REQUEST)
    play(world)
    again = replace(REQUEST, number=2, prompt=tuple(range(20, 31)))
    world.ask(again)
    play(world)
    assert world.controller.answer == answer_of(again)
    assert world.controller.epochs[0].kept == 0


def test_a_move_ends_what_is_on_the_way_first():
    request = replace(REQUEST, prompt=tuple(range(60)))
    world = World(request)
    play(world, lambda world: world.controller.step is Step.RUNNING)
    world.controller.move("n1", "n3", world.now_s)
    world.settle()
    play(world, lambda world: len(world.controller.epochs) == 2)
    assert world.controller.epochs[-1].kept <= 3 * world.window
    play(world)
    assert world.controller.answer == answer_of(request)
    assert world.controller.replayed_tokens == 0


def test_a_planned_move_hands_keys_over_and_repeats_nothing_but_the_last_chunk():
    world = World(REQUEST)
    play(world, lambda world: len(world.controller.answer) == 2)
    world.controller.move("n1", "n3", world.now_s)
    world.settle()
    play(world, lambda world: bool(on_the_way(world, Keys)))
    play(world)
    assert world.controller.answer == answer_of(REQUEST)
    last = world.controller.epochs[-1]
    assert (last.why, last.nodes, last.moved) == ("move", ("n0", "n3", "n2"), 1)
    assert world.controller.replayed_tokens <= 1
    assert world.controller.diverged == 0


def test_a_dead_node_is_replaced_and_its_tokens_come_again():
    world = World(REQUEST)
    play(world, lambda world: len(world.controller.answer) == 2)
    play_without("n1", world)
    assert world.controller.answer == answer_of(REQUEST)
    assert world.controller.epochs[-1].nodes == ("n0", "n3", "n2")
    assert world.controller.epochs[-1].kept == 0
    assert world.controller.replayed_tokens >= len(REQUEST.prompt)


def test_after_a_hand_over_the_old_node_still_has_what_it_gave():
    world = World(REQUEST)
    play(world, lambda world: len(world.controller.answer) == 2)
    world.controller.move("n1", "n3", world.now_s)
    world.settle()
    play(world, lambda world: len(world.controller.answer) == 4)
    play_without("n3", world)
    assert world.controller.answer == answer_of(REQUEST)
    _, move, last = world.controller.epochs
    assert last.kept == move.kept >= len(REQUEST.prompt) + 1
    assert last.nodes == PLAN.nodes


def test_a_node_that_dies_while_it_takes_over_is_not_waited_for():
    world = World(REQUEST)
    play(world, lambda world: len(world.controller.answer) == 2)
    world.controller.move("n1", "n3", world.now_s)
    world.settle()
    play(world, lambda world: world.controller.epochs[-1].moved == 1)
    world.cut.add(frozenset((SOURCE, "n3")))
    play_without("n3", world)
    assert world.controller.answer == answer_of(REQUEST)
    assert world.now_s <= 3 * Patience().answer_s


def test_a_link_that_stays_cut_brings_another_node():
    world = World(REQUEST)
    play(world, lambda world: len(world.controller.answer) == 1)
    world.cut.add(frozenset(("n1", "n2")))
    play(world)
    assert world.controller.answer == answer_of(REQUEST)
    assert world.controller.epochs[-1].nodes == ("n0", "n1", "n3")


def test_a_node_that_refuses_is_not_asked_again():
    world = World(REQUEST)
    world.cores["n1"]._model = bytes(32)
    play(world)
    assert world.controller.answer == answer_of(REQUEST)
    assert world.controller.epochs[0].nodes == ("n0", "n3", "n2")


def test_a_request_that_nobody_can_serve_says_why():
    world = World(REQUEST, nodes=3)
    world.cores["n1"]._model = bytes(32)
    play(world)
    assert world.controller.step is Step.FAILED
    assert "n1: a request for model 0001020304050607; expected 0000000000000000" in world.controller.reason


def test_a_request_without_nodes_ends():
    world = World(REQUEST)
    for _ in range(200):
        world.flying.clear()
        world.wait()
    assert world.controller.step is Step.FAILED
    assert "100 epochs" in world.controller.reason


def test_placements_of_strangers_have_no_effect():
    world = World(REQUEST)
    play(world, lambda world: world.controller.step is Step.RUNNING)
    core = world.cores["n1"]
    core.on_message("n4", Probe(1, 2, MODEL, 16, 11, ()), 0.0)
    core.on_message("n4", Probe(2, 1, MODEL, 16, 11, ()), 0.0)
    core.on_message("n4", Place(1, 1, 0, ()), 0.0)
    core.on_message("n4", Keys(1, 1, 2, b"\0" * 4), 0.0)  # that would replace those of the chunks here
    core.on_message("n4", Chunk(1, 1, 0, 3, b"a", b"\0" * 12), 0.0)
    core.on_message(SOURCE, Chunk(1, 1, 3, 3, b"a", b"\0" * 12), 0.0)
    core.on_message(SOURCE, Chunk(1, 1, 0, 3, b"b", b"\0" * 12), 0.0)
    core.on_message(SOURCE, Chunk(1, 0, 0, 3, b"a", b"\0" * 12), 0.0)
    assert core.rejected == {"stranger": 4, "gap": 1, "codec": 1, "stale": 1, "keys": 1}
    play(world)
    assert world.controller.answer == answer_of(REQUEST)


def test_a_hand_over_may_come_before_its_placement():
    world = World(REQUEST)
    play(world, lambda world: len(world.controller.answer) == 2)
    world.controller.move("n1", "n3", world.now_s)
    world.settle()
    play(world, lambda world: world.controller.step is Step.PLACING)
    (place,) = (each for each in world.flying if each[1] == "n3" and isinstance(CODEC.decode(each[2]), Place))
    world.flying.remove(place)
    play(world, lambda world: bool(on_the_way(world, Keys)))
    play(world, lambda world: not on_the_way(world, Keys))
    world.flying.append(place)
    play(world)
    assert [epoch.moved for epoch in world.controller.epochs] == [0, 1]
    assert world.controller.answer == answer_of(REQUEST)


def test_keys_of_another_node_than_the_holder_have_no_effect():
    world = World(REQUEST)
    play(world, lambda world: len(world.controller.answer) == 2)
    world.controller.move("n1", "n3", world.now_s)
    world.settle()
    core = world.cores["n3"]
    play(world, lambda world: core.epoch == 2)
    core.on_message("n4", Keys(1, 2, 2, b"\0" * 4), 0.0)  # before the placement that says who hands over
    core.on_message("n4", Keys(1, 2, 5, b"\0" * 4), 0.0)
    play(world)
    assert core.rejected == {"keys": 2}
    assert [epoch.moved for epoch in world.controller.epochs] == [0, 1]
    assert world.controller.answer == answer_of(REQUEST)


def test_a_stage_that_is_started_again_takes_requests_of_its_source_alone():
    world = World(REQUEST)
    play(world)
    world.restart("n1")
    world.cores["n1"].on_message("n4", Probe(9, 1, MODEL, 16, 11, ()), 0.0)
    world.cores["n1"].on_message("n4", Keys(0, 0, 2, b"\0" * 4), 0.0)
    assert world.cores["n1"].rejected == {"stranger": 1, "keys": 1}
    world.ask(replace(REQUEST, number=2))
    play(world)
    assert world.controller.epochs[0].nodes == PLAN.nodes


def test_a_lost_token_brings_its_whole_chunk_again():
    world = World(REQUEST)
    play(world, lambda world: any(token.end == len(REQUEST.prompt) for token in on_the_way(world, Token)))
    world.flying.clear()
    play(world)
    assert world.controller.answer == answer_of(REQUEST)
    assert world.controller.epochs[-1].kept == 9


def test_what_is_out_of_date_has_no_effect():
    world = World(replace(REQUEST, overlaps=False))
    controller = world.controller
    controller.tick(controller.next_deadline_s())  # nobody has answered yet: the second epoch
    controller.on_message("n1", Held(1, 1, 0, (9, 9, 9)), 0.0)
    play(world, lambda world: controller.step is Step.PLACING)
    for name in PLAN.nodes:
        controller.on_message(name, Ready(1, 1), 0.0)
    assert controller.step is Step.PLACING
    play(world, lambda world: controller.step is Step.RUNNING)
    world.cores["n1"].on_message(SOURCE, Probe(1, 1, MODEL, 16, 11, ()), 0.0)
    assert world.cores["n1"].epoch == 2
    controller.on_message("n2", Token(1, 2, 16, 7), 0.0)  # of a chunk that was not sent
    play(world, lambda world: len(controller.answer) == 1)
    controller.on_message("n2", Token(1, 2, 3, 7), 0.0)  # that came before
    play(world)
    assert controller.answer == answer_of(REQUEST)
    assert len(controller.epochs) == 1


def test_a_stage_waits_for_the_keys_of_all_its_blocks():
    world = World(REQUEST)
    play(world, lambda world: len(world.controller.answer) == 2)
    world.controller.move("n2", "n3", world.now_s)  # three blocks
    world.settle()
    play(world, lambda world: bool(on_the_way(world, Keys)))
    world.flying = [each for each in world.flying if not isinstance(CODEC.decode(each[2]), Keys)]
    play(world)
    assert world.controller.answer == answer_of(REQUEST)
    assert world.controller.epochs[-1].why == "placing: too long"


def test_a_placement_that_comes_again_has_no_effect():
    world = World(REQUEST, window=3)
    play(world, lambda world: bool(on_the_way(world, Place)))
    (place,) = {CODEC.encode(message) for message in on_the_way(world, Place)}
    play(world, lambda world: world.controller.step is Step.RUNNING)
    for _ in world.run():
        for name in PLAN.nodes:
            world.cores[name].on_message(SOURCE, CODEC.decode(place), 0.0)
        world.settle()
    assert world.controller.answer == answer_of(REQUEST)
    assert len(world.controller.epochs) == 1


def test_a_token_that_there_is_not_begins_an_epoch():
    world = World(REQUEST)
    play(world, lambda world: len(world.controller.answer) == 1 and not world.flying)
    world.controller.on_message("n2", Token(1, 1, 12, 10**6), world.now_s)
    world.settle()
    play(world)
    assert world.controller.answer == answer_of(REQUEST)
    assert len(world.controller.epochs) == 2
