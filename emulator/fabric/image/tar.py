"""Tar archives of people we do not know: their entries, with bounds on bytes, on headers and on what a damage costs.

Python's tarfile reads the headers. It takes a damaged header for the end of the archive, follows sizes below zero
backwards, and reads a header of any length into memory; the stream that it reads from here puts an end to all three.

Invariant: an archive ends in the order of its bytes, either read to its end or with an ImageError.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from emulator.fabric.image.errors import ImageError

HEADER_BYTES = 1 << 20  # of all headers before one entry: long names, PAX records, sparse maps
CHUNK_BYTES = 1 << 18


class TarStream:
    """What tarfile reads from: forwards only, counted and, where asked, hashed.

    `left` is the number of bytes that may still be read, None for any number. With `skips`, content that nobody takes
    is not read at all.
    """

    def __init__(
        self, file: BinaryIO, where: str, left: int | None = None, *, hashed: bool = False, skips: bool = False
    ) -> None:
        self.where = where
        self.left = left
        self.header_left = HEADER_BYTES
        self.last = b""  # the last block that was read: tells an end from a damage
        self._file = file
        self._skips = skips
        self._at = 0
        self._hash = hashlib.sha256() if hashed else None

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        """For tarfile: bytes of headers."""
        if not 0 <= size <= self.header_left:
            raise ImageError(
                self.where, f"headers of more than {HEADER_BYTES:,} bytes", "shorter names and PAX records"
            )
        self.header_left -= size
        self.last = b"".join(self._chunks(size))
        return self.last

    def seek(self, offset: int, whence: int = 0) -> int:
        """For tarfile: past the content of an entry."""
        if whence or offset < self._at:
            raise ImageError(self.where, "a header that leads backwards", "a tar archive that is not damaged")
        if self._skips:
            self._at = self._file.seek(offset)
        else:
            for _ in self._chunks(offset - self._at):
                pass
        return self._at

    def content(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes, in pieces."""
        end = self._at + size
        yield from self._chunks(size)
        if self._at != end:
            raise ImageError(self.where, "an end in the middle of a file", "a whole archive; it is cut off")

    def rest(self) -> str:
        """Read to the end; the SHA-256 of the whole stream, in hexadecimal digits."""
        assert self._hash is not None
        while any(True for _ in self._chunks(CHUNK_BYTES)):
            pass
        return self._hash.hexdigest()

    def _chunks(self, size: int) -> Iterator[bytes]:
        while size > 0:
            try:
                data = self._file.read(min(size, CHUNK_BYTES))
            except Exception as error:  # each decompressor has a class of its own for damage
                raise ImageError(self.where, f"damaged content ({error})", "an archive that is whole") from None
            if not data:
                return
            size -= len(data)
            self._at += len(data)
            if self.left is not None:
                self.left -= len(data)
                if self.left < 0:
                    raise ImageError(self.where, "more bytes than an image may have", "a smaller image; see the bounds")
            if self._hash:
                self._hash.update(data)
            yield data


def entries(stream: TarStream) -> Iterator[tarfile.TarInfo]:
    """The entries in order; their content, if wanted, is to be taken from the stream before the next entry."""
    archive: tarfile.TarFile | None = None
    while True:
        stream.header_left = HEADER_BYTES
        try:
            if archive is None:
                archive = tarfile.TarFile(fileobj=stream, encoding="utf-8", errors="surrogateescape")  # type: ignore[arg-type]
            entry = archive.next()
        except (tarfile.TarError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            words = str(error) or type(error).__name__
            raise ImageError(
                stream.where, f"no tar archive, or a damaged one ({words})", "a whole tar archive"
            ) from None
        archive.members = []  # type: ignore[attr-defined] # they would pile up
        if entry is None:
            if stream.last.strip(b"\0"):
                raise ImageError(stream.where, f"a damaged header at byte {archive.offset:,}", "a whole tar archive")
            return
        yield entry
