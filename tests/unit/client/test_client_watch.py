"""How other terminals find live runs."""

from __future__ import annotations

import os

import pytest

from emulator.client import watch
from emulator.model.errors import UsageError

HEAD = "Num       RefCount Protocol Flags    Type St Inode Path\n"


def table(*paths):
    return HEAD + "".join(f"0000000000000000: 00000002 00000000 00010000 0005 01 123 {path}\n" for path in paths)


def test_only_runs_of_this_user_are_listed():
    uid = os.getuid()
    text = table(
        f"@skyloom/{uid}/b2", "@other", f"@skyloom/{uid + 1}/zz", f"@skyloom/{uid}/a1", "/run/x", f"@skyloom/{uid}/a1"
    )
    assert watch.live_runs(text) == ["a1", "b2"]


@pytest.fixture
def runs(monkeypatch):
    found = []
    monkeypatch.setattr(watch, "live_runs", lambda: found)
    return found


def test_no_run_is_an_error(runs):
    with pytest.raises(UsageError, match="no live run"):
        watch.choose(None)


def test_the_only_run_is_meant(runs):
    runs += ["a1b2"]
    assert watch.choose(None) == "a1b2"
    assert watch.choose("a1") == "a1b2"


def test_several_runs_need_a_choice(runs):
    runs += ["a1", "a12", "b2"]
    with pytest.raises(UsageError, match=r"3 live runs; choose one by --run, .*: a1, a12, b2"):
        watch.choose(None)
    assert watch.choose("a1") == "a1"
    with pytest.raises(UsageError, match="no live run 'c'"):
        watch.choose("c")
