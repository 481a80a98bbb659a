"""Reviews as every route shows them."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Row, or_
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.access import people
from app.base.db import ReadSession
from app.base.errors import NotFound
from app.base.page import Page, Question, page
from app.base.sql import Query, select, table
from app.base.types import wire
from app.claims.standing import Withdrawn
from app.entities.documents import brief, brief_columns
from app.entities.model import Entity
from app.entities.store import everyone_merged
from app.reviews import evidence as gathered
from app.reviews.model import (
    ORDINAL,
    Decision,
    Evidence,
    Review,
    ReviewEvidence,
    ReviewQuestion,
)

HOUSE = "On the Record"
"""Who is told to have done what nobody is named for."""


class ReviewFilters(ReviewQuestion):
    """Filters of the flat feed of reviews."""

    withdrawn: Withdrawn = None


def find(
    session: ReadSession, claim_id: str, ask: Question, after: Sequence[Any] | None
) -> Page[dict[str, Any]]:
    """A page of a claim's reviews."""
    found = page(session, query().where(col(Review.claim_id) == claim_id), [col(Review.id)], ask, after)
    return Page(of(session, found.rows), found.last)


def document(session: ReadSession, claim_id: str, review_id: str) -> dict[str, Any]:
    """One review of a claim. Raises NotFound."""
    wanted = query().where(col(Review.claim_id) == claim_id, col(Review.id) == review_id)
    rows = session.execute(wanted).all()
    if not rows:
        raise NotFound(f"There is no review {review_id} of that claim.")
    return of(session, rows)[0]


def clauses(session: ReadSession, ask: ReviewQuestion) -> list[ColumnElement[bool]]:
    """The filters of a question, for `query`. Raises Invalid for unknown desks."""
    pairs: list[tuple[Any, Sequence[str]]] = [
        (col(Review.claim_id), ask.claim),
        (col(Review.verdict), ask.verdict),
        (col(Review.attribution), ask.attribution),
        (col(Review.publisher_id), everyone_merged(session, "publisher", ask.publisher)),
    ]
    return [column.in_(wanted) for column, wanted in pairs if wanted]


@cache
def _replaced() -> ColumnElement[bool]:
    later, decided = aliased(Review), aliased(Decision)
    return (
        select(later.id)
        .outerjoin(decided, col(decided.review_id) == col(later.id))
        .where(
            col(later.corrects_id) == col(Review.id),
            col(later.needs_approval).is_(False) | (col(decided.outcome) == "approved"),
        )
        .exists()
    )


def standing() -> list[ColumnElement[bool]]:
    """That a review of `query` stands: approved where it had to be, not corrected since, and ruling on
    something, if only in the desk's own wording.
    """
    approved = col(Review.needs_approval).is_(False) | (col(Decision.outcome) == "approved")
    ruled = [col(each).is_not(None) for each in (Review.verdict, Review.attribution, Review.label)]
    return [approved, ~_replaced(), or_(*ruled)]


@cache
def query() -> Query:
    """Reviews with what came after them, to which a list adds its filters."""
    written, desk = aliased(Entity), aliased(Entity)
    named, actual = aliased(Entity), aliased(Entity)
    return (
        select(
            *table(Review).columns,
            *brief_columns(desk, "desk"),
            *brief_columns(actual, "actual"),
            _replaced().label("replaced"),
            col(Decision.outcome),
            col(Decision.note),
            col(Decision.decided_by),
            col(Decision.decided_by_name),
            col(Decision.created_at).label("decided_at"),
        )
        .outerjoin(Decision, col(Decision.review_id) == col(Review.id))
        .outerjoin(written, col(written.id) == col(Review.publisher_id))
        .outerjoin(desk, col(desk.id) == col(written.canonical_id))
        .outerjoin(named, col(named.id) == col(Review.actual_speaker_id))
        .outerjoin(actual, col(actual.id) == col(named.canonical_id))
    )


def of(session: ReadSession, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """The reviews of some rows of `query`, in one more query."""
    cited = _evidence_of(session, [review.id for review in rows])
    who = people.seen(session, {each for row in rows for each in (row.reviewer_id, row.decided_by) if each})
    return [
        {
            "id": review.id,
            "claim": review.claim_id,
            "state": _state(review),
            "publisher": brief(review, "desk"),
            **_by(who(review.reviewer_id, review.reviewer_name), entered=review.entered),
            "verdict": review.verdict,
            "attribution": review.attribution,
            **({"confirmed_by": review.confirmed_by} if review.confirmed_by else {}),
            "actual_words": review.actual_words,
            "actual_speaker": brief(review, "actual"),
            "label": review.label,
            "rating": _rating(review),
            "summary": review.summary,
            "explanation": review.explanation,
            "url": review.url,
            "reviewed_at": wire(review.reviewed_at),
            "evidence": cited.get(review.id, []),
            "corrects": review.corrects_id,
            "correction_note": review.correction_note,
            "decision": _decision(review, who),
            "version": review.version,
            "created_at": wire(review.created_at),
        }
        for review in rows
    ]


def _by(who: dict[str, Any] | None, *, entered: bool | None) -> dict[str, Any]:
    return {"reviewer": None, "entered_by": who} if entered else {"reviewer": who}


def author(review: Mapping[str, Any]) -> str:
    """Who reviewed: the desk, or of this one's own reviews whoever ruled, as far as that is told."""
    return str((review["publisher"] or review["reviewer"] or {"name": HOUSE})["name"])


def _state(review: Row[Any]) -> str:
    if review.outcome == "returned":
        return "returned"
    if review.needs_approval and review.outcome is None:
        return "proposed"
    return "corrected" if review.replaced else "published"


def _rating(review: Row[Any]) -> dict[str, Any] | None:
    if review.rating_value is not None:
        names = ("value", "best", "worst")
        return {name: wire(getattr(review, f"rating_{name}")) for name in names}
    if review.verdict in ORDINAL:
        return {"value": str(ORDINAL[review.verdict]), "best": "5", "worst": "1"}
    return None


def _decision(review: Row[Any], who: people.Shown) -> dict[str, Any] | None:
    if review.outcome is None:
        return None
    return {
        "outcome": review.outcome,
        "note": review.note,
        "decided_by": who(review.decided_by, review.decided_by_name),
        "decided_at": wire(review.decided_at),
    }


def _evidence_of(session: ReadSession, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    query = (
        gathered.query()
        .add_columns(col(ReviewEvidence.review_id))
        .join(ReviewEvidence, col(ReviewEvidence.evidence_id) == col(Evidence.id))
        .where(col(ReviewEvidence.review_id).in_(ids))
        .order_by(col(ReviewEvidence.review_id), col(ReviewEvidence.position))
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in session.execute(query):
        found.setdefault(row.review_id, []).append(gathered.document(row))
    return found
