"""What a run on Ray does without Ray: refusals, archives of files, and folders that go with those who used them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

from emulator.model.errors import PlatformError
from emulator.runtime.cluster.ray_joining import first_line, join
from emulator.runtime.cluster.ray_runner import _swept, packed, unpack

with_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'skyloom[cluster]'")


@pytest.mark.parametrize("address", ["head", "ray://head:10001", "head:http", ":"])
def test_what_is_no_address_of_a_head_is_refused(address):
    with pytest.raises(PlatformError, match="expected host:port of its head"):
        join(address)


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_extra_is_named():
    with pytest.raises(PlatformError, match=r"pip install 'skyloom\[cluster\]'"):
        join("localhost:6379")


@with_ray
@pytest.mark.parametrize("port", [None, 99_999])
def test_where_nothing_answers_is_said_at_once(port):
    if port is None:  # one that was free a moment ago
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
    with pytest.raises(PlatformError, match=f"nothing answers at 127.0.0.1:{port}"):
        join(f"127.0.0.1:{port}")


def test_files_of_a_directory_arrive_but_for_those_left_out(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    (there / "runs").mkdir(parents=True)
    (there / "data").mkdir()
    (there / "runs" / "old").write_text("x" * 1000)
    (there / "data" / "trace.csv").write_text("t,rate\n")
    (there / "lab.toml").write_text("[wan]\n")
    unpack(packed(there, ("runs",), 100), here)
    assert sorted(str(path.relative_to(here)) for path in here.rglob("*") if path.is_file()) == [
        "data/trace.csv", "lab.toml",
    ]  # fmt: skip
    with pytest.raises(PlatformError, match="more than 0 MiB"):
        packed(there, (), 100)


@pytest.mark.parametrize(("error", "line"), [(ValueError("a\nb"), "a"), (ValueError(" \n"), "ValueError")])
def test_an_error_of_ray_is_told_in_one_line(error, line):
    assert first_line(error) == line


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
