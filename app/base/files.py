"""Files that appear under their name whole and on disk, and that only their owner may read."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yield a file beside this one, which takes this one's place at the end of the block."""
    with _unfinished(file) as unfinished:
        yield unfinished
        sync(unfinished)
        unfinished.replace(file)
        sync(file.parent)


def create(file: Path, content: bytes) -> None:
    """Create a file. Raises FileExistsError and leaves the other as it is if one has that name already."""
    with _unfinished(file) as unfinished:
        unfinished.write_bytes(content)
        sync(unfinished)
        os.link(unfinished, file)  # not a rename: of two that create it, the second would replace the first's
        sync(file.parent)


@contextmanager
def _unfinished(file: Path) -> Iterator[Path]:
    number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    unfinished = Path(name)
    try:
        os.fchmod(number, 0o600)  # whatever the umask
        os.close(number)
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file's content, or a directory's entries, are on disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
