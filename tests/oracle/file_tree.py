"""A model of unpacking: layers of entries become a tree of plain values, or `Refused`.

It knows the rules of the image specification and of a chroot, and no file system: names are followed in the tree.
"""

import tarfile


class Refused(Exception):
    """The layers cannot be unpacked."""


class Folder:
    def __init__(self, mode=0o755):
        self.mode, self.below = mode, {}


class Leaf:
    """A file, a symbolic link or a pipe: what `value` tells. Hard links are the same object by two names."""

    def __init__(self, *value):
        self.value = value


LINKS = 40


def unpack(layers):
    """The root folder that the layers make; each layer is a list of (TarInfo, content)."""
    root = Folder()
    for layer in layers:
        names = [_parts(info.name) for info, _ in layer]
        for name in names:
            if name and name[-1].startswith(".wh."):
                _check_whiteout(name[-1])
        for name in names:
            if name and name[-1].startswith(".wh."):
                _apply_whiteout(root, name)
        for (info, content), name in zip(layer, names, strict=True):
            if not (name and name[-1].startswith(".wh.")):
                _put(root, info, content, name)
    return root


def described(root):
    """Names with kind, content or target, and mode, as `tree_of` describes a folder; and sets of hard links."""
    found, uses = {}, {}

    def visit(folder, above):
        for name, node in folder.below.items():
            path = "/".join([*above, name])
            if isinstance(node, Folder):
                found[path] = ("folder", node.mode)
                visit(node, [*above, name])
            else:
                found[path] = node.value
                uses.setdefault(id(node), set()).add(path)

    visit(root, [])
    return found, sorted(sorted(names) for names in uses.values() if len(names) > 1)


def _parts(name):
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Refused(name)
    return parts


def _check_whiteout(base):
    if base in (".wh.", ".wh..", ".wh..."):
        raise Refused(base)


def _apply_whiteout(root, name):
    folder = root
    for part in name[:-1]:
        folder = folder.below.get(part)
        if not isinstance(folder, Folder):
            return
    if name[-1] == ".wh..wh..opq":
        folder.below.clear()
    else:
        folder.below.pop(name[-1][4:], None)


def _enter(root, parts, make):
    """The folder that a name leads to from the root."""
    path, parts, links = [root], list(parts), 0
    while parts:
        part, *parts = parts
        if part in ("", "."):
            continue
        if part == "..":
            path = path[:-1] or path
            continue
        node = path[-1].below.get(part)
        if node is None and make:
            node = path[-1].below[part] = Folder()
        if isinstance(node, Folder):
            path.append(node)
        elif isinstance(node, Leaf) and node.value[0] == "link":
            links += 1
            target = node.value[1]
            if links > LINKS:
                raise Refused("links")
            path = path[:1] if target.startswith("/") else path
            parts = [*target.split("/"), *parts]
        else:
            raise Refused(part)
    return path[-1]


def _put(root, info, content, name):
    if info.isdir():
        if not name:
            root.mode = info.mode
            return
        above = _enter(root, name[:-1], make=True)
        if not isinstance(above.below.get(name[-1]), Folder):
            above.below[name[-1]] = Folder()
        above.below[name[-1]].mode = info.mode
    elif info.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        pass
    elif not name:
        raise Refused("root")
    elif info.islnk():
        target = _parts(info.linkname)
        if not target:
            raise Refused("root")
        source = _enter(root, target[:-1], make=False)
        above = _enter(root, name[:-1], make=True)
        above.below.pop(name[-1], None)
        if not isinstance(source.below.get(target[-1]), Leaf) or not _within(root, source):
            raise Refused(target)
        above.below[name[-1]] = source.below[target[-1]]
    else:
        above = _enter(root, name[:-1], make=True)
        above.below[name[-1]] = {
            tarfile.REGTYPE: Leaf("file", content, info.mode),
            tarfile.SYMTYPE: Leaf("link", info.linkname),
            tarfile.FIFOTYPE: Leaf("fifo", info.mode),
        }[info.type]


def _within(folder, wanted):
    """Whether a folder is still part of the tree."""
    return folder is wanted or any(_within(one, wanted) for one in folder.below.values() if isinstance(one, Folder))
