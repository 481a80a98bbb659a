"""The ledger read on from any place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, inspect
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from app.base.db import Database, ReadSession
from app.base.errors import LedgerReset
from app.base.page import Page, page
from app.base.sql import select
from app.changes import earlier
from app.changes.contexts import without_contexts
from app.changes.entry import Entry, withheld
from app.changes.hidden import as_seen, is_seen
from app.changes.ledger import GENESIS, document, entries, head
from app.changes.model import Change, ChangeFilters, ChangeQuestion
from app.changes.workers import with_organisations

Head = tuple[int, str]
"""A ledger's last seq and hash."""

FOR_ADMINS = frozenset({"key", "person", "webhook"})
"""The nouns of which others are told only that something was done: an address may be as good as a key."""


@dataclass(frozen=True)
class Place:
    """The last entry that a reader has: its `seq`, and its hash where that is known. What is made of the base
    up to it holds in one epoch of the erasures (`erasure.epoch`).
    """

    seq: int
    hash: str | None = None
    epoch: str = ""


def hash_at(session: ReadSession, seq: int) -> str | None:
    """The hash of an entry, GENESIS before the first; None if it is not there."""
    if seq == 0:
        return GENESIS
    found: str | None = session.execute(select(Change.hash).where(col(Change.seq) == seq)).scalar()
    return found


def must_hold(session: ReadSession, place: Place) -> str:
    """Return the hash of the entry at a reader's place. Raises LedgerReset if it is gone, or another."""
    there = hash_at(session, place.seq)
    if there is not None and place.hash in (None, there):
        return there
    seq, digest = head(session)
    detail = (
        f"You are at change {place.seq} and the last one here is {seq}: a backup was restored."
        if there is None
        else f"Change {place.seq} is another than the one that you have: a backup was restored."
    )
    raise LedgerReset(detail, {"seq": seq, "hash": digest})


def since(
    session: ReadSession, ask: ChangeQuestion, after: Sequence[Any] | None, *, secrets: bool
) -> Page[Entry]:
    """A page of the ledger. Without `secrets`, what was changed of keys and webhooks is left out. Raises
    LedgerReset where the place that is gone on from is none in this ledger.
    """
    for place in places(ask, after):
        must_hold(session, place)
    query = entries().where(*_clauses(session, ask))
    if ask.after is not None:
        query = query.where(col(Change.seq) > ask.after)
    found = page(session, query, [col(Change.seq)], ask, after)
    last = found.last and (*found.last, found.rows[-1].hash)
    return Page(shown(session, found.rows, secrets=secrets), last)


def places(ask: ChangeQuestion, after: Sequence[Any] | None) -> list[Place]:
    """The places that a question, or its cursor, goes on from."""
    found = [] if ask.after is None else [Place(ask.after, ask.after_hash)]
    return found if after is None else [*found, Place(*after)]


def between(session: ReadSession, ask: ChangeFilters, after: int, upto: int, *, secrets: bool) -> list[Entry]:
    """The entries after one `seq` up to another, oldest first, that match the other filters."""
    query = entries().where(*_clauses(session, ask), col(Change.seq) > after, col(Change.seq) <= upto)
    return shown(session, session.execute(query.order_by(col(Change.seq))).all(), secrets=secrets)


def _clauses(session: ReadSession, ask: ChangeFilters) -> Iterator[ColumnElement[bool]]:
    if session.public and (ask.resource or ask.resource_id or ask.actor):
        yield is_seen()
    if ask.resource:
        yield col(Change.resource).in_(ask.resource)
    if ask.resource_id:
        yield col(Change.resource_id).in_(ask.resource_id)
    if ask.actor:
        yield col(Change.actor).in_(earlier.actors(ask.actor))


def shown(session: ReadSession, rows: Sequence[Row[Any]], *, secrets: bool) -> list[Entry]:
    """Return entries as they are told to whoever reads in a session, with `secrets` to an admin."""
    found = [document(row) for row in rows]
    if secrets:
        return [*found]
    told = [
        withheld(entry, _is_of_difference) if entry["resource"] in FOR_ADMINS else entry
        for entry in without_contexts(session, found)
    ]
    return with_organisations(session, told, as_seen(session, told))


def _is_of_difference(name: str) -> bool:
    return name.startswith("difference.")


def is_empty(db: Database) -> bool:
    """Return whether nothing was ever written into a database. Raises Unavailable."""
    if db.missing:
        return True
    try:
        with db.read() as session:
            tables = set(inspect(session.connection()).get_table_names()) - {"alembic_version"}
            return not tables or ("changes" in tables and last(session)[0] == 0)
    except DBAPIError:  # what cannot be read may be worth something to somebody
        return False


def last(session: ReadSession) -> Head:
    """Return the last entry of a ledger, which may be of an older version or not there yet."""
    return head(session) if inspect(session.connection()).has_table("changes") else (0, "")
