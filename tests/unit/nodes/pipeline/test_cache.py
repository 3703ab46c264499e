"""The cache folder: what cannot be written there is told with words, and what killed processes left is removed."""

from pathlib import Path

import pytest

from emulator.model import outputs
from emulator.model.errors import PlatformError
from nodes.pipeline import cache


def test_what_the_disk_refuses_is_an_error_with_words_and_leaves_nothing(tmp_path, monkeypatch):
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs.os, "fsync", full)
    with pytest.raises(PlatformError, match=r"cuts: No space left on device; expected a folder"):
        cache.write(tmp_path / "cuts", b"")
    assert not list(tmp_path.iterdir())


def test_a_calibration_removes_what_killed_ones_left(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache.make_cache_folder()
    monkeypatch.setattr(Path, "replace", lambda self, target: None)  # as if killed just before
    cache.write(cache.cache_folder() / "cuts", b"")
    assert len(list(cache.cache_folder().iterdir())) == 1
    cache.make_cache_folder()
    assert not list(cache.cache_folder().iterdir())


def test_a_folder_that_cannot_be_is_an_error_with_words(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(PlatformError, match=r"skyloom: Not a directory; expected a folder"):
        cache.make_cache_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache.os, "access", lambda path, mode: False)
    with pytest.raises(PlatformError, match=r"skyloom: Permission denied; expected a folder"):
        cache.make_cache_folder()
