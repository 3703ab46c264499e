"""Where the image is that a file calls by its name: at a path, or saved beside the file. There is no registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.model.errors import DataError
from emulator.scenario.importers.draft import Draft
from emulator.scenario.importers.yaml_tree import Item

if TYPE_CHECKING:
    from emulator.fabric.image import Image


def load_image(
    draft: Draft, item: Item | None, key: str, folder: Path, images: Mapping[str, str]
) -> tuple[Image | None, str]:  # fmt: skip
    """The image that a key names, and its path; None and "" where it names none, or one that cannot be used."""
    from emulator.fabric.image import read_image

    if item is None or item.data is None:
        return None, ""
    name = draft.text(item, key)
    path = find_image(name, folder, images)
    if path is None:
        short = name.rpartition("/")[2].partition(":")[0].partition("@")[0] or "image"
        found = f"the image {name[:100]!r}, which is not beside the file (there is no registry here)"
        expected = f"images/{short}.tar, from `docker save {name} -o images/{short}.tar`; or --image {name}=PATH"
        draft.refuse(item.line, key, found, expected[:300])
        return None, ""
    try:
        return read_image(path), str(path)
    except DataError as error:
        found, expected = getattr(error, "found", str(error)), getattr(error, "expected", "an image")
        draft.refuse(item.line, key, f"{path}: {found}", expected)
        return None, ""


def find_image(name: str, folder: Path, images: Mapping[str, str]) -> Path | None:
    """The archive, layout or folder of an image: what `images` says, a path beside the file, or `images/NAME.tar`
    (a folder images/NAME), where NAME is the name with its tag or without, and without its registry."""
    if name in images:
        return Path(images[name]).absolute()
    if "\0" in name or not name or len(name) > 500:
        return None
    return next((path.resolve() for path in _candidates(name, folder) if path.exists()), None)


def _candidates(name: str, folder: Path) -> Iterator[Path]:
    if name.startswith(("/", "./", "../")) or name.endswith(".tar"):
        yield folder / name
        return
    last = name.rpartition("/")[2]
    whole = last.partition("@")[0]
    for each in dict.fromkeys((name.replace("/", "_").replace(":", "_"), whole, whole.replace(":", "-"),
                               whole.replace(":", "_"), whole.partition(":")[0])):  # fmt: skip
        yield folder / "images" / f"{each}.tar"
        yield folder / "images" / each
