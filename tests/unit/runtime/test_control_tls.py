"""Connections between machines: who holds another identity gets nowhere, and nobody keeps others out."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from emulator.runtime.control import entrance, tls
from emulator.runtime.control.cluster_messages import Beat, HostFailed
from emulator.runtime.control.entrance import Entrance
from emulator.runtime.control.tls import TlsConnection, context, new_identity

IDENTITY = new_identity()


class Door:
    """An entrance on this machine, and connections to it."""

    def __init__(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = listener.getsockname()
        self.entrance = Entrance(listener, context(IDENTITY, listens=True))
        self.ends: list[socket.socket] = []

    def stranger(self) -> socket.socket:
        self.ends.append(socket.create_connection(self.address))
        self.ends[-1].settimeout(5.0)
        return self.ends[-1]

    def caller(self, identity: bytes = IDENTITY) -> TlsConnection:
        return TlsConnection(self.stranger(), context(identity, listens=False))

    def wait(self) -> tuple[TlsConnection, Beat]:
        """The next who arrives."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for arrived in self.entrance.arrivals(Beat, 0.05):
                return arrived
        raise TimeoutError


@pytest.fixture
def door() -> Iterator[Door]:
    found = Door()
    yield found
    found.entrance.close()
    for end in found.ends:
        end.close()


def call(connection: TlsConnection) -> None:
    connection.shake_hands(5.0)
    connection.say(Beat(7))


def test_both_sides_know_each_other_and_speak_tls_1_3(door: Door) -> None:
    caller = door.caller()
    with ThreadPoolExecutor(1) as threads:
        called = threads.submit(call, caller)
        there, message = door.wait()
        called.result()
    assert message == Beat(7)
    assert there._tls.version() == caller._tls.version() == "TLSv1.3"
    assert there._tls.getpeercert(True) == caller._tls.getpeercert(True)
    there.close()


def test_a_caller_learns_that_somebody_else_answers(door: Door) -> None:
    with ThreadPoolExecutor(1) as threads:
        called = threads.submit(call, door.caller(new_identity()))
        with pytest.raises(StopIteration):
            next(iter(door.entrance.arrivals(Beat, 5.0)))
        while not called.done():
            assert not list(door.entrance.arrivals(Beat, 0.05))
        with pytest.raises(ssl.SSLCertVerificationError):
            called.result()
    assert door.entrance.strangers == 1


@pytest.mark.parametrize("lacks", ["certificate", "version"])
def test_who_does_not_show_the_identity_is_not_heard(door: Door, lacks: str) -> None:
    found = context(IDENTITY, listens=False)
    if lacks == "version":
        found.minimum_version, found.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    else:
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        found.check_hostname, found.verify_mode = False, ssl.CERT_NONE
    caller = TlsConnection(door.stranger(), found)

    def talk() -> None:
        try:
            call(caller)
        except ssl.SSLError:
            pass  # told at once

    with ThreadPoolExecutor(1) as threads:
        called = threads.submit(talk)
        while not (called.done() and door.entrance.strangers):
            assert not list(door.entrance.arrivals(Beat, 0.05))
    assert caller.receive_within(5.0) is None


def test_a_certificate_that_the_identity_has_signed_is_another_identity(door: Door) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    issuer = x509.load_pem_x509_certificate(IDENTITY)
    issuer_key = serialization.load_pem_private_key(IDENTITY[IDENTITY.index(b"-----BEGIN PRIVATE") :], None)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "other")])
    builder = x509.CertificateBuilder(issuer.subject, name, key.public_key(), 7, tls.FIRST, tls.LAST)
    signed = builder.sign(issuer_key, hashes.SHA256())  # type: ignore[arg-type]
    pem = serialization.Encoding.PEM
    other = signed.public_bytes(pem) + key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with ThreadPoolExecutor(1) as threads:
        forged = context(other, listens=False)
        forged.load_verify_locations(cadata=IDENTITY[: IDENTITY.index(b"-----BEGIN PRIVATE")].decode())
        called = threads.submit(call, TlsConnection(door.stranger(), forged))
        while not (called.done() and door.entrance.strangers):
            assert not list(door.entrance.arrivals(Beat, 0.05))


def test_dates_of_machines_do_not_matter() -> None:
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(IDENTITY)
    assert certificate.not_valid_before_utc.replace(tzinfo=None) == datetime(2000, 1, 1)
    assert certificate.not_valid_after_utc.year == 9999


def test_a_crowd_of_strangers_keeps_nobody_out(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "MOST_WAITING", 8)
    crowd = [door.stranger() for _ in range(20)]
    caller = door.caller()
    with ThreadPoolExecutor(1) as threads:
        called = threads.submit(call, caller)
        there, _ = door.wait()
        called.result()
    assert door.entrance.strangers >= 12
    assert crowd[0].recv(1) == b"", "the first had to go"
    there.close()


def test_what_a_stranger_says_is_not_kept(door: Door) -> None:
    loud = door.stranger()
    loud.sendall(bytes(100_000))
    while not door.entrance.strangers:
        assert not list(door.entrance.arrivals(Beat, 0.05))


def test_another_first_message_is_that_of_a_stranger(door: Door) -> None:
    caller = door.caller()

    def talk() -> None:
        caller.shake_hands(5.0)
        caller.say(HostFailed("hello", 1))

    with ThreadPoolExecutor(1) as threads:
        called = threads.submit(talk)
        while not door.entrance.strangers:
            assert not list(door.entrance.arrivals(Beat, 0.05))
        called.result()


def test_a_connection_goes_on_in_a_child(door: Door) -> None:
    caller = door.caller()
    with ThreadPoolExecutor(1) as threads:
        called = threads.submit(call, caller)
        there, _ = door.wait()
        called.result()
    pid = os.fork()
    if pid == 0:
        for number in range(100):
            caller.say(Beat(number))
        os._exit(0)
    os.waitpid(pid, 0)
    assert [there.receive_within(5.0).message((Beat,)).step for _ in range(100)] == list(range(100))  # type: ignore[union-attr]
    there.close()
