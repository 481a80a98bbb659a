"""A value that takes work to make, kept for a moment, so that any number of askers cost no more than one."""

import asyncio
import math
from collections.abc import Callable
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

KEPT_SECONDS = 1.0

T = TypeVar("T")


class Recent(Generic[T]):
    """A value made in a thread of its own, at most once in KEPT_SECONDS. Those who ask while it is being made
    wait for it. A failure is not kept. Used from one event loop.
    """

    def __init__(self) -> None:
        self._making: asyncio.Task[T] | None = None
        self._good_until = -math.inf

    async def get(self, make: Callable[[], T]) -> T:
        """Return the value, made anew if it is too old."""
        making = self._making
        if making is None or (making.done() and asyncio.get_running_loop().time() >= self._good_until):
            making = self._making = asyncio.ensure_future(self._made(make))
        return await asyncio.shield(making)  # who goes away does not take it from the others

    async def _made(self, make: Callable[[], T]) -> T:
        # Not one of the threads that requests share: busy requests must not make the process look dead.
        made = await to_thread.run_sync(make, limiter=CapacityLimiter(1))
        self._good_until = asyncio.get_running_loop().time() + KEPT_SECONDS
        return made
