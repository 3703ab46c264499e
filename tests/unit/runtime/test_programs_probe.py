"""Why a readiness probe fails, in words, against real servers and commands of this machine."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from emulator.runtime.programs.probe import command_failure, http_failure, tcp_failure


@pytest.mark.parametrize(
    ("command", "failure"),
    [
        (("true",), ""),
        (("sh", "-c", "echo first; echo; echo last >&2; echo; exit 3"), "sh exited with status 3: last"),
        (("false",), "false exited with status 1"),
        (("sh", "-c", "kill -9 $$"), "sh exited with status -9"),
        (("no-such-command",), "no-such-command: No such file or directory"),
        (("sh", "-c", "sleep 60 & exit 1"), "sh exited with status 1"),  # what it leaves holds no pipe
    ],
)
def test_a_command_fails_with_its_last_line(command: tuple[str, ...], failure: str) -> None:
    assert asyncio.run(asyncio.wait_for(command_failure(command), 10)) == failure


def test_a_closed_port_fails_with_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert asyncio.run(tcp_failure(("127.0.0.1:1", address))) == ""
    assert asyncio.run(tcp_failure((address,))) == f"{address}: Connection refused"


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n", ""),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "status 503"),
        (b"-ERR unknown command\r\n", "-ERR unknown command"),
        (b"", "Remote end closed connection without response"),
    ],
)
def test_an_answer_that_is_none_fails_with_what_came(answer: bytes, failure: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert http_failure(url).strip() == (f"{url}: {failure}" if failure else "")
        thread.join()
