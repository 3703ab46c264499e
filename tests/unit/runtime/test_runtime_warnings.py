"""Warnings about what a run leaves behind."""

from __future__ import annotations

import os
from pathlib import Path

from emulator.runtime.supervisor import warnings


def test_logs_of_more_than_100_mb_are_told(tmp_path: Path) -> None:
    (tmp_path / "v0").mkdir()
    for name, size in (("v0.txt", 1_000_000), ("v0/db.txt", 99_000_000)):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, size)
    assert warnings.large_logs(tmp_path) == []
    os.truncate(tmp_path / "v0/db.txt", 1_500_000_000)
    [told] = warnings.large_logs(tmp_path)
    assert "1,501 MB" in told
    assert "v0/db.txt, 1,500 MB" in told
