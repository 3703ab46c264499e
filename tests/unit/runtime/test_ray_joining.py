"""What a run on Ray does without Ray: it refuses, in words."""

from __future__ import annotations

import socket
from importlib.util import find_spec

import pytest

from emulator.model.errors import PlatformError
from emulator.runtime.cluster.ray_joining import first_line, join

with_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'skyloom[cluster]'")


@pytest.mark.parametrize("address", ["head", "http://head:8265", "ray://head", "head:http", ":"])
def test_what_is_no_address_of_a_head_is_refused(address):
    with pytest.raises(PlatformError, match="expected host:port of its head"):
        join(address)


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
@pytest.mark.parametrize("address", ["localhost:6379", "auto"])
def test_without_ray_the_extra_is_named(address):
    with pytest.raises(PlatformError, match=r"pip install 'skyloom\[cluster\]'"):
        join(address)


@with_ray
@pytest.mark.parametrize("port", [None, 99_999])
def test_where_nothing_answers_is_said_at_once(port):
    if port is None:  # one that was free a moment ago
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
    with pytest.raises(PlatformError, match=f"nothing answers at 127.0.0.1:{port}"):
        join(f"127.0.0.1:{port}")


@pytest.mark.parametrize(("error", "line"), [(ValueError("a\nb"), "a"), (ValueError(" \n"), "ValueError")])
def test_an_error_of_ray_is_told_in_one_line(error, line):
    assert first_line(error) == line
