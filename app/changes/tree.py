"""The Merkle log over the ledger: its leaves are the entries' hashes, in the order of `seq`.

Of its nodes only those at each eighth level are kept, as rows: every 256 entries make one. They follow from
the ledger and are written with the entry that completes them; the nodes between are made when asked for.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, bindparam, delete
from sqlmodel import Field, SQLModel, col

from app.base import merkle
from app.base.db import ReadSession, WriteSession
from app.base.sql import Query, insert_many, select, table
from app.base.types import Id
from app.changes.model import Change

WIDTH = 256
_LEVELS = 8
"""Levels of the tree between those that are kept: 2 ** _LEVELS is WIDTH."""


class LedgerNode(SQLModel, table=True):
    """The hash over 256 nodes of the height below, or over 256 leaves at height 1."""

    __tablename__ = "ledger_nodes"

    height: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    position: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    hash: str = Field(sa_type=Id)


def leaf_of(entry_hash: str) -> bytes:
    """The leaf of an entry: its hash is the leaf's data."""
    return merkle.leaf(bytes.fromhex(entry_hash))


class Tree:
    """The tree of a base, read in one session."""

    def __init__(self, session: ReadSession) -> None:
        self.session = session
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    def at(self, level: int, index: int) -> bytes:
        """The hash of a complete subtree, as `merkle` asks for it."""
        height, within = divmod(level, _LEVELS)
        tile, start = divmod(index << within, WIDTH)
        nodes = self._tile(height, tile)[start : start + (1 << within)]
        return merkle.fold(nodes)

    def _tile(self, height: int, tile: int) -> Sequence[bytes]:
        key = height, tile
        if key not in self._tiles:
            self._tiles[key] = _tile(self.session, height, tile)
        return self._tiles[key]

    def entry(self, seq: int) -> str:
        """The hash of one entry."""
        found: str = self.session.execute(select(Change.hash).where(col(Change.seq) == seq)).scalar_one()
        return found

    def root(self, size: int) -> bytes:
        """The root of the first `size` entries."""
        return merkle.root(size, self.at)


@cache
def _nodes(height: int) -> Query:
    """Hashes of a height from one position up to another."""
    place = col(LedgerNode.position)
    query = select(LedgerNode.hash).where(col(LedgerNode.height) == height)
    return query.where(place >= bindparam("start"), place < bindparam("end")).order_by(place)


@cache
def _leaves() -> Query:
    place = col(Change.seq)
    return select(Change.hash).where(place > bindparam("start"), place <= bindparam("end")).order_by(place)


def _tile(session: ReadSession, height: int, tile: int) -> list[bytes]:
    query = _nodes(height) if height else _leaves()
    given = {"start": tile * WIDTH, "end": (tile + 1) * WIDTH}
    hashes = session.execute(query, given).scalars()
    return [bytes.fromhex(each) for each in hashes] if height else [leaf_of(each) for each in hashes]


def grow(session: WriteSession, before: int, after: int) -> None:
    """Keeps the nodes that the entries from `before` up to `after` complete."""
    height = 1
    while before // WIDTH < after // WIDTH:
        before, after = before // WIDTH, after // WIDTH
        made = [
            (height, place, merkle.fold(_tile(session, height - 1, place)).hex())
            for place in range(before, after)
        ]
        insert_many(session, LedgerNode, made)
        height += 1


def rebuild(session: WriteSession, size: int) -> None:
    """Makes the nodes of a ledger anew."""
    session.execute(delete(table(LedgerNode)))
    grow(session, 0, size)


def is_missing(session: ReadSession, size: int) -> bool:
    """Whether there are enough entries for a node, and none is kept."""
    return size >= WIDTH and session.execute(select(LedgerNode.hash).limit(1)).first() is None


class Walk:
    """The tree made anew of entries in their order, to compare with what is kept and what was signed."""

    def __init__(self, roots_of: Sequence[int] = ()) -> None:
        """`roots_of` are the sizes at which the root is wanted: they are in `roots` once they are reached."""
        self.size = 0
        self.roots: dict[int, bytes] = {}
        self.nodes: list[tuple[int, int, str]] = []
        self._wanted = set(roots_of)
        self._peaks: list[tuple[int, bytes]] = []
        if 0 in self._wanted:
            self.roots[0] = merkle.EMPTY

    def add(self, entry_hash: str) -> None:
        """The next entry."""
        level, found = 0, leaf_of(entry_hash)
        self.size += 1
        while self._peaks and self._peaks[-1][0] == level:
            level, found = level + 1, merkle.node(self._peaks.pop()[1], found)
            if level % _LEVELS == 0:
                self.nodes.append((level // _LEVELS, (self.size >> level) - 1, found.hex()))
        self._peaks.append((level, found))
        if self.size in self._wanted:
            self.roots[self.size] = self.root

    @property
    def root(self) -> bytes:
        """The root of the entries so far."""
        found: bytes | None = None
        for _, peak in reversed(self._peaks):
            found = peak if found is None else merkle.node(peak, found)
        return merkle.EMPTY if found is None else found


def verify(session: ReadSession, walk: Walk) -> Iterator[str]:
    """Yields each node that is not what the entries make."""
    kept: Any = session.execute(select(*table(LedgerNode).columns)).all()
    wrong = {(height, place) for height, place, _ in {*map(tuple, kept)} ^ set(walk.nodes)}
    for height, place in sorted(wrong, key=str):
        yield f"log node {height}.{place}: is not what the changes make"
