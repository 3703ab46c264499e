"""Capturing without a network: whose packets, who is at the far end, the writing process, other terminals."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from capture_streams import batch, comments, faces

from emulator.model.network import LinkSpec, Network, NodeSpec, ScheduleRow
from emulator.record.folder import RunFolder
from emulator.runtime.capture.announcements import Announcements
from emulator.runtime.capture.handovers import UpcomingHandover, UpcomingHandovers
from emulator.runtime.capture.messages import EndCapture, NoteAction
from emulator.runtime.capture.writer import KEYS, CaptureWriter, captured_ends, gathered, key_folder, pipe, resolved
from emulator.runtime.control.channel import Channel
from emulator.runtime.control.messages import Interfaces
from emulator.runtime.control.transport import say
from emulator.scenario.schema.capture import Capture
from emulator.schedule.ring import RowRing

pytest.importorskip("pcapng")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pcapng.*")

NETWORK = Network(
    (
        NodeSpec("gs-tokyo", "ground station", True, "10.0.0.1"), NodeSpec("sat-1", "satellite", False, "10.1.0.1"),
        NodeSpec("sat-2", "satellite", False, "10.2.0.1"), NodeSpec("h1", "host", True, "10.0.0.9"),
    ),
    (
        LinkSpec("gs-tokyo:up", 0, 1, "up", "down", moving=True), LinkSpec("sat-1:e", 1, 2, "e", "w"),
        LinkSpec("h1:eth0", 3, 0, "eth0", "lan"),
    ),
    timeline=SimpleNamespace(step_s=2.0),
)  # fmt: skip


def ring(*peers: int) -> RowRing:
    """Rows in which one node after another is at the far end of the moving link."""
    made = RowRing(6, 4, 2, capacity=4)
    for step, peer in enumerate(peers):
        zero = np.zeros(6)
        far = np.array([peer, 0, 2, 1, 0, 3], np.int32)
        made.put(ScheduleRow(step, zero, zero, zero, zero, zero == 0, far, np.full((2, 4), -1, np.int32)))
    return made


def test_names_of_link_ends_and_of_nodes():
    assert captured_ends(NETWORK, ["gs-tokyo:up"]) == [0]
    assert captured_ends(NETWORK, ["h1"]) == [4, 5]
    assert captured_ends(NETWORK, ["gs-*"]) == [0, 1, 4, 5]
    assert captured_ends(NETWORK, ["sat-1"]) == [2, 3]  # not the moving link that it serves just now
    assert captured_ends(NETWORK, ["*"]) == list(range(6))
    assert captured_ends(NETWORK, ["*"], resolved("link sat-1:e or node h1 and not node gs-tokyo", NETWORK)) == [2, 3]
    assert captured_ends(NETWORK, ["h2"]) == []


def test_moves_are_told_once_and_ahead_of_play():
    rows = ring(1, 1, 2)
    moves = UpcomingHandovers(NETWORK, rows, [0, 4])
    assert moves.far == {0: 1}
    assert moves.news() == [UpcomingHandover(4.0, 0, 1, 2)]
    assert moves.news() == []
    assert UpcomingHandovers(NETWORK, rows, [2, 4]).news() == []
    assert UpcomingHandovers(NETWORK, None, [0]).far == {0: 1}
    assert UpcomingHandovers(NETWORK, rows, [0], step=2).far == {0: 2}


def test_moves_that_nobody_read_in_time_come_out_at_the_newest_row():
    rows = ring(1, 1)
    moves = UpcomingHandovers(NETWORK, rows, [0, 1])
    zero = np.zeros(6)
    for step, peer in enumerate((2, 1, -1, 2, 2, 2), 2):
        far = np.array([peer, 0, 2, 1, 0, 3], np.int32)
        rows.put(ScheduleRow(step, zero, zero, zero, zero, zero == 0, far, np.full((2, 4), -1, np.int32)))
    assert moves.news() == [UpcomingHandover(14.0, 0, 1, 2)]


def test_where_keys_are_logged(tmp_path):
    def asked(**table):
        return key_folder(tmp_path, Capture.model_validate(table), table.get("links", ()))

    assert asked() is None
    assert asked(links=["h1"]) == tmp_path / KEYS
    assert asked(links=["h1"], keys=False) is None
    assert asked(keys=True) == tmp_path / KEYS


def test_what_comes_of_a_tee_is_gathered_until_both_sides_are_done():
    read_end, write_end = pipe()
    ours, theirs = Channel.pair()
    theirs.socket.setblocking(False)
    os.write(write_end, b"abc")
    os.close(write_end)
    said = [NoteAction(1.0, {"do": "heal"}), EndCapture(3)]
    for message in said:
        say(ours, message)
    portions = list(gathered(read_end, theirs))
    assert b"".join(data for data, _ in portions) == b"abc"
    assert [message for _, messages in portions for message in messages] == said
    os.close(read_end)
    ours.close()
    theirs.close()


def test_the_writing_process(tmp_path):
    """Packets, a handover from the rows, an action, and keys that were written just before their packets."""
    folder = RunFolder.create(tmp_path, "leo")
    table = Capture.model_validate({"links": ["*"], "filter": "not proto icmp"})
    writer = CaptureWriter(folder, NETWORK, table, [0, 1, 4], ring(1, 1, 2), [], "run 7f3a")
    tee = os.dup(writer.write_end)
    writer.start(0)
    writer.act(1.0, {"do": "link-down", "links": ["h1:eth0"]})
    (folder.path / KEYS).mkdir()
    (folder.path / KEYS / "h1-p.keys").write_bytes(b"CLIENT_RANDOM a b\n")
    os.write(tee, batch((0.5, 0), (0.6, 4), (4.5, 1), (4.6, 4, 6)))
    deadline = time.monotonic() + 20
    while writer.row().get("packets") != 4:
        assert time.monotonic() < deadline, writer.row()
        time.sleep(0.05)
    os.close(tee)
    writer.finish(missed=3)
    data = (folder.path / "capture.pcapng").read_bytes()
    assert faces(data) == ["gs-tokyo -> sat-1", "h1 -> gs-tokyo", "sat-2 -> gs-tokyo", "h1 -> gs-tokyo"]
    assert comments(data) == [
        "", "", "handover sat-1 -> sat-2 at 4.000 s",
        "fault: link-down h1:eth0 at 1.000 s; dropped: link down",
    ]  # fmt: skip
    assert b"CLIENT_RANDOM a b\n" in data
    assert writer.row()["missed"] == 3
    assert folder.warnings == ["capture: 3 packets are missing, the capture was too slow"]


def test_a_writer_that_dies_is_a_warning(tmp_path):
    folder = RunFolder.create(tmp_path, "leo")
    writer = CaptureWriter(folder, NETWORK, Capture(), [0], None, [])
    writer.start(0)
    writer._child.kill()
    for number in range(2000):
        writer.act(number, {"do": "heal"})
    writer.finish()
    assert folder.warnings == ["the capture may be incomplete: its writer did not finish"]


def test_what_another_terminal_is_told():
    announcements = Announcements(NETWORK, ring(1, 1, 2), [0, 1, 4], 96, now_s=0.5)
    announcements.act(1.0, {"do": "link-down", "links": ["h1:eth0"]})
    interfaces, names = list(announcements.first(100))
    assert [row[:2] for row in interfaces.rows] == [
        (0, "gs-tokyo -> sat-1"), (1, "sat-1 -> gs-tokyo"), (4, "h1 -> gs-tokyo"),
    ]  # fmt: skip
    assert (b"\x0a\0\0\x09", "h1") in names.rows
    moves, remarks = list(announcements.news(100))
    assert [row[:4] for row in moves.rows] == [
        (4.0, "handover sat-1 -> sat-2 at 4.000 s", 0, "gs-tokyo -> sat-2"),
        (4.0, "handover sat-1 -> sat-2 at 4.000 s", 1, "sat-2 -> gs-tokyo"),
    ]
    assert remarks.rows == ((1.0, 4, "fault: link-down h1:eth0 at 1.000 s"),)
    assert list(announcements.news(100)) == []
    assert [len(message.rows) for message in announcements.first(2) if isinstance(message, Interfaces)] == [2, 1]


def test_the_writer_of_a_run_that_is_nice_does_not_take_that_back() -> None:
    code = "import os; from emulator.runtime.capture.writer import _give_way as g; os.nice({0}); g(); print(os.nice(0))"
    for before, after in (0, 5), (10, 10):
        words = [sys.executable, "-c", "import os; os.setpriority(os.PRIO_PROCESS, 0, 0); " + code.format(before)]
        assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == f"{after}\n"
