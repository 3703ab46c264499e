"""The extcap calls without a run: refusals, options, and runs that have just ended."""

from __future__ import annotations

import signal
import socket

import pytest

from emulator.cli import extcap as command
from emulator.cli.extcap import extcap
from emulator.client import mininet_shell, watch
from emulator.model.errors import DataError, EmulationError, UsageError
from emulator.model.network import LinkSpec, Network, NodeSpec

NETWORK = Network(
    (NodeSpec("gs-a", "station", True), NodeSpec("sat-1", "satellite", False), NodeSpec("sat-2", "satellite", False)),
    (LinkSpec("gs-a:up", 0, 1, "up", "down", moving=True), LinkSpec("isl", 1, 2, "isl0", "isl1")),
)


def test_interfaces_are_the_ends_of_live_nodes(monkeypatch, capsys) -> None:
    def network_of(run: str) -> Network:
        if run == "gone":
            raise EmulationError("run gone has ended")
        return NETWORK

    monkeypatch.setattr(watch, "live_runs", lambda: ["ab12", "gone"])
    monkeypatch.setattr(mininet_shell, "network_of", network_of)
    extcap(["--extcap-interfaces", "--extcap-version=4.0"])
    assert socket.getdefaulttimeout() is None, "only runs are not waited for"
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("extcap {version=")
    assert lines[1:] == [
        "interface {value=skyloom:ab12:gs-a:up}{display=skyloom: gs-a -> satellite in view (gs-a:up)}",
        "interface {value=skyloom:ab12:gs-a:up~down}{display=skyloom: satellite in view -> gs-a (gs-a:up~down)}",
        "interface {value=skyloom:ab12:*}{display=skyloom: choose links of ab12}",
    ]


def test_many_ends_are_chosen_by_name(monkeypatch, capsys) -> None:
    nodes = tuple(NodeSpec(f"n{number}", "host", True) for number in range(command.MOST_INTERFACES + 2))
    links = tuple(LinkSpec(f"l{number}", number, number + 1, "a", "b") for number in range(len(nodes) - 1))
    monkeypatch.setattr(watch, "live_runs", lambda: ["ab12"])
    monkeypatch.setattr(mininet_shell, "network_of", lambda run: Network(nodes, links))
    extcap(["--extcap-interfaces"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + command.MOST_INTERFACES + 1
    assert lines[-1] == "interface {value=skyloom:ab12:*}{display=skyloom: choose links of ab12}"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "this command is for Wireshark"),
        (["--capture", "--extcap-interface", "eth0"], "--capture without --fifo"),
        (["--capture", "--extcap-interface", "eth0", "--fifo", "f"], "interface 'eth0'; expected one of those"),
        (["--capture", "--extcap-interface", "skyloom:ab:*", "--fifo", "f"], "no links; name some"),
        (
            ["--capture", "--extcap-interface", "skyloom:ab:x:up", "--fifo", "f", "--snaplen", "x"],
            "snaplen 'x'; expected",
        ),
        (["--extcap-config", "--extcap-interface", "eth0"], "interface 'eth0'; expected one of those"),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], error: str) -> None:
    with pytest.raises(UsageError, match=error):
        extcap(words)


def test_a_pipe_that_is_not_there_is_an_error(tmp_path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(DataError, match="No such file"):
        extcap(["--capture", "--extcap-interface", "skyloom:ab:x:up", "--fifo", str(tmp_path / "no" / "pipe")])
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(("text", "good"), [("port 80", True), ("", True), ("port eighty", False), ("(", False)])
def test_capture_filters_are_checked(capsys, text: str, good: bool) -> None:
    extcap(["--extcap-interface", "skyloom:ab:x:up", "--extcap-capture-filter", text])
    assert bool(capsys.readouterr().out) != good
