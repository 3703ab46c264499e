"""Pods: their secret, their names, and who is turned away before anything is played."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.model.errors import DataError, PlatformError, UsageError
from emulator.runtime.cluster import pods
from emulator.runtime.cluster.pod import KEY, MOST_CALLERS, PORT, Line, make_secret, secret_of
from emulator.runtime.cluster.pods import Pods
from emulator.runtime.control.tls import context


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "secret"
    make_secret(folder)
    monkeypatch.setenv("SKYLOOM_SECRET", str(folder))
    return folder


@pytest.fixture
def port(secret: Path) -> Iterator[int]:
    """Of a pod."""
    words = [sys.executable, "-m", "emulator.cli", "cluster", "pod", "--port", "0"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as pod:
        assert pod.stdout is not None
        yield int(pod.stdout.readline().split()[-1])
        pod.send_signal(signal.SIGTERM)
        assert pod.wait(5.0) == 0


def test_a_secret_is_written_once_and_for_its_owner(tmp_path):
    make_secret(tmp_path)
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600
    before = secret_of(tmp_path)
    with pytest.raises(DataError, match=r"expected a folder without tls\.crt and tls\.key"):
        make_secret(tmp_path)
    assert secret_of(tmp_path) == before


def test_what_is_no_secret_is_refused(tmp_path):
    with pytest.raises(DataError, match="has no identity"):
        secret_of(tmp_path)
    for name in ("tls.crt", KEY):
        (tmp_path / name).write_text("nothing")
    with pytest.raises(DataError, match="has no identity"):
        secret_of(tmp_path)


def test_names_and_port():
    assert pods._named("pods:a") == (["a"], PORT)
    assert pods._named("pods:a.b,c:17") == (["a.b", "c"], 17)
    for wrong in ("pods:", "pods:a,", "pods:a,a", "pods:a:", "pods:a:b", "pods:a:0", "pods:a:65536", "pods:a:1:2"):
        with pytest.raises(UsageError, match="expected pods:NAME,NAME"):
            pods._named(wrong)


def test_a_command_without_a_secret_is_told(monkeypatch):
    monkeypatch.delenv("SKYLOOM_SECRET", raising=False)
    with pytest.raises(UsageError, match="SKYLOOM_SECRET is not set"):
        Pods("pods:a", "")


def test_a_pod_of_another_version_is_named(port, tmp_path, monkeypatch):
    monkeypatch.setattr(pods, "versions", lambda: {"skyloom": "9.9"})
    with pytest.raises(PlatformError, match=r"127\.0\.0\.1: skyloom .*; expected 9\.9"):
        Pods(f"pods:127.0.0.1:{port}", str(tmp_path))


def test_a_machine_without_a_pod_is_named(secret, tmp_path):
    with pytest.raises(PlatformError, match=r"127\.0\.0\.1: nothing answers at port 9"):
        Pods("pods:127.0.0.1:9", str(tmp_path))


def test_too_many_hosts_are_refused(secret):
    with pytest.raises(PlatformError, match="names 2; expected at most as many"):
        Pods("pods:a,b", "", 3)


def test_a_crowd_of_strangers_keeps_no_lead_out(port, secret):
    crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(3 * MOST_CALLERS)]
    tls = context(secret_of(secret), listens=False)
    with socket.create_connection(("127.0.0.1", port), 5.0) as end, tls.wrap_socket(end) as lead:
        assert Line(lead).hear()["busy"] is False
    for each in crowd:
        each.close()


def test_one_run_at_a_time(port, secret, tmp_path):
    first = Pods(f"pods:127.0.0.1:{port}", str(tmp_path))
    assert first.cores[0] >= 1
    with pytest.raises(PlatformError, match="plays another run"):
        Pods(f"pods:127.0.0.1:{port}", str(tmp_path))
    first.close()


def test_a_pod_refuses_what_is_too_large(port, secret):
    tls = context(secret_of(secret), listens=False)
    with socket.create_connection(("127.0.0.1", port), 5.0) as end, tls.wrap_socket(end) as lead:
        Line(lead).hear()
        lead.sendall(b"\xff\xff\xff\xff")
        with pytest.raises(OSError, match="has closed"):
            Line(lead).hear()


def test_a_pod_that_does_not_answer_is_not_waited_for(port, secret, tmp_path, monkeypatch):
    machines = Pods(f"pods:127.0.0.1:{port}", str(tmp_path))
    machines._started = [0]
    monkeypatch.setattr(pods, "select", None)  # by which it would be
    assert not machines.release(silent=[0])
    assert machines._lines[0].tls.fileno() == -1, "it is let go of"
