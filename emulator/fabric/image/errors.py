"""The one error of this package: an image that cannot be used, and why."""

from __future__ import annotations

from emulator.model.errors import DataError, Stated
from emulator.model.printable import one_line


class ImageError(Stated, DataError):
    """An image is damaged, hostile or of another machine. `where` names the file, and the layer and entry in it."""

    def __init__(self, where: str, found: str, expected: str) -> None:
        super().__init__(one_line(found), expected)
        self.where = one_line(where)
        self.args = (where, found, expected)

    def __str__(self) -> str:
        return f"{self.where}: {self.found}; expected {self.expected}"
