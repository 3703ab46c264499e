"""Files and folders of this machine that a file binds into nodes: their text, taken at the start of the run.

Invariant: what a node writes stays in the node; the files of this machine are read, never written. Only text can be
bound, so that the scenario of a run folder holds all that was played; a bind of more than that is refused.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from emulator.model.inputs import read_text
from emulator.scenario.importers.draft import Draft, escaped

MOST_FILE_BYTES = 1_000_000
MOST_FILES = 200  # of a folder, with those below it


def add_bind(
    draft: Draft, nodes: Sequence[str], path: Path, target: str, private: list[Any], has_image: bool, line: int,
    key: str,
) -> None:  # fmt: skip
    """Bind a file or a folder at `target`; the folders that the nodes need of their own go to `private`."""
    if path.is_dir():
        private.append({"path": target, "from": "image"} if has_image else target)
        add_folder(draft, nodes, path, target, line, key)
    elif path.is_file():
        parent = str(PurePosixPath(target).parent)
        known = {each["path"] if isinstance(each, dict) else each for each in private}
        if not has_image and not any(parent == each or parent.startswith(f"{each}/") for each in {*known, "/tmp"}):
            private.append({"path": parent, "from": "host"})
        add_file(draft, nodes, path, target, line, key)
    else:
        draft.refuse(line, key, repr(str(path)[:100]), "a file or a folder that is there")


def add_file(draft: Draft, nodes: Sequence[str], path: Path, target: str, line: int, key: str) -> None:
    """Put a file of this machine at `target` on the nodes, with its mode."""
    try:
        text = read_text(path, MOST_FILE_BYTES)
        mode = path.stat().st_mode & 0o777
    except UnicodeDecodeError:
        draft.refuse(line, key, f"{path}, which is not text (UTF-8)", "a text file; put others into an image")
        return
    except OSError as error:
        draft.refuse(line, key, f"{path}: {error.strerror}", f"a text file of at most {MOST_FILE_BYTES:,} bytes")
        return
    values = {"nodes": list(nodes), "path": target, "content": escaped(text), "mode": f"0{mode:o}"}
    draft.put("file", {name: (value, line) for name, value in values.items()}, line)


def add_folder(draft: Draft, nodes: Sequence[str], folder: Path, target: str, line: int, key: str) -> None:
    """Put the files of a folder, and those below it, at `target`, which the nodes have as a private folder."""
    files: list[Path] = []
    for at, folders, names in os.walk(folder):
        folders.sort()
        files += [Path(at) / name for name in sorted(names)]
        if len(files) > MOST_FILES:
            draft.refuse(line, key, f"{folder} with more than {MOST_FILES} files", "fewer, or an image that has them")
            return
    for file in files:
        if file.is_file():
            add_file(draft, nodes, file, f"{target.rstrip('/')}/{file.relative_to(folder)}", line, key)
        else:
            draft.refuse(line, key, f"{file}, which is no plain file", "text files; put others into an image")
