"""Directories for what a process makes for itself, beside the temporary files that have no name.

Each is locked for as long as its process lives, however that ends: the next process to start removes those
that nobody holds. They are in the directory for temporary files (`TMPDIR`, or else `/tmp`).
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.base.ids import new_id

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""Errors of a disk that takes no more, whatever is asked of it."""

_PREFIX = "on-the-record-"
_UNLOCKED = "on-the-record.new-"
"""The beginning of a name until the directory is locked: no other process takes it for a dead one's."""


class ScratchDirectory:
    """A directory of this process alone, empty at first. Raises OSError if there is no room for it."""

    def __init__(self) -> None:
        made = Path(tempfile.mkdtemp(prefix=_UNLOCKED))
        self._lock: int | None = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.path = made.rename(made.with_name(_PREFIX + new_id("tmp")))

    def remove(self) -> None:
        """Remove the directory with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory of this process alone, gone at the end of the block."""
    made = ScratchDirectory()
    try:
        yield made.path
    finally:
        made.remove()


def sweep() -> int:
    """Remove the scratch directories of this user whose process is gone; return how many there were.

    Where no directory for temporary files can be written to (all are full, say), it is `/tmp` from here on:
    what is asked of it then fails by its true reason, and works again once there is room.
    """
    try:
        parent = tempfile.gettempdir()
    except FileNotFoundError:
        parent = tempfile.tempdir = "/tmp"
    return sum(_removed(path) for path in Path(parent).glob(f"{_PREFIX}*"))


def _removed(path: Path) -> bool:
    """Remove a scratch directory unless its process lives, or it is another user's."""
    with suppress(OSError):
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(directory).st_uid != os.geteuid():
                return False
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
            return True
        finally:
            os.close(directory)
    return False
