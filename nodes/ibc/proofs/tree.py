"""A persistent AVL tree of keys and values, whose shape is that of cosmos/iavl after the same changes.

Invariant: a node never changes once it is made, so that an old root is an old state. Keys and values lie in leaves; the
key of an inner node is the smallest one of its right half. A change makes new nodes on its path, with its version.
"""

from __future__ import annotations

from collections.abc import Iterator


class Node:
    """A leaf (`height` 0) with its value, or an inner node with two halves."""

    __slots__ = ("digest", "height", "key", "left", "right", "size", "value", "version")

    left: Node
    right: Node

    def __init__(self, key: bytes, version: int, value: bytes = b"") -> None:
        self.key = key
        self.version = version  # in which it was made
        self.value = value
        self.height = 0
        self.size = 1  # leaves below it, or itself
        self.digest: bytes | None = None  # its hash, once somebody asked for it


def _inner(key: bytes, version: int, left: Node, right: Node) -> Node:
    node = Node(key, version)
    node.left, node.right = left, right
    node.height = 1 + (left.height if left.height > right.height else right.height)
    node.size = left.size + right.size
    return node


def with_key(node: Node | None, key: bytes, value: bytes, version: int) -> Node:
    """The root of a tree in which `key` has `value`."""
    if node is None:
        return Node(key, version, value)
    if node.height:
        if key < node.key:
            left, right = with_key(node.left, key, value, version), node.right
        else:
            left, right = node.left, with_key(node.right, key, value, version)
        return _balanced(node.key, version, left, right)
    leaf = Node(key, version, value)
    if key == node.key:
        return leaf
    return _inner(node.key, version, leaf, node) if key < node.key else _inner(key, version, node, leaf)


def without_key(node: Node, key: bytes, version: int) -> Node | None:
    """The root of a tree without `key`, which is in this one; None where nothing is left."""
    return _without(node, key, version)[0]


def _without(node: Node, key: bytes, version: int) -> tuple[Node | None, bytes | None]:
    """Also the smallest key that is left, where the smallest was removed: an inner node above has that one's name."""
    if not node.height:
        return None, None
    if key < node.key:
        left, smallest = _without(node.left, key, version)
        if left is None:
            return node.right, node.key
        return _balanced(node.key, version, left, node.right), smallest
    right, smallest = _without(node.right, key, version)
    if right is None:
        return node.left, None
    return _balanced(smallest or node.key, version, node.left, right), None


def _balanced(key: bytes, version: int, left: Node, right: Node) -> Node:
    """An inner node of two halves, rotated where one is two higher than the other."""
    lean = left.height - right.height
    if lean > 1:
        if left.left.height < left.right.height:
            middle = left.right
            outer = _inner(left.key, version, left.left, middle.left)
            return _inner(middle.key, version, outer, _inner(key, version, middle.right, right))
        return _inner(left.key, version, left.left, _inner(key, version, left.right, right))
    if lean < -1:
        if right.left.height > right.right.height:
            middle = right.left
            outer = _inner(right.key, version, middle.right, right.right)
            return _inner(middle.key, version, _inner(key, version, left, middle.left), outer)
        return _inner(right.key, version, _inner(key, version, left, right.left), right.right)
    return _inner(key, version, left, right)


def path_to(root: Node, key: bytes) -> list[Node]:
    """Nodes from the root to the leaf where `key` is, or would be put."""
    path = [root]
    while path[-1].height:
        path.append(path[-1].left if key < path[-1].key else path[-1].right)
    return path


def value_of(root: Node | None, key: bytes) -> bytes | None:
    """The value of a key, or None."""
    if (node := root) is None:
        return None
    while node.height:
        node = node.left if key < node.key else node.right
    return node.value if node.key == key else None


def key_before(root: Node, key: bytes) -> bytes | None:
    """The largest key that is smaller, or None."""
    found, node = None, root
    while node.height:
        if node.key < key:
            found, node = node.left, node.right
        else:
            node = node.left
    if node.key < key:
        return node.key
    if found is None:
        return None
    while found.height:
        found = found.right
    return found.key


def leaves(root: Node | None, first: bytes = b"") -> Iterator[Node]:
    """Leaves in the order of keys, from `first` on."""
    waiting = [] if root is None else [root]
    while waiting:
        node = waiting.pop()
        while node.height:
            if first < node.key:
                waiting.append(node.right)
                node = node.left
            else:
                node = node.right
        if first <= node.key:
            yield node
