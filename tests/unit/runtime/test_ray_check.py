"""What `skyloom cluster check` asks of two machines, without Ray: both ends are on the loopback interface."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from emulator.runtime.cluster import ray_check
from emulator.runtime.cluster.ray_check import Checker

ADDRESS = "127.0.0.1"


def test_probes_and_sizes_are_answered() -> None:
    checker = Checker()
    port = checker.listen(ADDRESS)
    found = checker.probe(ADDRESS, port)
    assert len(found) == ray_check.PROBES
    assert min(rtt_s for rtt_s, _ in found) > 0
    assert max(abs(apart_s) for _, apart_s in found) < 0.5
    assert checker.mtu(ADDRESS, port) == 9000


@pytest.fixture
def narrow() -> Any:
    """A port behind which a machine answers what is not larger than it is told."""
    end, limit = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), [0]
    end.bind((ADDRESS, 0))

    def answer() -> None:
        while True:
            data, asker = end.recvfrom(1 << 16)
            if not data:
                return
            if len(data) <= limit[0]:
                end.sendto(data, asker)

    thread = threading.Thread(target=answer)
    thread.start()
    yield end.getsockname()[1], limit
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
        last.sendto(b"", end.getsockname())
    thread.join()
    end.close()


@pytest.mark.parametrize(("limit_bytes", "mtu"), [(8971, 1500), (1472, 1500), (1471, 1260), (1231, 0)])
def test_the_mtu_is_that_of_the_largest_size_that_comes_back(
    narrow: Any, monkeypatch: pytest.MonkeyPatch, limit_bytes: int, mtu: int
) -> None:
    monkeypatch.setattr(ray_check, "SIZE_S", 0.02)
    port, limit = narrow
    limit[0] = limit_bytes
    assert Checker().mtu(ADDRESS, port) == mtu


def test_a_pair_between_which_no_large_datagram_passes_is_no_pair_for_a_run() -> None:
    found = [(0.001, 0.0)] * 3
    assert ray_check._pair("a", "b", found, 1500)["forbids"] == []
    assert "1,232 bytes" in ray_check._pair("a", "b", found, 0)["forbids"][0]
