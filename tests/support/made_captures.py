"""IPv4 packets, and the capture files that hold them, as a run would have written them."""

import struct

from emulator.record.pcapng import Interface, PcapngWriter

ONE = (Interface("a:x", "a -> b"),)


def udp(source="10.0.0.1", destination="10.0.0.2", ports=(40000, 7000), payload=b"hello", ttl=64, number=1):
    """An IPv4 packet with UDP in it."""
    addresses = [bytes(map(int, address.split("."))) for address in (source, destination)]
    head = struct.pack(">BBHHHBBH", 0x45, 0, 28 + len(payload), number, 0, ttl, 17, ttl) + b"".join(addresses)
    return head + struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload


def capture(path, packets, interfaces=ONE):
    with open(path, "wb") as file:
        writer = PcapngWriter(file.write, comment="seed 1")
        for interface in interfaces:
            writer.interface(interface)
        for number, at_ns, data, comment in packets:
            writer.packet(number, at_ns, data, comment=comment)
        writer.statistics(0, 0, 1, len(packets), 0)
    return path
