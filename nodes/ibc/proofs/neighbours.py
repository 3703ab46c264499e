"""Places in a tree, as the paths of proofs tell them: left-most, right-most, next to each other.

A step tells its place by the lengths of its prefix and suffix, which the spec bounds. Children are counted from left to
right; `child_order` says in which order their hashes stand in the node.
"""

from __future__ import annotations

from collections.abc import Sequence

from nodes.ibc.proofs.ops import ProofError
from nodes.ibc.proto.ics23 import InnerOp, InnerSpec

Path = Sequence[InnerOp]


def place_of(spec: InnerSpec, step: InnerOp) -> int:
    """Which child, from the left, the path goes through. ProofError where the lengths fit no place."""
    children, size = len(spec.child_order), spec.child_size
    after, odd = divmod(len(step.suffix), size)
    before = children - 1 - after  # how many children stand in the prefix
    if odd or before < 0 or not spec.min_prefix_length <= len(step.prefix) - before * size <= spec.max_prefix_length:
        found = f"an inner step with {len(step.prefix)} bytes before its child and {len(step.suffix)} after it"
        raise ProofError(found, f"the place of one of {children} children of {size} bytes")
    return spec.child_order[before]


def siblings_are_empty(spec: InnerSpec, step: InnerOp, places: range) -> bool:
    """Whether all children at these places, the path's own not among them, are the placeholder of a sparse tree.

    A spec without one has the empty string, which no child is.
    """
    size = spec.child_size
    before = spec.child_order.index(place_of(spec, step))
    first = len(step.prefix) - before * size  # where the children begin in the prefix
    for place in places:
        slot = spec.child_order.index(place)
        if slot < before:
            child = step.prefix[first + slot * size : first + (slot + 1) * size]
        else:
            child = step.suffix[(slot - before - 1) * size : (slot - before) * size]
        if child != spec.empty_child:
            return False
    return True


def is_left_most(spec: InnerSpec, path: Path) -> bool:
    """Whether nothing but placeholders lies left of a path."""
    places = (place_of(spec, step) for step in path)
    return all(not at or siblings_are_empty(spec, step, range(at)) for at, step in zip(places, path, strict=True))


def is_right_most(spec: InnerSpec, path: Path) -> bool:
    """Whether nothing but placeholders lies right of a path."""
    children = len(spec.child_order)
    places = (place_of(spec, step) for step in path)
    return all(
        at == children - 1 or siblings_are_empty(spec, step, range(at + 1, children))
        for at, step in zip(places, path, strict=True)
    )


def are_neighbours(spec: InnerSpec, left: Path, right: Path) -> bool:
    """Whether no leaf lies between two paths of one tree, the first of them on the left."""
    common = 0
    most = min(len(left), len(right))
    while common < most and (left[-1 - common].prefix, left[-1 - common].suffix) == (
        right[-1 - common].prefix, right[-1 - common].suffix
    ):  # fmt: skip
        common += 1
    if common == most:  # one path is the end of the other: no two leaves have such
        return False
    split = len(left) - 1 - common, len(right) - 1 - common
    return (
        place_of(spec, left[split[0]]) + 1 == place_of(spec, right[split[1]])
        and is_right_most(spec, left[: split[0]])
        and is_left_most(spec, right[: split[1]])
    )
