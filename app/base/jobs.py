"""Work that takes long: in threads, a few at a time, and for as long as somebody waits for it."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import TypeVar
from weakref import WeakValueDictionary

from anyio import CancelScope, CapacityLimiter, to_thread

from app.base.errors import QueryTimeout

T = TypeVar("T")


class GivenUp(Exception):
    """Raised in work that nobody waits for any more."""


class Job:
    """One piece of long work, as it is known to itself."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._given_up = False
        self._stop: Callable[[], object] | None = None
        self._until = math.inf

    def run(self, work: Callable[["Job"], T], seconds: float | None) -> T:
        """Return what some work makes in this thread, which may take so many seconds of the processor."""
        self._until = math.inf if seconds is None else time.thread_time() + seconds
        return work(self)

    def check(self) -> None:
        """Raise GivenUp if nobody waits any more, QueryTimeout if the work has taken too long. Called between
        two parts of the work.
        """
        if self._given_up:
            raise GivenUp
        if time.thread_time() > self._until:
            raise QueryTimeout("The answer was given up: it takes the processor for too long.")

    @contextmanager
    def stopped_by(self, stop: Callable[[], object]) -> Iterator[None]:
        """Call `stop`, from another thread, if everybody goes away within the block."""
        with self._lock:
            self.check()
            self._stop = stop
        try:
            yield
        finally:
            with self._lock:
                self._stop = None

    def give_up(self) -> None:
        """End the work. May wait for the database."""
        with self._lock:
            self._given_up = True
            if self._stop is not None:
                self._stop()


class Jobs:
    """Runs long work of one kind: so many at a time, one for each client, each for so many seconds of the
    processor (None: as long as it takes). Used from one event loop.
    """

    def __init__(self, at_once: int, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._turns = CapacityLimiter(at_once)
        self._of_client: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def run(self, work: Callable[[Job], T], client: str | None) -> T:
        """Return what some work makes in a thread, in its turn; cancelled, it ends. A client of None has no
        limit of its own.
        """
        turn = None if client is None else self._of_client.setdefault(client, asyncio.Lock())
        async with turn or nullcontext(), self._turns:
            job = Job()
            working = asyncio.ensure_future(
                to_thread.run_sync(job.run, work, self._seconds, limiter=CapacityLimiter(1))
            )
            working.add_done_callback(lambda done: done.cancelled() or done.exception())
            try:
                return await asyncio.shield(working)
            except asyncio.CancelledError:
                asyncio.get_running_loop().run_in_executor(None, job.give_up)
                with CancelScope(shield=True):  # it holds its turn until it has ended
                    await asyncio.wait({working})
                raise
