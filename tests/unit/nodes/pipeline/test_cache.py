"""Files of the cache are there as a whole, or not at all, however many write them."""

from pathlib import Path

import pytest

from emulator.model.errors import PlatformError
from nodes.pipeline import cache


def test_a_writer_that_comes_between_leaves_no_mixture(tmp_path, monkeypatch):
    path = tmp_path / "cuts"
    replace = Path.replace

    def late(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replace)
        cache.write(path, b"of another calibration")  # while this one has written all, and not renamed it
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", late)
    cache.write(path, b"of this one")
    assert path.read_bytes() == b"of this one"
    assert [each.name for each in tmp_path.iterdir()] == ["cuts"]


def test_what_the_disk_refuses_is_an_error_with_words_and_leaves_nothing(tmp_path, monkeypatch):
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(PlatformError, match=r"cuts: No space left on device; expected a folder"):
        cache.write(tmp_path / "cuts", b"")
    assert not list(tmp_path.iterdir())
