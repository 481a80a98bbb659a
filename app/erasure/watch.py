"""The look, in each process, for what others have erased."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.concurrency import run_in_threadpool

from app.access.house import House
from app.changes.erasure import last_epoch

LOOKED_AT_EVERY = 1.0
"""Seconds between looks."""


@asynccontextmanager
async def watching(house: House) -> AsyncIterator[None]:
    """Let go meanwhile of whatever was made before an erasure, such as files of feeds: they are not given to
    anybody any more, and this takes them off the disk.
    """
    task = asyncio.ensure_future(_watch(house))
    try:
        yield
    finally:
        task.cancel()


async def _watch(house: House) -> None:
    known = None
    while True:
        found = await run_in_threadpool(house.db.ask, last_epoch(), {})
        if found is not None:
            now = [tuple(row) for row in found]
            if known is not None and now != known:
                house.forget_what_was_erased()
            known = now
        await asyncio.sleep(LOOKED_AT_EVERY)
