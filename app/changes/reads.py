"""The ledger read on from any place."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row
from sqlmodel import col

from app.base.db import ReadSession
from app.base.page import Page, page
from app.changes.model import Change, ChangeFilters, ChangeQuestion
from app.changes.store import document, entries

FOR_ADMINS = frozenset({"key", "webhook"})
"""The nouns of which others are told only that something was done: an address may be as good as a key."""


def since(
    session: ReadSession, ask: ChangeQuestion, after: Sequence[Any] | None, *, secrets: bool
) -> Page[dict[str, Any]]:
    """A page of the ledger. Without `secrets`, what was changed of keys and webhooks is left out."""
    query = entries().where(*_clauses(ask))
    if ask.after is not None:
        query = query.where(col(Change.seq) > ask.after)
    found = page(session, query, [col(Change.seq)], ask, after)
    return Page([shown(row, secrets=secrets) for row in found.rows], found.last)


def between(
    session: ReadSession, ask: ChangeFilters, after: int, upto: int, *, secrets: bool
) -> list[dict[str, Any]]:
    """The entries after one `seq` up to another, oldest first, that match the other filters."""
    query = entries().where(*_clauses(ask), col(Change.seq) > after, col(Change.seq) <= upto)
    return [shown(row, secrets=secrets) for row in session.execute(query.order_by(col(Change.seq)))]


def _clauses(ask: ChangeFilters) -> Iterator[ColumnElement[bool]]:
    if ask.resource:
        yield col(Change.resource).in_(ask.resource)
    if ask.resource_id:
        yield col(Change.resource_id).in_(ask.resource_id)
    if ask.actor:
        yield col(Change.actor).in_(ask.actor)


def shown(row: Row[Any], *, secrets: bool) -> dict[str, Any]:
    """An entry as it is told, with `secrets` to an admin."""
    entry = document(row)
    return entry if secrets or row.resource not in FOR_ADMINS else {**entry, "difference": None}
