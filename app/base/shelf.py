"""Files that are made once, kept for whoever asks for the same again, and gone with the process."""

import asyncio
import base64
import hashlib
import os
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from anyio import CapacityLimiter, to_thread

Key = tuple[str, ...]

_AT_ONCE = 2
"""How many files are made at the same time: each takes a database connection and a processor."""

_PIECE = 256 * 1024


@dataclass(frozen=True, eq=False)
class Kept:
    """A file without a name: nothing is left of it however the process ends. `digest` is its SHA-256 in
    base64, `count` how many records it has.
    """

    key: Key
    file: BinaryIO
    size: int
    digest: str
    count: int

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`. Any number of readers may be at it at once."""
        while start < end and (piece := os.pread(self.file.fileno(), min(_PIECE, end - start), start)):
            yield piece
            start += len(piece)


def new_file() -> BinaryIO:
    """A file to fill for `kept`."""
    return tempfile.TemporaryFile(buffering=0)


def kept(key: Key, file: BinaryIO, count: int) -> Kept:
    """What was written to a file, to be kept."""
    size, digest, at = os.fstat(file.fileno()).st_size, hashlib.sha256(), 0
    while piece := os.pread(file.fileno(), _PIECE, at):
        digest.update(piece)
        at += len(piece)
    found = Kept(key, file, size, base64.b64encode(digest.digest()).decode(), count)
    weakref.finalize(found, file.close)
    return found


def filled(pieces: Iterable[bytes]) -> BinaryIO:
    """A new file with these bytes, which are never in memory together."""
    file = new_file()
    try:
        for piece in pieces:
            _write(file, piece)
    except BaseException:
        file.close()
        raise
    return file


def _write(file: BinaryIO, piece: bytes) -> None:
    left = memoryview(piece)
    while left:  # a write to a disk that fills up may take a part
        left = left[file.write(left) :]


class Shelf:
    """Keeps files up to so many bytes in all, those asked for last; one that is being sent stays until it is
    sent. All of it is used from one event loop.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._under_way: dict[Key, asyncio.Task[Kept]] = {}
        self._turns = CapacityLimiter(_AT_ONCE)

    async def get(self, key: Key, make: Callable[[], Kept]) -> Kept:
        """The file of that key, made by `make` in a thread of its own if it is not there. Those who ask
        meanwhile wait for the same one.
        """
        if found := self._kept.get(key):
            self._kept.move_to_end(key)
            return found
        making = self._under_way.get(key)
        if making is None:
            making = asyncio.create_task(self._made(make))
            self._under_way[key] = making
            making.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(making)  # who goes away does not take it from the others

    def _end(self, key: Key, done: asyncio.Task[Kept]) -> None:
        self._under_way.pop(key, None)
        if not done.cancelled():
            done.exception()  # it was for who waited, and nobody may have

    async def _made(self, make: Callable[[], Kept]) -> Kept:
        made = await to_thread.run_sync(make, limiter=self._turns)
        self._kept[made.key] = made
        self._kept.move_to_end(made.key)
        while len(self._kept) > 1 and sum(each.size for each in self._kept.values()) > self.most_bytes:
            self._kept.popitem(last=False)
        return made

    def clear(self) -> None:
        """Lets go of every file."""
        self._kept.clear()
