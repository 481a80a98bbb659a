"""Corrections, withdrawals and reinstatements across claims: what changed, why, when and by whom.

They are the ledger's entries of those moves. So there is none that was not made, none can be left out, and
`seq` says where it stands for whoever follows the ledger.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel
from pydantic import Field as Describe
from sqlalchemy import ColumnElement, Row, exists, text
from sqlmodel import col

from app.access import people
from app.access.model import ReviewerOut
from app.base.db import ReadSession
from app.base.page import Page, Question, page
from app.base.sql import Query, select
from app.base.types import Moment, wire
from app.changes.earlier import stood_today
from app.changes.hidden import of_seen
from app.changes.ledger import difference_of, entries, told
from app.changes.model import CORRECTIONS, Change, ChangeValues
from app.claims import bodies
from app.claims.model import Appearance, Claim, ClaimSpeaker, CorrectionKind
from app.claims.shapes import SpeakerOut
from app.claims.standing import StoodOut
from app.entities.model import Ref
from app.entities.store import everyone_merged
from app.reviews.model import Review
from app.sources.model import Source

KINDS: Mapping[CorrectionKind, str] = {
    "correction": "claim.correct",
    "withdrawal": "claim.withdraw",
    "reinstatement": "claim.reinstate",
}
"""The kinds, with the ledger's actions."""


class CorrectionQuestion(Question):
    """Filters of corrections; a repeated one means any of its values."""

    claim: Annotated[list[str], Describe(description="The claims that were corrected: ids.")] = []
    speaker: Annotated[
        list[Ref], Describe(description="The speakers of the corrected claims: ids or slugs.")
    ] = []
    publisher: Annotated[list[Ref], Describe(description="Publishers of what prints it: ids or slugs.")] = []
    kind: Annotated[list[CorrectionKind], Describe(description="The kind of move.")] = []
    since: Annotated[Moment | None, Describe(description="Made then or later.")] = None
    until: Annotated[Moment | None, Describe(description="Made before then.")] = None


class CorrectedClaim(BaseModel):
    """The claim that was corrected, in its words of today."""

    id: str
    text: str
    speakers: list[SpeakerOut]


class CorrectionFound(BaseModel):
    """A correction, withdrawal or reinstatement: how the claim stood (`was`), how it stood then (`became`),
    the public note, and who made it: under four eyes, who approved it. `review` is the ruling that corrects,
    `corrects` the one that was corrected. `seq` is its place in the ledger.
    """

    seq: int
    kind: CorrectionKind
    claim: CorrectedClaim
    was: StoodOut
    became: StoodOut
    note: str | None
    at: datetime
    by: ReviewerOut | None
    review: str | None
    corrects: str | None


def find(session: ReadSession, ask: CorrectionQuestion, after: Sequence[Any] | None) -> Page[dict[str, Any]]:
    """A page of corrections, newest first. Raises Invalid for unknown entities."""
    found = page(session, _query().where(*_clauses(session, ask)), [col(Change.seq)], ask, after)
    claims = bodies.of(session, sorted({row.resource_id for row in found.rows}))
    made = [(row, difference_of(row)) for row in found.rows]
    reviews = {difference["correction"]["new"]["review"] for _, difference in made} - {None}
    corrected = select(Review.id, Review.corrects_id).where(col(Review.id).in_(reviews))
    replaced = {row.id: row.corrects_id for row in session.execute(corrected)}
    who = people.seen(session, {row.actor for row in found.rows})
    return Page([{**_document(*each, claims, replaced), **_by(each[0], who)} for each in made], found.last)


def _by(row: Row[Any], who: people.Shown) -> dict[str, Any]:
    return {"by": who(row.actor, row.actor_name)}


def _query() -> Query:
    # Entries of before claims kept their corrections do not say all that has to be said here.
    said = '"correction":{"old":'
    whole = told("difference").contains(said) | col(ChangeValues.remains).contains(said)
    return entries().where(text(CORRECTIONS), whole, of_seen(Claim.id))


def _clauses(session: ReadSession, ask: CorrectionQuestion) -> list[ColumnElement[bool]]:
    claim_id = col(Change.resource_id)
    found: list[ColumnElement[bool]] = []
    if ask.claim:
        found += [col(Change.resource) == "claim", claim_id.in_(ask.claim)]
    if ask.kind:
        found.append(col(Change.action).in_([KINDS[kind] for kind in ask.kind]))
    if ask.speaker:
        said = col(ClaimSpeaker.entity_id).in_(everyone_merged(session, "speaker", ask.speaker))
        found.append(exists().where(col(ClaimSpeaker.claim_id) == claim_id, said))
    if ask.publisher:
        printed = col(Source.publisher_id).in_(everyone_merged(session, "publisher", ask.publisher))
        here = col(Appearance.claim_id) == claim_id, col(Appearance.source_id) == col(Source.id)
        found.append(exists().where(*here, printed))
    if ask.since:
        found.append(col(Change.at) >= ask.since)
    if ask.until:
        found.append(col(Change.at) < ask.until)
    return found


def _document(
    row: Row[Any],
    difference: Mapping[str, Any],
    claims: Mapping[str, Mapping[str, Any]],
    replaced: Mapping[str, str | None],
) -> dict[str, Any]:
    correction, claim = difference["correction"]["new"], claims[row.resource_id]
    became = {
        name: difference[name]["new"] if name in difference else value
        for name, value in correction["was"].items()
    }
    repeats = claim["repeats"] is not None
    return {
        "seq": row.seq,
        "kind": correction["kind"],
        "claim": {name: claim[name] for name in ("id", "text", "speakers")},
        "was": stood_today(correction["was"], repeats=repeats),
        "became": stood_today(became, repeats=repeats),
        "note": row.reason,
        "at": wire(row.at),
        "review": correction["review"],
        "corrects": replaced.get(correction["review"]),
    }
