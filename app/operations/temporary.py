"""The directory for temporary files, held against what the settings let the server put there."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from app.settings import Settings

BEING_MADE = 128 * 1024 * 1024
"""Bytes beside what is kept: files that are being made, and bodies that are being received."""

PROCESS = 512 * 1024 * 1024
"""Bytes of memory that the server takes beside its files."""

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where a container finds the limit of its memory (cgroup v2, v1)."""

State = Literal["ok", "warning", "fault"]


def examine(settings: Settings) -> Iterator[tuple[State, str]]:
    """Compare RECORD_FEED_BYTES, RECORD_PAST_BYTES and the space for them with one another."""
    try:
        directory = tempfile.gettempdir()
    except FileNotFoundError as fault:
        yield "fault", f"Feeds, imports and as_of have no directory to write to: {fault.strerror}"
        return
    space, in_memory = shutil.disk_usage(directory), is_memory(directory)
    # A file system in memory is the server's own, and what is used of it most likely the server's.
    room = space.total if in_memory else space.free
    needed = settings.feed_bytes + settings.past_bytes + BEING_MADE
    said = f"{_megabytes(room)} {'in all' if in_memory else 'free'} in {directory}"
    if room < needed:
        yield (
            "warning",
            f"RECORD_FEED_BYTES, RECORD_PAST_BYTES and {_megabytes(BEING_MADE)} for what is being made "
            f"are {_megabytes(needed)}, but there are {said}",
        )
    limit = memory_limit()
    if in_memory and limit is not None and limit < min(room, needed) + PROCESS:
        yield (
            "warning",
            f"{directory} is memory: {_megabytes(min(room, needed))} of files and {_megabytes(PROCESS)} for "
            f"the server are more than this container may take, {_megabytes(limit)}",
        )
    yield "ok", said


def is_memory(directory: str, mounts: Path = Path("/proc/mounts")) -> bool:
    """Return whether a directory is on a file system in memory (tmpfs)."""
    if not mounts.exists():  # no Linux
        return False
    resolved = Path(directory).resolve()
    kinds = {}
    for line in mounts.read_text(errors="replace").splitlines():
        _, place, kind, *_ = line.split(" ")
        if resolved.is_relative_to(place):
            kinds[place] = kind  # a later mount hides an earlier one
    return kinds[max(kinds, key=len)] == "tmpfs" if kinds else False


def memory_limit() -> int | None:
    """Return the bytes of memory that this container may take, or None if there is no limit."""
    for path in map(Path, _LIMITS):
        if path.exists() and (text := path.read_text().strip()).isdecimal():
            return int(text) if int(text) < 1 << 60 else None  # cgroup v1 writes none as a huge number
    return None


def _megabytes(number: int) -> str:
    return f"{number / 1e6:,.0f} MB"
