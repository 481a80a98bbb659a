"""How a server's memory is given back."""

import ctypes
import gc
from contextlib import suppress

_M_ARENA_MAX = -8
"""The name of this setting in glibc's malloc.h."""


def keep_memory_small() -> None:
    """Call this before the first thread is started. What there is now is never looked through again. Garbage
    is collected in small heaps: a large one takes 100 MB, and to clear it holds the event loop. All threads
    allocate from one heap of the C library: glibc gives each its own, and what is freed there stays there.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 2, 2)
    with suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
