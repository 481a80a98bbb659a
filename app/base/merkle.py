"""The Merkle tree of a log, its roots and its proofs (RFC 9162, section 2.1), over SHA-256.

A tree is asked for the hash of any of its complete subtrees: `at(level, index)` is that of the leaves from
`index << level`, `1 << level` of them.
"""

import hashlib
from collections.abc import Callable, Sequence

Subtrees = Callable[[int, int], bytes]

EMPTY = hashlib.sha256().digest()
"""The root of a tree without leaves."""


def leaf(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of a node over two others."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash over the hashes of a complete subtree's leaves, or nodes of one level: a power of two."""
    while len(hashes) > 1:
        hashes = [node(*hashes[n : n + 2]) for n in range(0, len(hashes), 2)]
    return hashes[0]


def root(size: int, at: Subtrees) -> bytes:
    """The root of the tree of the first `size` leaves."""
    return _over(0, size, at) if size else EMPTY


def inclusion(index: int, size: int, at: Subtrees) -> list[bytes]:
    """The proof that a leaf is in the tree of the first `size`, from its sibling upward."""
    return _path(index, 0, size, at)


def consistency(first: int, second: int, at: Subtrees) -> list[bytes]:
    """The proof that the tree of the first `first` leaves is the beginning of that of `second`."""
    return _subproof(first, 0, second, at, whole=True) if 0 < first < second else []


def _over(start: int, end: int, at: Subtrees) -> bytes:
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return at(level, start >> level)
    middle = start + _split(size)
    return node(_over(start, middle, at), _over(middle, end, at))


def _split(size: int) -> int:
    """The largest power of two below a size."""
    return 1 << ((size - 1).bit_length() - 1)


def _path(index: int, start: int, end: int, at: Subtrees) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(index, start, middle, at), _over(middle, end, at)]
    return [*_path(index, middle, end, at), _over(start, middle, at)]


def _subproof(first: int, start: int, end: int, at: Subtrees, *, whole: bool) -> list[bytes]:
    if first == end:
        return [] if whole else [_over(start, end, at)]
    middle = start + _split(end - start)
    if first <= middle:
        return [*_subproof(first, start, middle, at, whole=whole), _over(middle, end, at)]
    return [*_subproof(first, middle, end, at, whole=False), _over(start, middle, at)]


# --- checking ----------------------------------------------------------------------------------


def includes(root: bytes, size: int, index: int, leaf_hash: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that a leaf is in the tree of that root and size (section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf_hash
    for other in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node(other, found)
            while place & 1 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node(found, other)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def extends(first: int, old: bytes, second: int, new: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that the tree of the root `old` and size `first` is the beginning of that of
    `new` and `second` (section 2.1.4.2).
    """
    if first == second:
        return old == new and not proof
    if not 0 < first < second:
        return first == 0 < second and old == EMPTY and not proof
    path = [old, *proof] if first & (first - 1) == 0 else list(proof)
    if not path:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = node(other, before), node(other, after)
            while place & 1 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node(after, other)
        place, last = place >> 1, last >> 1
    return last == 0 and (before, after) == (old, new)
