"""A folder that is written as if it were the root of a file system.

Invariant: no call makes, reads or removes anything outside the folder. Every step of a name is opened relative to the
folder before it and never through a symbolic link; links are read and followed here, an absolute one from the folder,
and `..` of the folder is the folder itself, as in a chroot.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

DEPTH = 128  # folders in each other; bounds descriptors and the recursion of whoever removes the tree
LINKS = 40  # symbolic links in one name, as in Linux
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Name = Sequence[str]  # the parts of a name below the root; no part is empty, "." or ".."


class Tree:
    """The tree below `folder`; at most `room` files and folders are made in it. Calls raise OSError."""

    def __init__(self, folder: Path, room: int = 0) -> None:
        self._root = os.open(folder, _FOLDER)
        self._room = room

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._root)

    @contextmanager
    def folder(self, name: Name, *, make: bool = False, follow: bool = True) -> Iterator[int]:
        """A descriptor of the folder `name`; `make` makes what is missing, without `follow` a link is no folder."""
        path = [self._root]
        steps = list(reversed(name))
        links = 0
        try:
            while steps:
                step = steps.pop()
                if step in ("", "."):
                    continue
                if step == "..":
                    if len(path) > 1:
                        os.close(path.pop())
                    continue
                if len(path) > DEPTH:
                    raise OSError(errno.ENAMETOOLONG, f"more than {DEPTH} folders in each other")
                try:
                    path.append(os.open(step, _FOLDER, dir_fd=path[-1]))
                except FileNotFoundError:
                    if not make:
                        raise
                    path.append(self._make_folder(step, path[-1]))
                except OSError as error:
                    if error.errno not in (errno.ELOOP, errno.ENOTDIR) or not follow:
                        raise
                    target = _link_target(step, path[-1])
                    links += 1
                    if links > LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
                    if target.startswith("/"):
                        _close(path[1:])
                        del path[1:]
                    steps.extend(reversed(target.split("/")))
            yield path[-1]
        finally:
            _close(path[1:])

    @contextmanager
    def make_folder(self, name: Name) -> Iterator[int]:
        """The folder `name`, made where it is none; anything else that has the name is removed."""
        if not name:
            yield self._root
            return
        with self.folder(name[:-1], make=True) as parent:
            try:
                made = os.open(name[-1], _FOLDER, dir_fd=parent)
            except OSError:
                _remove(name[-1], parent)
                made = self._make_folder(name[-1], parent)
            try:
                yield made
            finally:
                os.close(made)

    @contextmanager
    def make_file(self, name: Name) -> Iterator[int]:
        """A descriptor to write the new file `name` with."""
        with self._place(name) as parent:
            made = os.open(name[-1], _NEW_FILE, 0o600, dir_fd=parent)
            try:
                yield made
            finally:
                os.close(made)

    def make_symlink(self, name: Name, target: str) -> None:
        """A symbolic link; its target may be any text, and means what it means in this root."""
        with self._place(name) as parent:
            os.symlink(target, name[-1], dir_fd=parent)

    def make_hard_link(self, name: Name, target: Name) -> None:
        """Another name of the file `target`, or of the symbolic link `target` itself."""
        if not target:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with self.folder(target[:-1]) as source, self._place(name) as parent:
            os.link(target[-1], name[-1], src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)

    def make_fifo(self, name: Name, mode: int) -> None:
        with self._place(name) as parent:
            os.mkfifo(name[-1], 0o600, dir_fd=parent)
            os.chmod(name[-1], mode, dir_fd=parent)

    def remove(self, name: Name) -> None:
        """Remove what has the name, with everything below it; no name of a folder on the way is a link."""
        try:
            with self.folder(name[:-1], follow=False) as parent:
                _remove(name[-1], parent)
        except (FileNotFoundError, NotADirectoryError):
            pass

    def clear(self, name: Name) -> None:
        """Remove everything below the folder `name`; no name of a folder on the way is a link."""
        try:
            with self.folder(name, follow=False) as folder:
                for below in os.listdir(folder):  # noqa: PTH208 - by descriptor
                    _remove(below, folder)
        except (FileNotFoundError, NotADirectoryError):
            pass

    def open_file(self, name: Name) -> io.BufferedReader:
        """The regular file `name` to read; links are followed below the root."""
        for _ in range(LINKS):
            with self.folder(name[:-1]) as parent:
                try:
                    file = open(os.open(name[-1], _READ_FILE, dir_fd=parent), "rb")  # noqa: SIM115 - the caller's
                except OSError as error:
                    if error.errno != errno.ELOOP:
                        raise
                    target = _link_target(name[-1], parent)
                else:
                    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                        file.close()
                        raise OSError(errno.EINVAL, "no regular file")
                    return file
            name = [*([] if target.startswith("/") else name[:-1]), *target.strip("/").split("/")]
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))

    @contextmanager
    def _place(self, name: Name) -> Iterator[int]:
        """The parent of `name`, in which nothing has the name any more."""
        if not name:
            raise IsADirectoryError(errno.EISDIR, "the root itself")
        self._count()
        with self.folder(name[:-1], make=True) as parent:
            _remove(name[-1], parent)
            yield parent

    def _make_folder(self, step: str, parent: int) -> int:
        self._count()
        os.mkdir(step, 0o700, dir_fd=parent)
        made = os.open(step, _FOLDER, dir_fd=parent)
        os.fchmod(made, 0o755)  # whatever the umask is
        return made

    def _count(self) -> None:
        if self._room == 0:
            raise OSError(errno.E2BIG, "more files and folders than an image may have")
        self._room -= 1


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _link_target(step: str, parent: int) -> str:
    try:
        return os.readlink(step, dir_fd=parent)
    except OSError:
        raise NotADirectoryError(errno.ENOTDIR, f"{step} is no folder") from None


def _remove(name: str, parent: int) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except IsADirectoryError:
        shutil.rmtree(name, dir_fd=parent)
    except FileNotFoundError:
        pass
