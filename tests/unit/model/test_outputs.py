"""Files that are replaced: whole or not at all, also where the writer is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from emulator.model import outputs
from emulator.model.outputs import remove_abandoned, write_atomic

WRITER = """
import os, signal, sys
from pathlib import Path
from emulator.model.outputs import write_atomic

os.fsync = lambda fd: (print("written", flush=True), signal.pause())
write_atomic(Path(sys.argv[1]), b"new")
"""


def test_a_file_is_replaced_and_nothing_is_left_beside(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_comes_between_leaves_no_mixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cuts"
    replace = Path.replace

    def late(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replace)
        write_atomic(path, b"of another")  # while this one has written all, and not renamed it
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", late)
    write_atomic(path, b"of this one")
    assert path.read_bytes() == b"of this one"
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_disk_refuses_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "cuts"
    path.write_bytes(b"old")
    monkeypatch.setattr(outputs.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_removed_and_not_while_it_lives(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "cuts")], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        (partial,) = tmp_path.iterdir()
        remove_abandoned(tmp_path)
        assert partial.exists()
    finally:
        writer.kill()
        writer.communicate()
    other = tmp_path / ".hidden"
    other.touch()
    remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == [other]
