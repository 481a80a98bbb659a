"""Keeps which records are hidden from the public, in the transaction of every write: those that are internal,
and with them whatever belongs to one. A ruling that waits for approval, or was returned, is hidden as well.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import delete, or_, union_all
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.sql import Query, insert_many, select, table
from app.changes.hidden import Hidden, hidden_among
from app.changes.model import Record
from app.changes.store import Follower, Projection, Saved
from app.claims.model import Claim
from app.links.model import Link
from app.reviews.model import Decision, Evidence, Review
from app.sources.model import Snapshot, Source
from app.words.index import batches

_HIDDEN = select(Hidden.record_id)


def _approved() -> Query:
    return select(Decision.review_id).where(col(Decision.outcome) == "approved")


def _hidden(kind: type[Record]) -> Any:
    """That a record of a kind is hidden, where those before it in `_KINDS` are known to be."""
    if kind is Snapshot:
        return col(Snapshot.source_id).in_(_HIDDEN)
    if kind is Evidence:
        return or_(col(Evidence.visibility).is_not(None), col(Evidence.claim_id).in_(_HIDDEN))
    if kind is Review:
        waits = col(Review.needs_approval) & col(Review.id).not_in(_approved())
        return or_(waits, col(Review.claim_id).in_(_HIDDEN))
    if kind is Decision:
        return col(Decision.review_id).in_(_HIDDEN)
    if kind is Link:
        return or_(col(Link.claim_id).in_(_HIDDEN), col(Link.other_id).in_(_HIDDEN))
    return col(kind.visibility).is_not(None)  # type: ignore[attr-defined]


_BELOW: Mapping[type[Record], Sequence[tuple[type[Record], Sequence[Any]]]] = {
    Source: ((Snapshot, (Snapshot.source_id,)),),
    Claim: (
        (Evidence, (Evidence.claim_id,)),
        (Review, (Review.claim_id,)),
        (Link, (Link.claim_id, Link.other_id)),
    ),
    Review: ((Decision, (Decision.review_id,)),),
}
"""What belongs to a record of each kind, and the columns that say to which."""

_KINDS: Sequence[type[Record]] = (Source, Snapshot, Claim, Evidence, Review, Decision, Link)


def keep(kind: type[Record], session: WriteSession, ids: Sequence[str]) -> None:
    """Make of some records of a kind, and of all that belongs to them, what is hidden and what is not."""
    if not ids:
        return
    found = select(col(kind.id)).where(col(kind.id).in_(ids), _hidden(kind))
    now, before = set(session.execute(found).scalars()), hidden_among(session, ids)
    if gone := before - now:
        session.execute(delete(table(Hidden)).where(col(Hidden.record_id).in_(gone)))
    insert_many(session, Hidden, [(record_id,) for record_id in sorted(now - before)])
    if now == before:
        return
    for other, columns in _BELOW.get(kind, ()):
        of = or_(*(col(column).in_(ids) for column in columns))
        keep(other, session, session.execute(select(col(other.id)).where(of)).scalars().all())


def hidden_with(session: ReadSession, record: Claim | Source) -> list[str]:
    """Return a record, if it is hidden, and what of all that belongs to it is hidden for no other reason."""
    if isinstance(record, Claim):
        return _hidden_with_claim(session, record.id)
    texts = session.execute(select(Snapshot.id).where(col(Snapshot.source_id) == record.id)).scalars()
    return sorted(hidden_among(session, [record.id, *texts]))


def _hidden_with_claim(session: ReadSession, claim_id: str) -> list[str]:
    waiting = col(Review.needs_approval) & col(Review.id).not_in(_approved())
    reviews = select(Review.id).where(col(Review.claim_id) == claim_id, ~waiting)
    others = select(Hidden.record_id).where(col(Hidden.record_id) != claim_id)
    found = union_all(
        select(Claim.id).where(col(Claim.id) == claim_id),
        select(Evidence.id).where(col(Evidence.claim_id) == claim_id, col(Evidence.visibility).is_(None)),
        reviews,
        select(Decision.id).where(col(Decision.review_id).in_(reviews)),
        select(Link.id).where(
            or_(
                (col(Link.claim_id) == claim_id) & col(Link.other_id).not_in(others),
                (col(Link.other_id) == claim_id) & col(Link.claim_id).not_in(others),
            )
        ),
    )
    ids = set(session.execute(found).scalars())
    return sorted(ids & hidden_among(session, ids))


def _follow(kind: type[Record]) -> Follower:
    """What follows writes of a kind. Most are of records that were public and stay so, and cost nothing."""
    moves = {Source: "visibility", Claim: "visibility", Evidence: "visibility"}.get(kind)
    parent = {Snapshot: "source_id", Evidence: "claim_id", Review: "claim_id", Link: "claim_id"}.get(kind)

    def follower(session: WriteSession, saved: Sequence[Saved]) -> None:
        if kind is Decision:
            ids = [each.difference["review_id"]["new"] for each in saved if "review_id" in each.difference]
            keep(Review, session, ids)
            keep(Decision, session, [each.id for each in saved])
        else:
            concerned = [each.id for each in saved if {moves, parent} & each.difference.keys()]
            keep(kind, session, concerned)

    return follower


def _verify(kind: type[Record], session: ReadSession) -> Iterator[str]:
    for ids in batches(col(kind.id))(session, ""):
        found = select(col(kind.id)).where(col(kind.id).in_(ids), _hidden(kind))
        for record_id in sorted(set(session.execute(found).scalars()) ^ hidden_among(session, ids)):
            yield f"{kind.noun} {record_id}: is hidden and should not be, or the other way round"


def _clear(session: WriteSession) -> None:
    session.execute(delete(table(Hidden)))


def _projection(kind: type[Record], clear: Callable[[WriteSession], None] | None) -> Projection:
    return Projection(
        f"hidden {kind.noun}s",
        {kind: _follow(kind)},
        batches(col(kind.id)),
        partial(keep, kind),
        clear,
        partial(_verify, kind),
    )


PROJECTIONS = tuple(_projection(kind, _clear if kind is Source else None) for kind in _KINDS)
