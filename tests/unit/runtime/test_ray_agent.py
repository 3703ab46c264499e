"""How the agent of a run on a Ray cluster lets go of runners; Ray is a fake, in which one of them plays for ever."""

from __future__ import annotations

import io
from collections import deque
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest

from emulator.runtime.cluster.archives import pack
from emulator.runtime.cluster.ray_agent import LAST_S, _follow

PLAYS_FOR_EVER = "host 1"


class Ray:
    """What the agent calls of it. What an actor is asked for is its answer already."""

    def __init__(self) -> None:
        self.waited_s: list[float] = []  # in vain

    def wait(self, playing: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        done = [each for each in playing if each != PLAYS_FOR_EVER]
        if not done:
            self.waited_s.append(timeout)
        return done[:1], playing

    def get(self, answer: Any, timeout: float | None = None) -> Any:
        return answer


def actor(folder: Path) -> Any:
    """One whose host has written the files of this folder."""
    archive = io.BytesIO()
    pack(folder, archive)
    pieces = deque([archive.getvalue(), b""])
    how = "the runner ended with status 0"
    return SimpleNamespace(piece=SimpleNamespace(remote=pieces.popleft), how=SimpleNamespace(remote=lambda: how))


@pytest.mark.parametrize(("silent", "why"), [([1], "it does not answer"), ([], f"it did not end within {LAST_S:g} s")])
def test_a_host_that_answers_has_its_time_and_one_that_does_not_is_not_waited_for(tmp_path, silent, why):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "said.txt").write_text("on v0\n")
    (tmp_path / "run").mkdir()
    ours, theirs = Pipe()
    ours.send_bytes(msgpack.packb({"release": True, "silent": silent}))
    ray = Ray()
    _follow(ray, theirs, {"host 0": 0, PLAYS_FOR_EVER: 1}, [actor(tmp_path / "there"), None], tmp_path / "run")
    told = [message for message in all_of(ours) if "piece" not in message]
    assert told == [
        {"ended": 0, "how": "the runner ended with status 0", "lost": ""},
        {"ended": 1, "how": why, "lost": why},
        {"released": True},
    ]
    assert (tmp_path / "run" / "said.txt").read_text() == "on v0\n"
    assert (LAST_S in ray.waited_s) == (not silent)


def all_of(line: Connection) -> list[dict[str, Any]]:
    found = []
    while line.poll(0):
        found.append(msgpack.unpackb(line.recv_bytes()))
    return found
