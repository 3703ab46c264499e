"""What the command line and the environment add to a file of another tool."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from emulator.model.errors import UsageError


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """`wan`: a known map, or the path of a file of round trips. `images`: paths of images by name."""

    wan: str | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(wan: str | None, images: Iterable[str]) -> ImportOptions:
        """From the words of a command line, with this process's environment. UsageError: an image without a path."""
        pairs = {}
        for each in images:
            name, equals, path = each.rpartition("=")
            if not (name and equals and path):
                raise UsageError(f"--image {each}: expected NAME=PATH, such as redis:7=images/redis.tar")
            pairs[name] = path
        return ImportOptions(wan, pairs, dict(os.environ))
