"""What one running server has, how positions of its base are told and asked for, and by which key."""

import logging
import re
from dataclasses import dataclass, field
from functools import cached_property
from threading import Event

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders

from app.access import secret as secrets
from app.access.caller import Caller
from app.base.caches import Cache
from app.base.db import Database, Readable
from app.base.errors import Malformed, Problem, Unauthorized, Unavailable
from app.base.jobs import Jobs
from app.base.limits import client_of, visit_of
from app.base.notes import Signer
from app.base.page import Question
from app.base.recent import Recent
from app.base.schema import staleness
from app.base.shelf import Shelf
from app.base.tally import Tally
from app.base.types import MAX_INT
from app.changes.ledger import last_position
from app.changes.log import signer_of
from app.changes.past import Past, place
from app.changes.reads import Place
from app.changes.replicas import Nearest, Replicas
from app.changes.streams import Streams
from app.settings import Settings

log = logging.getLogger("on-the-record")

_BATCHES = 2
"""Batches of names that are answered at a time, and of Google's client that are taken apart."""

POSITION = "Record-Position"
"""The header with a position: of an answer, where the base was after a write; of a request, what the answer
must have seen.
"""


Asked = tuple[str, bytes, bool]
"""A path and a query, and whether the public asks."""


@dataclass(frozen=True)
class House:
    """What one running server has: its settings, its base, its secret, and the standbys of the base."""

    settings: Settings
    db: Database
    secret: bytes
    replicas: Replicas | None = None
    questions: Cache[Asked, Question] = field(default_factory=Cache)
    """What queries of late were read as."""
    tags: Cache[Asked, tuple[str, tuple[str, str], dict[str, str]]] = field(default_factory=Cache)
    """The headers of late answers that nothing has changed, each with the hash of the ledger's last entry by
    then, and the condition and the coding that were asked for.
    """

    reads: Tally = field(default_factory=Tally)
    """How often claims were read, since that was last kept."""
    unproven: Event = field(default_factory=Event)
    """Set while it is not known that the secret is the database's, which was away at the start."""
    readiness: Recent[Problem | None] = field(default_factory=Recent)
    """What `/readyz` found last."""
    exposition: Recent[bytes] = field(default_factory=Recent)
    """What `/metrics` told last."""

    def prove(self) -> None:
        """Hold a database that was away at the start to the secret. Raises Unavailable."""
        if fault := staleness(self.db) or secrets.hold_to(self.db, self.secret):
            log.error("%s", fault)
            raise Unavailable("The database is not one that this server may use: its log says why.", 10)
        self.unproven.clear()

    @cached_property
    def shelf(self) -> Shelf:
        """Its feeds, as files."""
        return Shelf(self.settings.feed_bytes)

    @cached_property
    def batches(self) -> Jobs:
        """Batches of names that are answered, each within what one reading may take of the processor."""
        return Jobs(_BATCHES, self.settings.read_seconds)

    @cached_property
    def envelopes(self) -> Jobs:
        """Batches of Google's client that are taken apart."""
        return Jobs(_BATCHES)

    @cached_property
    def streams(self) -> Streams:
        """The streams of its ledger."""
        return Streams(self.db, self.at, self.settings.streams, self.settings.streams_per_client)

    @cached_property
    def past(self) -> Past:
        """Earlier moments of its base."""
        return Past(self.settings.past_bytes, self.settings.read_seconds)

    @cached_property
    def signer(self) -> Signer:
        """What signs checkpoints of its ledger."""
        return signer_of(self.settings, self.secret)

    def at(self, position: int, *, public: bool = False) -> Readable:
        """What a request reads from that must see all that was written up to a position, as the public if it
        is asked by that.
        """
        if self.replicas:
            return self.replicas.at(position, public=public)
        return self.primary(public=public)

    def primary(self, *, public: bool) -> Readable:
        """Its base, for the public or for those inside."""
        return self.db.outside if public else self.db

    async def as_of(self, base: Readable, moment: str, client: str | None) -> Readable:
        """What a request of a client reads from that wants the base as it stood. Raises Invalid for no such
        moment.
        """
        place = await run_in_threadpool(self._place, base, moment)
        while True:
            if isinstance(base, Nearest):
                base.need(place.seq)
            then = await self.past.at(base, place, client)
            before, place = place, await run_in_threadpool(self._place, base, str(place.seq))
            if place.epoch == before.epoch:  # or something was erased while it was made
                return then.outside if base.public else then

    def _place(self, base: Readable, moment: str) -> Place:
        if isinstance(base, Nearest):
            with base.read() as session:
                if found := place(session, moment, primary=False):
                    return found
        with self.db.read() as session:
            found = place(session, moment, primary=True)
        assert found is not None
        return found

    def forget_what_was_erased(self) -> None:
        """Let go of whatever was made of the base before something was erased. Called in the event loop."""
        self.past.forget()
        self.shelf.clear()
        self.streams.forget()

    def open(self) -> None:
        """Begins to look at the standbys: until then, none is read from."""
        if self.replicas:
            self.replicas.watch()

    def close(self) -> None:
        """Lets go of every file and connection."""
        self.shelf.clear()
        self.past.close()
        if self.replicas:
            self.replicas.close()
        self.db.dispose()

    def tell_position(self, headers: MutableHeaders | dict[str, str]) -> None:
        """Adds to an answer where the base is, if the database answers at once."""
        rows = self.db.ask(last_position(), {})
        if rows is not None:
            headers[POSITION] = str(rows[0][0] if rows else 0)


def asked_position(request: Request) -> int:
    """The position that the answer must have seen. Raises Malformed."""
    header = request.headers.get(POSITION, "0")
    if not re.fullmatch(r"\d{1,16}", header, re.ASCII) or int(header) > MAX_INT:
        raise Malformed(f"{POSITION} is a number, as the answer to a write gave it.")
    return int(header)


def asked_key(request: Request) -> str | None:
    """The key that was sent, if one was. Raises Unauthorized and TooManyRequests."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip().isascii() or not token.strip():
        raise Unauthorized("The key is sent as: Authorization: Bearer otr_…")
    # Here, at its turn and wherever it was sent: guesses that are sent at once would all be tried otherwise.
    if (visit := visit_of(request.scope)) is not None:
        visit.try_key(token.strip().encode())
    return token.strip()


def counted_for(request: Request) -> str | None:
    """Return whom a request that was let in counts for: a key or an address, and nobody on this machine."""
    place = client_of(request.scope, request.headers.get("host", "").encode("latin-1"))
    caller: Caller = request.state.caller
    return caller.key if place and caller.inside else place
