"""etcd's HTTP interface (the gRPC gateway of version 3, paths below /v3): one request, one answer, both JSON.

Invariant: whatever a server answers, a method returns what its annotation says or raises EtcdError; nothing waits
longer than `timeout_s`. Source: etcd 3.4, Documentation/dev-guide/api_grpc_gateway.md and rpc.proto.
"""

from __future__ import annotations

import http.client
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 16 << 20  # of an answer


class EtcdError(Exception):
    """A request that was not answered, or not with success."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a member says of its cluster; ids are decimal texts, "0" for no leader."""

    member: str
    leader: str
    term: int

    @property
    def leads(self) -> bool:
        return self.leader == self.member != "0"


class Etcd:
    """A connection to one member, kept open between requests. For one thread."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout_s)

    def put(self, key: str, value: str) -> int:
        """Write a key; returns the revision at which it was written. On return a quorum has it."""
        answer = self._ask("/v3/kv/put", {"key": _encoded(key), "value": _encoded(value)})
        return _number(_found(answer, "header"), "revision")

    def keys(self, prefix: str, local: bool = False) -> list[str]:
        """The keys with a prefix, as of now in the whole cluster (linearizable), or as this member knows (`local`)."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        request = {"key": _encoded(prefix), "range_end": _encoded(end), "keys_only": True, "serializable": local}
        rows = self._ask("/v3/kv/range", request).get("kvs", [])
        try:
            return [b64decode(row["key"]).decode() for row in rows]
        except (TypeError, KeyError, ValueError) as error:
            raise EtcdError(f"a malformed answer: {error!r}") from None

    def status(self) -> Status:
        """Who this member is, and whom it follows."""
        answer = self._ask("/v3/maintenance/status", {})
        member = str(_found(answer, "header").get("member_id", "0"))
        return Status(member, str(answer.get("leader", "0")), _number({"raftTerm": 0, **answer}, "raftTerm"))

    def close(self) -> None:
        self._connection.close()

    def _ask(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            self._connection.request("POST", path, json.dumps(request), {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            body = answer.read(MOST_BYTES)
            document = json.loads(body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()  # the next request opens it again
            raise EtcdError(f"{path}: {type(error).__name__}: {error}") from None
        if answer.status != http.client.OK or not isinstance(document, dict):
            raise EtcdError(f"{path}: status {answer.status}: {body[:200].decode('utf-8', 'replace')}")
        return document


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def _found(answer: dict[str, Any], key: str) -> dict[str, Any]:
    value = answer.get(key)
    if not isinstance(value, dict):
        raise EtcdError(f"a malformed answer: no {key}")
    return value


def _number(table: dict[str, Any], key: str) -> int:
    try:
        return int(table[key])
    except (KeyError, TypeError, ValueError):
        raise EtcdError(f"a malformed answer: no number {key}") from None
