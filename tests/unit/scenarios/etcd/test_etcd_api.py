"""etcd's HTTP interface against a server in this process: what it answers, and what a client makes of nonsense."""

from __future__ import annotations

import json
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scenarios.etcd.api import Etcd, EtcdError


class Member(ThreadingHTTPServer):
    """Answers with what the test laid down, by path; keeps what was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Member

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, json.loads(body)))
        status, answer = self.server.answers[self.path]
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def member() -> Iterator[Member]:
    with Member() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def etcd(member: Member) -> Iterator[Etcd]:
    client = Etcd("127.0.0.1", member.server_address[1], timeout_s=5)
    yield client
    client.close()


def says(member: Member, path: str, answer: object, status: int = 200) -> None:
    member.answers[path] = (status, answer if isinstance(answer, bytes) else json.dumps(answer).encode())


def test_a_put_returns_its_revision(member: Member, etcd: Etcd) -> None:
    says(member, "/v3/kv/put", {"header": {"revision": "17"}})
    assert etcd.put("key/a", "1") == 17
    path, request = member.asked[-1]
    assert (path, b64decode(request["key"]), b64decode(request["value"])) == ("/v3/kv/put", b"key/a", b"1")


def test_keys_are_those_with_the_prefix(member: Member, etcd: Etcd) -> None:
    says(member, "/v3/kv/range", {"kvs": [{"key": b64encode(b"key/a").decode()}]})
    assert etcd.keys("key/") == ["key/a"]
    request = member.asked[-1][1]
    assert (b64decode(request["range_end"]), request["serializable"]) == (b"key0", False)
    says(member, "/v3/kv/range", {"header": {}})
    assert etcd.keys("none", local=True) == []


def test_a_member_knows_its_leader(member: Member, etcd: Etcd) -> None:
    says(member, "/v3/maintenance/status", {"header": {"member_id": "7"}, "leader": "7", "raftTerm": "3"})
    assert (etcd.status().leads, etcd.status().term) == (True, 3)
    says(member, "/v3/maintenance/status", {"header": {"member_id": "0"}})
    assert not etcd.status().leads


def test_a_refusal_is_an_error_and_the_next_request_works(member: Member, etcd: Etcd) -> None:
    says(member, "/v3/kv/put", {"error": "no leader"}, 503)
    with pytest.raises(EtcdError, match="503"):
        etcd.put("a", "b")
    says(member, "/v3/kv/put", {"header": {"revision": "1"}})
    assert etcd.put("a", "b") == 1


def test_nobody_there_is_an_error() -> None:
    with pytest.raises(EtcdError, match="ConnectionRefused"):
        Etcd("127.0.0.1", 1, timeout_s=1).status()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["header", "kvs", "key", "revision", "member_id", "leader", "raftTerm"]), inner, max_size=4
    ),
    max_leaves=8,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=30))
def test_no_answer_breaks_the_client(member: Member, etcd: Etcd, answer: bytes) -> None:
    for path in ("/v3/kv/put", "/v3/kv/range", "/v3/maintenance/status"):
        says(member, path, answer)
    for request in (lambda: etcd.put("a", "b"), lambda: etcd.keys("a"), etcd.status):
        try:
            request()
        except EtcdError:
            pass
