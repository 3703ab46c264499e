"""Limits of [[host]] that this machine does not grant are an error before the run; what nodes see of the machine."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from emulator.model.errors import PlatformError
from emulator.runtime.programs import hosts
from emulator.runtime.programs.hosts import check_limits


def test_a_limit_that_no_kernel_grants_is_refused_and_ours_stay() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    check_limits("v0", {"nofile": 10, "core": 0})
    with pytest.raises(PlatformError, match=rf"v0: limits.nofile = {1 << 60}: this machine grants at most {before[1]}"):
        check_limits("v0", {"core": 0, "nofile": 1 << 60})
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_nodes_see_the_sources_of_an_editable_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their /tmp is their own: a checkout there would be hidden, and pip names it in no path."""
    root = Path(hosts.__file__).parents[3].resolve()
    monkeypatch.setattr(sys, "path", [path for path in sys.path if Path(path).resolve() != root])
    assert str(root) in hosts._python_folders()
