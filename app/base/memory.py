"""Settings of the garbage collector and of the C library that keep a server's memory small."""

import ctypes
import gc
from contextlib import suppress

_M_ARENA_MAX = -8
"""The name of this setting in glibc's malloc.h."""


def keep_memory_small() -> None:
    """Call this before the first thread starts. The collector never scans the objects of now again. It
    runs often, because a large heap of garbage takes 100 MB and holds the event loop while it is cleared. All
    threads allocate from one arena: glibc gives each its own, and does not return memory freed there.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 2, 2)
    with suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
