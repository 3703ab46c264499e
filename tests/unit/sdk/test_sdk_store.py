"""The store: what is kept is found again, all or nothing, and damage is noticed."""

import subprocess
import sys
from pathlib import Path

import pytest

from emulator.model.errors import DataError
from emulator.sdk.disk import MemoryDisk, Record
from emulator.sdk.store import Store


def test_what_was_applied_is_there_again(tmp_path):
    store = Store(tmp_path / "s", ["a", "b"])
    store.apply([Record("a", b"2", b"two"), Record("a", b"1", b"one"), Record("b", b"1", b"")])
    store.apply([Record("a", b"1", None), Record("a", b"3", b"three"), Record("a", b"9", None)])
    store.close()
    again = Store(tmp_path / "s", ["a", "b"])
    assert list(again.items("a")) == [(b"2", b"two"), (b"3", b"three")]
    assert list(again.items("a", b"3")) == [(b"3", b"three")]
    assert again.get("b", b"1") == b""
    assert again.get("b", b"2") is None
    again.close()


def test_a_killed_process_loses_nothing_that_was_applied(tmp_path):
    program = (
        "import os, sys; from pathlib import Path\n"
        "from emulator.sdk.disk import Record; from emulator.sdk.store import Store\n"
        "store = Store(Path(sys.argv[1]), ['a'], sync=False)\n"
        "[store.apply([Record('a', b'%d' % n, b'x')]) for n in range(50)]\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "s")], check=False)
    assert done.returncode == -9
    store = Store(tmp_path / "s", ["a"])
    assert len(list(store.items("a"))) == 50
    store.close()


def test_a_file_that_is_no_store_is_refused(tmp_path):
    (tmp_path / "data.mdb").write_bytes(b"no store" * 1000)
    with pytest.raises(DataError, match=r"is damaged: .*Restore it from a copy, or delete"):
        Store(tmp_path, ["a"])


def test_a_flipped_bit_in_a_value_is_noticed(tmp_path):
    value = bytes(range(200)) * 3
    store = Store(tmp_path, ["a"])
    store.apply([Record("a", b"key", value)])
    store.close()
    path: Path = tmp_path / "data.mdb"
    data = bytearray(path.read_bytes())
    at = data.index(value)
    data[at + 100] ^= 4
    path.write_bytes(data)
    again = Store(tmp_path, ["a"])
    with pytest.raises(DataError, match="checksum of a 6b6579 is wrong"):
        again.get("a", b"key")
    with pytest.raises(DataError, match="checksum"):
        list(again.items("a"))
    again.close()


def test_the_disk_of_simulations_does_the_same():
    disk = MemoryDisk()
    disk.apply([Record("a", b"2", b"two"), Record("a", b"1", b"one"), Record("a", b"2", None), Record("a", b"0", b"z")])
    assert list(disk.items("a", b"1")) == [(b"1", b"one")]
    assert disk.get("a", b"0") == b"z"
    assert disk.get("b", b"0") is None
    assert list(disk.items("c")) == []
