"""Deliveries: the ledger told to webhooks, in order for each, and to none later because of another.

A webhook's place in the ledger is all that is kept, and it moves on only once a message was taken. So an
outage, a restart or a target that is away delays deliveries and loses none; a message may come twice, under
the same id.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from app.access.house import House
from app.base.errors import Unavailable
from app.base.ids import new_id
from app.base.times import now
from app.hooks import progress, signing, store
from app.hooks.progress import Batch, Due
from app.hooks.sending import Outcome, connection, send

log = logging.getLogger("on-the-record")

LOOKED_AT_EVERY = 0.5
"""Seconds between looks at what is due."""
MOST_AT_ONCE = 20
"""To how many webhooks a process delivers at once."""
_RUN_SECONDS = 10.0
"""After so long a run ends with the message that it is at, so that others have their turn."""
_AT_A_TIME = 2
"""How many questions are put to the database at a time: requests come first."""
LAST_SECONDS = 2.0
"""So long a server that stops waits for what was reached to be kept."""

T = TypeVar("T")


class Deliveries:
    """The deliveries of one process. `note` is told of each whether it was taken, `clock` tells the time."""

    def __init__(
        self, house: House, note: Callable[[bool], None], clock: Callable[[], datetime] = now
    ) -> None:
        self.name = new_id("run")
        self._house, self._note, self._clock = house, note, clock
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._asking = asyncio.Semaphore(_AT_A_TIME)

    async def run(self) -> None:
        """Delivers whatever is due, until it is cancelled; then what was reached is kept."""
        try:
            while True:
                for hook in await self._due():
                    if hook.id not in self._under_way and len(self._under_way) < MOST_AT_ONCE:
                        self._start(hook)
                await asyncio.sleep(LOOKED_AT_EVERY)
        finally:
            tasks = [*self._under_way.values()]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def _start(self, hook: Due) -> None:
        task = self._under_way[hook.id] = asyncio.ensure_future(self._serve(hook))
        task.add_done_callback(lambda _: self._under_way.pop(hook.id))

    async def once(self) -> None:
        """Delivers what is due now, a run to each webhook."""
        await asyncio.gather(*map(self._serve, await self._due()))

    async def _due(self) -> list[Due]:
        try:
            return await self._asked(self._find) or []
        except Exception:
            log.exception("What is due for webhooks cannot be found")
            return []

    def _find(self) -> list[Due]:
        with self._house.db.read() as session:
            return progress.due(session, self._clock())

    async def _asked(self, question: Callable[[], T]) -> T | None:
        """What the database says; None while it is away, or takes no writes."""
        async with self._asking:
            try:
                return await run_in_threadpool(question)
            except (Unavailable, SQLAlchemyError) as fault:
                log.debug("Deliveries wait: %s", type(fault).__name__)
                return None

    # --- a run to one webhook ------------------------------------------------------------------

    async def _serve(self, hook: Due) -> None:
        try:
            batch = await self._asked(partial(self._begin, hook))
            if batch is not None:
                await self._deliver(hook, batch)
        except Exception:
            log.exception("Deliveries to the webhook %s have failed", hook.id)

    def _begin(self, hook: Due) -> Batch | None:
        """What is to be told now, once nobody else can; None if nothing is."""
        if hook.position is None:
            with self._house.db.write() as session:
                progress.start(session, hook.id)
            return None
        with self._house.db.read() as session:
            batch = progress.batch(session, hook)
        if batch is None:
            return None
        with self._house.db.write() as session:
            return batch if progress.lease(session, hook, self.name, self._clock()) else None

    async def _deliver(self, hook: Due, batch: Batch) -> None:
        reached, outcome, ends = hook.position or 0, None, monotonic() + _RUN_SECONDS
        try:
            async with connection() as by:
                for entry in batch.entries:
                    outcome = await self._told(by, hook, entry)
                    if not outcome.delivered:
                        break
                    reached = entry["seq"]
                    if monotonic() > ends or not await self._asked(partial(self._is_held, hook)):
                        break
                else:
                    reached = batch.upto
        finally:
            await self._asked(partial(self._conclude, hook, reached, outcome))

    def _is_held(self, hook: Due) -> bool:
        with self._house.db.read() as session:
            return progress.is_held(session, hook, self.name)

    async def _told(self, by: Any, hook: Due, entry: dict[str, Any]) -> Outcome:
        at, message = self._clock(), signing.of_entry(hook.id, entry)
        secrets = signing.secrets_at(self._house.secret, hook.id, hook.rotation, hook.rotated_at, at)
        networks = self._house.settings.webhook_networks
        outcome = await send(by, hook.url, networks, message.headers(secrets, at), message.body)
        self._note(outcome.delivered)
        if not outcome.delivered:
            log.warning("The webhook %s did not take change %d: %s", hook.id, entry["seq"], outcome.error)
        return outcome

    def _conclude(self, hook: Due, reached: int, outcome: Outcome | None) -> None:
        with self._house.db.write() as session:
            because = progress.conclude(session, hook, self.name, reached, outcome, self._clock())
            if because is not None:
                store.disable(session, hook.id, because)
        if because is not None:
            log.error("The webhook %s was disabled: %s", hook.id, because)
