"""Joining a Ray cluster, its machines, and actors on them.

Invariant: a wrong address or token is refused in words within seconds. Ray itself tries for 20 s, and gives no reason.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from emulator.model.errors import PlatformError

CHECK_S = 3.0
READY_S = 10.0  # for an actor: other work may hold its processors
ANSWER_S = 30.0  # for one that is ready
CLIENT = "ray://"  # before the address of a head's port for clients, which are no machines of the cluster
NOT_INSTALLED = "Ray is not installed; pip install 'skyloom[cluster]'"
CURRENT = Path("/tmp/ray/ray_current_cluster")  # where Ray notes the cluster of this machine


def join(address: str) -> Any:
    """The module `ray`, connected to the cluster whose head is at `address` ("host:port", "ray://host:port" from
    outside of it, or "auto"). PlatformError."""
    if address == "auto" and find_spec("ray") is None:  # before the advice to call `ray start`
        raise PlatformError(NOT_INSTALLED)
    address = _resolved(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise PlatformError(NOT_INSTALLED) from None
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    try:
        with socket.create_connection((host, int(port)), CHECK_S) as end:
            there = end.getpeername()[0]
    except (OSError, OverflowError) as error:  # the latter: no port
        raise PlatformError(f"nothing answers at {address} ({error}); is that the head of the Ray cluster?") from None
    closed = os.environ.get("RAY_AUTH_MODE") == "token" or os.environ.get("RAY_USE_TLS") == "1"
    if not closed and not ip_address(there).is_loopback:
        raise PlatformError(
            f"the Ray cluster at {address} lets anybody run code; set RAY_AUTH_MODE=token (or RAY_USE_TLS=1) where "
            "`ray start` runs and here"
        )
    try:
        if address.startswith(CLIENT):
            _ask_client_port(f"{host}:{port}")
        else:
            ray._raylet.GcsClient(address=address).get_all_node_info(timeout=CHECK_S)
        for again in (True, False):
            try:
                ray.init(address=address, log_to_driver=False, logging_level="error")
                break
            except ConnectionAbortedError:  # a busy head did not start our server of clients in Ray's 30 s
                if not again:
                    raise
    except Exception as error:  # Ray's own kinds, RuntimeError for another version
        raise PlatformError(f"the Ray cluster at {address} refuses: {first_line(error)}") from None
    return ray


def _ask_client_port(address: str) -> None:
    """Whether a port for clients lets us in. ConnectionError."""
    import grpc
    from ray._private.grpc_utils import init_grpc_channel
    from ray.core.generated.ray_client_pb2 import ClusterInfoRequest, ClusterInfoType
    from ray.core.generated.ray_client_pb2_grpc import RayletDriverStub

    channel = init_grpc_channel(address)
    try:
        RayletDriverStub(channel).ClusterInfo(ClusterInfoRequest(type=ClusterInfoType.PING), timeout=CHECK_S)
    except grpc.RpcError as error:
        hint = "; is that its port for clients?" if error.code() == grpc.StatusCode.UNIMPLEMENTED else ""
        raise ConnectionError(f"{error.details()}{hint}") from None
    finally:
        channel.close()


def first_line(error: Exception) -> str:
    """What Ray says without its own traces, which follow, or come before the reason."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return lines[0] if len(lines) == 1 or not lines[0].endswith(":") else f"{lines[0]} {lines[-1]}"


def answers(ray: Any, asked: list[Any]) -> list[Any]:
    """What actors answer. PlatformError where one says nothing for ANSWER_S: its machine may be gone."""
    try:
        found: list[Any] = ray.get(asked, timeout=ANSWER_S)
    except ray.exceptions.GetTimeoutError:
        raise PlatformError(f"a machine of the Ray cluster has not answered within {ANSWER_S:g} s") from None
    return found


def _resolved(address: str) -> str:
    if address == "auto":
        with suppress(OSError):
            address = os.environ.get("RAY_ADDRESS") or CURRENT.read_text().strip()
    host, colon, port = address.removeprefix(CLIENT).rpartition(":")
    if not colon or not port.isdecimal() or "/" in host:
        raise PlatformError(
            f"no Ray cluster {address!r}; expected host:port of its head, such as head:6379, ray://head:10001 "
            "from outside of the cluster, or `auto` on a machine where `ray start` has run"
        )
    return address


def machines_of(ray: Any) -> list[dict[str, Any]]:
    """The machines that have processors, in the order of their addresses, as Ray describes them. PlatformError."""
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    if not nodes:
        raise PlatformError("the Ray cluster has no machine with processors; expected one at least")
    return sorted(nodes, key=lambda node: ip_address(node["NodeManagerAddress"]))


def name_of(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def actors_on(ray: Any, kind: type, nodes: list[dict[str, Any]], idle: bool = False, calls: int = 1) -> list[Any]:
    """An actor of `kind`, which has a method `ready`, on each machine; it reserves all processors unless `idle`, and
    serves so many calls at a time. PlatformError where a machine has no processors to give."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    remote = ray.remote(kind)
    actors = [
        remote.options(
            num_cpus=0 if idle else node["Resources"]["CPU"], max_restarts=0, max_task_retries=0,
            max_concurrency=calls,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        ).remote()
        for node in nodes
    ]  # fmt: skip
    ready = [actor.ready.remote() for actor in actors]
    done, _ = ray.wait(ready, num_returns=len(ready), timeout=READY_S)
    if len(done) < len(ready):
        late = next(node for node, each in zip(nodes, ready, strict=True) if each not in done)
        raise PlatformError(
            f"{name_of(late)} has not given its {late['Resources']['CPU']:g} processors within {READY_S:g} s; other "
            "work of the Ray cluster may hold them"
        )
    return actors
