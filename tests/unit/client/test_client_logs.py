"""`skyloom logs`: which logs of a folder are chosen, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.client import logs
from emulator.client.logs import lines, logs_of
from emulator.model.errors import UsageError


def test_lines_of_several_logs_have_labels_also_a_last_one_without_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "is_live", lambda run: False)
    (tmp_path / "logs" / "v0").mkdir(parents=True)
    (tmp_path / "logs" / "v0.txt").write_text("one\n")
    (tmp_path / "logs" / "v0" / "etcd.txt").write_text("two\nthr")
    found = logs_of(tmp_path, "v0")
    assert list(lines(tmp_path, found, follow=True)) == [b"node: one\n", b"etcd: two\n", b"etcd: thr\n"]
    assert list(lines(tmp_path, logs_of(tmp_path, "v0", "etcd"), follow=False)) == [b"two\n", b"thr\n"]


def test_the_existing_logs_are_told_where_there_is_no_such(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nodes with logs: none"):  # a sweep's folder has no logs/
        logs_of(tmp_path, "v0")
    (tmp_path / "logs" / "v1").mkdir(parents=True)
    (tmp_path / "logs" / "v1" / "etcd.txt").write_text("")
    with pytest.raises(UsageError, match="nodes with logs: v1"):
        logs_of(tmp_path, "v0")
    with pytest.raises(UsageError, match="there are logs of etcd"):
        logs_of(tmp_path, "v1", "redis")
