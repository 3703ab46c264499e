"""`skyloom doctor`: it tries things, names what is missing, and says by its exit code whether runs work."""

import io
import json
import os
import socket
import time
from contextlib import redirect_stderr, redirect_stdout

import pytest
import typer
from fabric_sandbox import needs_sandbox

from emulator.cli.doctor import doctor
from emulator.fabric import probe
from emulator.link.engine import binding, check
from emulator.model.errors import PlatformError

pytestmark = [pytest.mark.netns, needs_sandbox]


def asked(as_json):
    """What the doctor prints, says, and ends with."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            doctor(as_json)
        except typer.Exit as leave:
            code = leave.exit_code
    return code, out.getvalue(), err.getvalue()


def test_a_machine_that_runs_this_suite_can_run():
    interfaces = socket.if_nameindex()
    code, out, _ = asked(True)
    document = json.loads(out)
    assert code == 0
    assert document["can_run"]
    by_name = {entry["name"]: entry for entry in document["capabilities"]}
    assert {
        "packet engine",
        "namespaces",
        "TUN devices",
        "merged segments",
        "netem",
        "open files",
        "memory",
        "mnexec",
    } <= set(by_name)
    assert by_name["merged segments"]["found"].startswith("virtio header of 10 bytes")
    assert f"built with {binding.built_with()}; the self-test passed" in by_name["packet engine"]["found"]
    assert all(entry[key] for entry in by_name.values() for key in ("probed", "found", "enables", "get"))
    assert socket.if_nameindex() == interfaces
    assert "Runs work here." in asked(False)[1]


def test_what_is_missing_is_named_and_ends_with_69(monkeypatch):
    def without():
        raise PlatformError("no such device")

    broken = probe.Probe("TUN devices", without, "tried", "runs", "modprobe tun", needed=True)
    nice = probe.Probe("tshark", without, "tried", "captures", "apt install tshark")
    monkeypatch.setattr(probe, "PROBES", [nice])
    assert asked(False)[0] == 0
    monkeypatch.setattr(probe, "PROBES", [broken, nice])
    code, out, err = asked(False)
    assert code == 69
    assert "NO   TUN devices" in out
    assert "to get it: modprobe tun" in out
    assert "missing: TUN devices" in err
    assert json.loads(asked(True)[1])["can_run"] is False


def test_an_engine_that_is_missing_or_plays_wrongly_is_needed(monkeypatch):
    monkeypatch.setattr(probe, "PROBES", [])
    monkeypatch.setattr(check, "self_test", lambda: "packet 3 came at 0.2 s, expected 0.1 s")
    code, out, err = asked(False)
    assert code == 69
    assert "NO   packet engine" in out
    assert "the self-test failed: packet 3 came at 0.2 s, expected 0.1 s" in out
    assert "missing: packet engine" in err
    monkeypatch.setattr(binding, "built_with", lambda: binding.load(binding.Path("/nowhere/libengine.so")))
    assert "the packet engine is not there: expected /nowhere/libengine.so" in asked(False)[1]


def test_a_probe_that_hangs_or_dies_is_only_a_no(monkeypatch):
    monkeypatch.setattr(probe, "TIMEOUT_S", 0.1)
    assert probe.in_child(lambda: time.sleep(60) or "") == (False, "no answer; the probe hung")
    monkeypatch.setattr(probe, "TIMEOUT_S", 10)
    assert probe.in_child(lambda: os.kill(os.getpid(), 9) or "")[0] is False
    assert probe.in_child(lambda: str(1 // 0)) == (False, "ZeroDivisionError: integer division or modulo by zero")
    assert probe.in_child(lambda: "seen") == (True, "seen")
