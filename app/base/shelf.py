"""Files that are made once, kept for whoever asks for the same again, and gone with the process."""

import asyncio
import base64
import hashlib
import os
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from app.base.jobs import Job, Jobs
from app.base.scratch import NO_ROOM

Key = tuple[str, ...]

_AT_ONCE = 2
"""How many files are made at the same time: each takes a database connection and a processor."""

_SHARE = 4
"""What one client has asked for takes at most this part of the bytes."""

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


@dataclass
class _Making:
    """A file that is made, and how many wait for it."""

    task: asyncio.Task[Kept]
    waiting: int = 0


class Shelf:
    """Keeps files up to so many bytes in all, those asked for last; one that is being sent stays until it is
    sent. A client has one file made at a time, and files that it alone has asked for take at most a quarter
    of the bytes, so that ever new questions push out its own. All of it is used from one event loop.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._jobs = Jobs(_AT_ONCE)
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._owners: dict[Key, str] = {}
        self._under_way: dict[Key, _Making] = {}
        self._cleared = 0

    async def get(self, key: Key, make: Callable[[Job], Kept], client: str | None = None) -> Kept:
        """Return the file of that key, made by `make` in a thread of its own if it is not there. Those who
        ask meanwhile wait for the same one; once none of them waits any more, its making ends. A client of
        None has no limit.
        """
        if found := self._kept.get(key):
            self._kept.move_to_end(key)
            if self._owners.get(key) != client:
                self._owners.pop(key, None)
            return found
        making = self._under_way.get(key)
        if making is None:
            making = self._under_way[key] = _Making(asyncio.create_task(self._made(make, client)))
            making.task.add_done_callback(lambda done: self._end(key, making, done))
        making.waiting += 1
        try:
            return await asyncio.shield(making.task)  # who goes away does not take it from the others
        finally:
            making.waiting -= 1
            if not making.waiting and not making.task.done():
                self._forget(key, making)
                making.task.cancel()

    def _forget(self, key: Key, making: _Making) -> None:
        if self._under_way.get(key) is making:
            del self._under_way[key]

    def _end(self, key: Key, making: _Making, done: asyncio.Task[Kept]) -> None:
        self._forget(key, making)
        if not done.cancelled():
            done.exception()  # it was for who waited, and nobody may have

    async def _made(self, make: Callable[[Job], Kept], client: str | None) -> Kept:
        cleared = self._cleared
        try:
            made = await self._jobs.run(make, client)
        except OSError as fault:
            if fault.errno in NO_ROOM:  # what is kept makes way for whoever asks next
                self.clear()
            raise
        if cleared != self._cleared:  # what it was made of may be gone
            return made
        self._kept[made.key] = made
        self._kept.move_to_end(made.key)
        if client is not None:
            self._owners[made.key] = client
            self._trim(
                [key for key in self._kept if self._owners.get(key) == client], self.most_bytes // _SHARE
            )
        self._trim([*self._kept], self.most_bytes)
        return made

    def _trim(self, keys: Sequence[Key], most: int) -> None:
        """Drop the first of some files until the others take no more than so many bytes; the last stays."""
        size = sum(self._kept[key].size for key in keys)
        for key in keys[:-1]:
            if size <= most:
                return
            size -= self._kept.pop(key).size
            self._owners.pop(key, None)

    def clear(self) -> None:
        """Lets go of every file; one that is being made now is given to who waits for it and not kept."""
        self._cleared += 1
        self._kept.clear()
        self._owners.clear()
