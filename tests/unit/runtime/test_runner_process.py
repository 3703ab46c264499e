"""What goes to a machine of a run and comes back: archives of files, and folders that go with those who used them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from emulator.model.errors import PlatformError
from emulator.runtime.cluster import ray_agent
from emulator.runtime.cluster.archives import unpack
from emulator.runtime.cluster.far_process import _swept
from emulator.runtime.cluster.runner_process import packed_directory


def test_files_of_a_directory_arrive_but_for_those_left_out(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    (there / "runs").mkdir(parents=True)
    (there / "data").mkdir()
    (there / "runs" / "old").write_text("x" * 1000)
    (there / "data" / "trace.csv").write_text("t,rate\n")
    (there / "lab.toml").write_text("[wan]\n")
    unpack(io.BytesIO(packed_directory(str(there), 100)), here)
    assert sorted(str(path.relative_to(here)) for path in here.rglob("*") if path.is_file()) == [
        "data/trace.csv", "lab.toml",
    ]  # fmt: skip
    with pytest.raises(PlatformError, match="more than 0 MiB"):
        packed_directory(str(there), 1)


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_a_folder_goes_with_the_last_who_holds_it(tmp_path, how):
    folder = tmp_path / "skyloom-1"
    folder.mkdir()
    (folder / "file").write_text("x")
    held = _swept(folder)
    holder = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[held])
    os.close(held)
    assert folder.exists()
    if how == "killed":
        holder.kill()
    holder.communicate()
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not folder.exists()


class Answering:
    """A method of an actor, and `ray.get` of it: the next of these answers."""

    def __init__(self, *answers: object) -> None:
        self._answers = iter(answers)

    def remote(self) -> object:
        return next(self._answers)


@pytest.mark.parametrize("whole", [True, False])
def test_files_come_back_in_pieces_or_it_is_said_that_they_do_not(tmp_path, whole):
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    (there / "data").write_bytes(os.urandom(3000))
    archive = packed_directory(str(there))
    pieces = [archive[at : at + 100] for at in range(0, len(archive), 100)]
    actor = SimpleNamespace(piece=Answering(*(pieces if whole else pieces[:7]), b""), how=Answering("it was killed"))
    ray = SimpleNamespace(get=lambda answer, timeout=None: answer)
    told: list[bytes] = []
    lost = ray_agent._fetch(ray, SimpleNamespace(send_bytes=told.append), None, actor, here)
    assert len(told) == (len(pieces) if whole else 7)
    if whole:
        assert not lost
        assert (here / "data").read_bytes() == (there / "data").read_bytes()
    else:
        assert lost.startswith("it was killed (")
