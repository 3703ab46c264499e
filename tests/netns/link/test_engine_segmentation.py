"""The engine's cuts of merged packets against the kernel's segmentation, on real devices."""

import os
import select
import socket
import subprocess
from pathlib import Path

import pytest
from conformance.link.engine_parts import engine
from conformance.link.made_packets import TCP, UDP, make
from fabric_sandbox import in_sandbox, needs_sandbox

from emulator.fabric.kernel.tun import open_port

pytestmark = [pytest.mark.netns, needs_sandbox]
SEGMENT = 1000
DEADLINE_S = 5
ADDRESSES = {4: ("10.1.0.1", "10.2.0.1"), 6: ("fd01::1", "fd02::1")}
PACKETS = [
    (4, TCP, 5000, {"flags": 0xD9, "ecn": True, "identity": 0xFFFD}),  # CWR, ACK, PSH, FIN; identities pass 65535
    (4, TCP, 4001, {"flags": 0x10, "tcp_options": bytes(12), "sequence": 2**32 - 1500}),
    (6, TCP, 5000, {"flags": 0xD9, "ecn": True, "tcp_options": bytes(12)}),
    (6, TCP, 1001, {"flags": 0x18}),
    (4, UDP, 4500, {}),
    (6, UDP, 4001, {}),
]


def router():
    """Two devices with the kernel between them: the first takes merged packets, the second gives single ones."""
    fds = []
    for index, name in enumerate(("near", "far")):
        fds.append(open_port(name, 100 + index))
        for address in (f"10.{index + 1}.0.254/16", f"fd0{index + 1}::fe/64"):
            subprocess.run(["ip", "address", "add", address, "dev", name, "nodad"], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        Path("/proc/sys/net", name).write_text("1")
    return fds


def through(near, far, packets, protocol, count):
    """The first `count` packets of the protocol that come out of the far device after these have been written."""
    for data in packets:
        assert os.write(near, data) == len(data)
    out = []
    while len(out) < count and select.select([far], [], [], DEADLINE_S)[0]:
        data = os.read(far, 70000)
        if (data[19] if data[10] >> 4 == 4 else data[16]) == protocol:
            out.append(data)
    return out


@pytest.mark.parametrize("number", range(len(PACKETS)))
def test_the_kernel_makes_the_same_packets_of_the_whole_and_of_all_cuts_in_a_row(number):
    version, protocol, size, more = PACKETS[number]
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    src, dst = (socket.inet_pton(family, address) for address in ADDRESSES[version])
    payload = (bytes(range(251)) * 20)[:size]
    whole = make(version, protocol, payload, segment=SEGMENT, src=src, dst=dst, **more).data
    count = -(-size // SEGMENT)
    rows = [[engine().segments(whole, 10, first, k) for first in range(0, count, k)] for k in (1, 2, 3, count)]

    def body():
        near, far = router()
        return [through(near, far, row, protocol, count) for row in ([whole], *rows)]

    expected, *others = in_sandbox(body)
    assert len(expected) == count
    assert all(row == expected for row in others)
