"""What goes to a machine of a run and comes back: archives of files, and folders that go with those who used them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time

import pytest

from emulator.model.errors import PlatformError
from emulator.runtime.cluster.archives import unpack
from emulator.runtime.cluster.far_process import _swept
from emulator.runtime.cluster.runner_process import packed


def test_files_of_a_directory_arrive_but_for_those_left_out(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    (there / "runs").mkdir(parents=True)
    (there / "data").mkdir()
    (there / "runs" / "old").write_text("x" * 1000)
    (there / "data" / "trace.csv").write_text("t,rate\n")
    (there / "lab.toml").write_text("[wan]\n")
    unpack(io.BytesIO(packed(there, ("runs",), 100)), here)
    assert sorted(str(path.relative_to(here)) for path in here.rglob("*") if path.is_file()) == [
        "data/trace.csv", "lab.toml",
    ]  # fmt: skip
    with pytest.raises(PlatformError, match="more than 0 MiB"):
        packed(there, (), 100)


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
