"""Installing into Wireshark: whose files, where, what they hold, and what is left alone."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from emulator.model.errors import DataError, UsageError
from emulator.record.wireshark import EXTCAPS, PLUGIN, dissectors, extcap, install


def test_every_protocol_brings_its_dissectors() -> None:
    assert {each.name for each in dissectors()} == {
        "probe", "bulk", "request", "plurality", "amnesiac", "explorer", "dagbft", "pipeline", "rounds",
    }  # fmt: skip


def test_install_writes_a_plugin_and_two_scripts(tmp_path: Path) -> None:
    paths = install(tmp_path)
    assert paths == [tmp_path / PLUGIN, *(tmp_path / path for path in EXTCAPS)]
    assert "dissector {" in paths[0].read_text()
    assert [path.stat().st_mode & 0o777 for path in paths] == [0o644, 0o755, 0o755]
    before = paths[0].read_bytes()
    assert install(tmp_path) == paths  # ours may be written anew
    assert paths[0].read_bytes() == before


@pytest.mark.parametrize("number", range(3))
def test_files_of_others_are_left_and_nothing_else_is_written(tmp_path: Path, number: int) -> None:
    path = tmp_path / [PLUGIN, *EXTCAPS][number]
    path.parent.mkdir(parents=True)
    path.write_text("-- mine\n")
    with pytest.raises(UsageError, match="is not ours and stays as it is"):
        install(tmp_path)
    assert path.read_text() == "-- mine\n"
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]


def test_a_home_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / ".local").write_text("a file")
    with pytest.raises(DataError, match=r"\.local.*Not a directory"):
        install(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_under_sudo_files_belong_to_the_user_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "12345")
    monkeypatch.setenv("SUDO_GID", "12346")
    for path in install(tmp_path):
        for each in (path, path.parent, tmp_path / path.relative_to(tmp_path).parts[0]):
            assert (each.stat().st_uid, each.stat().st_gid) == (12345, 12346)


def test_a_broken_protocol_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("sour", "emulator.model.errors:UsageError", "skyloom.protocols")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: EntryPoints([broken]))
    with pytest.raises(
        UsageError, match=r"protocol sour: emulator\.model\.errors:UsageError is a type; expected a Protocol"
    ):
        dissectors()


def test_the_script_answers_what_is_always_the_same(tmp_path: Path) -> None:
    script = tmp_path / "skyloom"
    script.write_text(extcap().replace("exec ", "echo exec "))

    def said(*words: str) -> str:
        return subprocess.run(["sh", script, *words], capture_output=True, text=True, check=True).stdout

    assert (
        said("--extcap-dlts", "--extcap-interface", "skyloom:ab:x:up") == "dlt {number=101}{name=RAW}{display=Raw IP}\n"
    )
    assert "--links" not in said("--extcap-config", "--extcap-interface", "skyloom:ab:x:up")
    assert "{call=--links}" in said("--extcap-config", "--extcap-interface", "skyloom:ab:*")
    assert said("--capture", "--fifo", "x y").startswith("exec /")
