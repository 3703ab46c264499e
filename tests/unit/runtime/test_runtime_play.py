"""Play on a machine that is too busy: nothing is made good that nobody waits for."""

from __future__ import annotations

from emulator.model.network import Network
from emulator.runtime.control.channel import Channel
from emulator.runtime.data_plane import RELAY_BATCH, DataPlane
from emulator.runtime.supervisor.run_loop import next_tick


def test_missed_ticks_are_skipped():
    assert next_tick(0, 0.01, 0.25) == 1
    assert next_tick(1, 0.26, 0.25) == 2
    assert next_tick(1, 0.2499, 0.25) == 2, "woken early: the same tick does not come twice"
    assert next_tick(2, 9.9, 0.25) == 40
    assert next_tick(0, -0.05, 0.25) == 1, "before T0"


def test_the_relay_gets_a_few_messages_a_turn():
    ours, theirs = Channel.pair()
    ours.socket.setblocking(False)
    for number in range(RELAY_BATCH + 2):
        theirs.send({"op": "stats", "number": number})
    data_plane = DataPlane(Network((), ()), 1, 10.0)
    data_plane.relay_channel = ours
    heard = []
    data_plane.on_report = lambda message: heard.append(message["number"])
    data_plane.hear_relay()
    assert heard == list(range(RELAY_BATCH))
    data_plane.hear_relay()
    assert heard == list(range(RELAY_BATCH + 2))
    ours.close()
    theirs.close()
