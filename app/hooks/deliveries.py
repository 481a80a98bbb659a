"""Deliveries: the ledger told to webhooks, in order for each, and to none later because of another.

A webhook's place in the ledger is all that is kept, and it moves on only once a message was taken: at the end
of a run, and each time that the entries read at once were told. So an outage, a restart or a target that is
away delays deliveries and loses none; a message may come twice, under the same id.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from time import monotonic
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from app.access.house import House
from app.base.errors import LedgerReset, Unavailable
from app.base.ids import new_id
from app.base.times import now
from app.hooks import progress, signing, store
from app.hooks.progress import Chunk, Due, Run
from app.hooks.sending import Sender
from app.hooks.signing import Message

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
        self._unfinished = asyncio.Event()

    async def run(self) -> None:
        """Delivers whatever is due, until it is cancelled; then what was reached is kept."""
        try:
            while True:
                for hook in await self._due():
                    if hook.id not in self._under_way and len(self._under_way) < MOST_AT_ONCE:
                        self._start(hook)
                self._unfinished.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._unfinished.wait(), LOOKED_AT_EVERY)
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
        if self._house.unproven.is_set():
            self._house.prove()
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
            run = Run(hook.place, batch_end=hook.batch_end)
            chunk = await self._asked(partial(self._begin, hook, run))
            if chunk is not None:
                await self._deliver(hook, run, chunk)
        except Exception:
            log.exception("Deliveries to the webhook %s have failed", hook.id)

    def _begin(self, hook: Due, run: Run) -> Chunk | None:
        """What is to be told now, once nobody else can; None if nothing is."""
        if hook.position is None:
            with self._house.db.write() as session:
                progress.start(session, hook.id)
            return None
        chunk = self._next(hook, run)
        if chunk is None:
            return None
        with self._house.db.write() as session:
            held = progress.lease(session, hook, self.name, self._clock(), run.batch_end)
        return chunk if held else None

    def _next(self, hook: Due, run: Run) -> Chunk | None:
        """The next messages. Where the ledger does not have the place that was reached, the webhook is to be
        told that, from its next run on.
        """
        try:
            with self._house.db.outside.read() as session:
                chunk = progress.chunk(session, hook, run)
        except LedgerReset as reset:
            log.error("The webhook %s begins anew: %s", hook.id, reset.detail)
            with self._house.db.write() as session:
                progress.reset(session, hook.id, self._clock())
            return None
        run.batch_end = chunk.end.seq if chunk is not None and hook.batch is not None else None
        return chunk

    async def _deliver(self, hook: Due, run: Run, chunk: Chunk | None) -> None:
        ends = monotonic() + _RUN_SECONDS
        try:
            async with Sender(hook.url, self._house.settings.webhook_networks) as by:
                while chunk is not None:
                    if not await self._told(by, hook, run, chunk, ends):
                        break
                    run.place, run.batch_end = chunk.end, None
                    chunk = await self._asked(partial(self._further, hook, run))
        finally:
            await self._asked(partial(self._conclude, hook, run))
        if chunk is not None and run.outcome is not None and run.outcome.delivered:
            self._unfinished.set()

    async def _told(self, by: Sender, hook: Due, run: Run, chunk: Chunk, ends: float) -> bool:
        """Tells a webhook some messages, and whether the run may go on."""
        for number, (message, place) in enumerate(chunk.messages):
            if number and not await self._is_held(hook):
                return False
            if not await self._sent(by, hook, run, message):
                return False
            run.place, run.batch_end = place, None
            run.taken += 1
            if monotonic() > ends and number + 1 < len(chunk.messages):
                return False
        return monotonic() <= ends

    async def _is_held(self, hook: Due) -> bool:
        """Whether a run may go on. SQLite keeps no reader waiting, and a thread costs more than to ask."""
        given = {"hook": hook.id, "by": self.name}
        ask = partial(self._house.db.ask, progress.held(), given)
        rows = ask() if self._house.db.sqlite else await run_in_threadpool(ask)
        return bool(rows and rows[0][0] == hook.turn)

    def _further(self, hook: Due, run: Run) -> Chunk | None:
        """Keeps what was reached, and gives what is to be told next if the run may go on."""
        chunk = self._next(hook, run)
        if chunk is None:
            return None
        with self._house.db.write() as session:
            return chunk if progress.keep(session, hook, self.name, run, self._clock()) else None

    async def _sent(self, by: Sender, hook: Due, run: Run, message: Message) -> bool:
        at = self._clock()
        secrets = signing.secrets_at(self._house.secret, hook.id, hook.rotation, hook.rotated_at, at)
        outcome = run.outcome = await by.send(message.headers(secrets, at), message.body)
        self._note(outcome.delivered)
        if not outcome.delivered:
            log.warning("The webhook %s did not take %s: %s", hook.id, message.id, outcome.error)
        return outcome.delivered

    def _conclude(self, hook: Due, run: Run) -> None:
        with self._house.db.write() as session:
            because = progress.conclude(session, hook, self.name, run, self._clock())
            if because is not None:
                store.disable(session, hook.id, because)
        if because is not None:
            log.error("The webhook %s was disabled: %s", hook.id, because)
