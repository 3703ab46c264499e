"""The agent: the process that holds a run's connection to Ray, and starts a runner on each machine.

Invariant: what it has started ends when its line ends.
"""

from __future__ import annotations

import tarfile
import tempfile
import zlib
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgpack

from emulator.model.errors import PlatformError
from emulator.runtime.cluster.archives import unpack
from emulator.runtime.cluster.ray_joining import actors_on, answers, first_line, join, machines_of, name_of
from emulator.runtime.cluster.ray_runner import Runner
from emulator.runtime.cluster.runner_process import packed_directory

POLL_S = 0.1
LAST_S = 5.0  # for a runner to end, and for each piece of its files


def serve(line: Connection, address: str, directory: str | None, most: int | None) -> None:
    """Join the cluster, start what is asked for, and end it with the line. `directory` goes to all machines."""
    try:
        files = packed_directory(directory) if directory is not None else b""
        ray = join(address)
        try:
            _run(ray, line, files, most)
        finally:
            ray.shutdown()
    except Exception as error:
        words = str(error) if isinstance(error, PlatformError) else f"{type(error).__name__}: {error}"
        with suppress(OSError):
            line.send_bytes(msgpack.packb({"error": words}))


def _run(ray: Any, line: Connection, files: bytes, most: int | None) -> None:
    nodes = machines_of(ray)
    if most is not None and most > len(nodes):
        raise PlatformError(f"--hosts {most}, and the Ray cluster has {len(nodes)} machines; expected at most as many")
    nodes = nodes[:most]
    names = [name_of(node) for node in nodes]
    cores = [node["Resources"]["CPU"] for node in nodes]
    line.send_bytes(msgpack.packb({"machines": names, "cores": cores, "here": ray.util.get_node_ip_address()}))
    actors: list[Any] = []
    try:
        common = msgpack.unpackb(line.recv_bytes())
        actors = actors_on(ray, Runner, nodes)
        beside = ray.put(files)
        tasks = [
            msgpack.packb(common | {"host": host, "address": node["NodeManagerAddress"]})
            for host, node in enumerate(nodes)
        ]
        answers(ray, [actor.prepare.remote(task, beside) for actor, task in zip(actors, tasks, strict=True)])
        playing = {actor.play.remote(): host for host, actor in enumerate(actors)}
        line.send_bytes(msgpack.packb({"started": True}))
        _follow(ray, line, playing, actors, Path(common["folder"]))
    except (EOFError, OSError):
        pass  # the run has ended
    finally:
        for actor in actors:
            ray.kill(actor)


def _follow(ray: Any, line: Connection, playing: dict[Any, int], actors: list[Any], folder: Path) -> None:
    """Tell how runners end, and put their files into the run folder, until the run lets go. EOFError where it ends."""
    releasing = False
    while playing or not releasing:
        done, _ = ray.wait(list(playing), timeout=LAST_S if releasing else POLL_S) if playing else ([], [])
        for each in done:
            host = playing.pop(each)
            lost = _fetch(ray, line, each, actors[host], folder)
            line.send_bytes(msgpack.packb({"ended": host, "how": lost or _how(ray, actors[host]), "lost": lost}))
        if releasing and not done:
            break
        if not releasing and line.poll(0 if playing else POLL_S):
            silent = msgpack.unpackb(line.recv_bytes())["silent"]  # the run asks for its release
            releasing = True
            for each in [each for each, host in playing.items() if host in silent]:
                _tell_lost(line, playing.pop(each), "it does not answer")
    for host in playing.values():
        _tell_lost(line, host, f"it did not end within {LAST_S:g} s")
    line.send_bytes(msgpack.packb({"released": True}))


def _tell_lost(line: Connection, host: int, why: str) -> None:
    line.send_bytes(msgpack.packb({"ended": host, "how": why, "lost": why}))


def _fetch(ray: Any, line: Connection, played: Any, actor: Any, folder: Path) -> str:
    """Put the files of a runner that has played into the run folder; says why they did not come, or "". Each piece is
    told, so that nobody takes a long archive for silence."""
    try:
        ray.get(played)
        with tempfile.TemporaryFile(dir=folder) as archive:
            while piece := ray.get(actor.piece.remote(), timeout=LAST_S):
                archive.write(piece)
                line.send_bytes(msgpack.packb({"piece": len(piece)}))
            archive.seek(0)
            unpack(archive, folder)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        return f"{_how(ray, actor)} ({first_line(error)})"
    except OSError as error:  # of the disk here, or of the line, which the next word finds out
        return str(error)
    except Exception as error:  # Ray's: the actor or its machine is gone
        return first_line(error)
    return ""


def _how(ray: Any, actor: Any) -> str:
    """How a runner ended, in words."""
    try:
        return str(ray.get(actor.how.remote(), timeout=LAST_S))
    except Exception as error:
        return first_line(error)
