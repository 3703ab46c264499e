"""The end of a run whose supervisor has sent none: killed by a third request to stop, or dead by itself."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from emulator.client.run_handle import RunHandle
from emulator.model.errors import EXIT_INTERRUPTED, EmulationError
from emulator.record import RunFolder
from emulator.runtime.control.channel import Channel


@pytest.fixture
def handle(tmp_path: Path) -> RunHandle:
    """A run whose sandbox is a process that hears nothing."""
    pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
    ours, theirs = Channel.pair()
    theirs.close()
    return RunHandle(pid, ours, RunFolder.create(tmp_path, "deaf"))


def test_a_third_request_to_stop_kills_the_run_and_counts_as_interruption(handle: RunHandle) -> None:
    for _ in range(3):
        handle.stop()
    assert handle.wait() == EXIT_INTERRUPTED


def test_a_supervisor_that_dies_while_it_ends_is_an_error(handle: RunHandle) -> None:
    handle.stop()
    handle.stop()
    os.kill(handle.pid, signal.SIGKILL)
    with pytest.raises(EmulationError, match="without a verdict"):
        handle.wait()
