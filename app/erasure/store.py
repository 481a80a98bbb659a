"""Erasures: ordered, with all that they take along, and listed."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, or_, text, update
from sqlmodel import col

from app.access.model import Idempotency, Key, Role
from app.base.db import ReadSession, WriteSession
from app.base.errors import Conflict, Invalid
from app.base.ids import noun_of
from app.base.page import Page, page
from app.base.sql import Query, select, table
from app.base.types import wire
from app.changes.erasure import Order, Target, erase
from app.changes.hidden import hidden_among, is_seen
from app.changes.ledger import difference_of, entries, told
from app.changes.model import ERASURES, Change, ChangeValues, Record
from app.changes.replay import kinds
from app.changes.store import By, is_erased, save
from app.claims import upkeep
from app.claims.repeats import point
from app.entities.model import Entity
from app.erasure.cuts import Contexts, Named, Notes, OneFigure, Passages, whole
from app.erasure.model import TYPES, ErasureQuestion
from app.hooks.progress import interrupt
from app.links.model import Link
from app.people import store as people
from app.reviews.model import Decision, Evidence, Review
from app.reviews.settled import settle
from app.reviews.store import Checker, withdraw
from app.sources.model import Snapshot
from app.words.index import forget

# --- ordering ----------------------------------------------------------------------------------


def order(session: WriteSession, record_id: str, note: str, *, by: By) -> dict[str, Any]:
    """Erase the words of a record and all that shows them. Raise Invalid for what is no such record, and
    Conflict for one that was erased before.
    """
    noun = noun_of(record_id)
    if noun not in TYPES:
        raise Invalid.at("/record", f"is not the id of a {', '.join(TYPES[:-1])} or piece of {TYPES[-1]}")
    given = Order(record_id, note, by)
    also: list[str] = []
    gone: list[str] = []
    *others, main = _targets(session, noun, given)
    for target in others:
        texts = erase(session, target, given)
        if texts is not None:
            also.append(target.id)
            gone += texts
    actors = _actors(session, noun, record_id)
    gone += erase(session, replace(main, also=sorted({*also}), names=True, actors=actors), given) or []
    forget(session, gone)
    upkeep.forget_counts(session, gone)
    _forget_answers(session, {main.id, *also, record_id})
    interrupt(session)
    [found] = session.execute(_query().order_by(col(Change.seq).desc()).limit(1)).all()
    return _document(found)


def _targets(session: WriteSession, noun: str, given: Order) -> list[Target]:
    """The records that lose words, the one that was ordered last. Raise Invalid and Conflict."""
    if noun == "figure":
        return [_figure(session, given)]
    record = session.get(kinds()[noun], given.record)
    if record is None:
        raise Invalid.at("/record", f"there is no {noun} {given.record}")
    if is_erased(record):
        raise Conflict(f"{given.record} was erased before.")
    return [*_TAKEN_ALONG[noun](session, record, given), _whole(noun, given.record, given)]


def _whole(noun: str, record_id: str, given: Order) -> Target:
    changed = {"text_at_hand": False} if noun == "snapshot" else None
    return Target(noun, record_id, whole(noun, record_id, given.note), whole=True, changed=changed)


def _actors(session: ReadSession, noun: str, record_id: str) -> list[str]:
    """The ids under which a person is the actor of entries."""
    if noun != "person":
        return []
    return [record_id, *_ids(session, Key, col(Key.person_id) == record_id)]


def _figure(session: ReadSession, given: Order) -> Target:
    claim_id = next(iter(_claims_that_told(session, given.record)), None)
    if claim_id is None:
        raise Invalid.at("/record", f"there is no figure {given.record}")
    return Target("claim", claim_id, OneFigure(given.record))


def _claims_that_told(session: ReadSession, record_id: str) -> list[str]:
    """The claims that refer to a record, or ever did."""
    ever = or_(*(each.contains(record_id) for each in (told("difference"), col(ChangeValues.remains))))
    query = select(col(Change.resource_id)).outerjoin(ChangeValues, col(ChangeValues.seq) == col(Change.seq))
    query = query.where(col(Change.resource) == "claim", ever).distinct()
    return sorted(session.execute(query).scalars())


# --- what goes along -----------------------------------------------------------------------------


def _with_a_claim(session: WriteSession, claim: Any, given: Order) -> Iterator[Target]:
    """Withdraw a claim first, so that whoever has a copy is told; its rulings and evidence go with it."""
    if claim.repeats_id is not None:
        point(session, claim, None)
        settle(session, claim)
        save(session, claim, by=given.by, action="claim.revise", reason=given.note)
    if claim.status != "withdrawn":
        withdraw(session, claim, given.note, who=Checker(given.by, Role.admin))
    reviews = _ids(session, Review, col(Review.claim_id) == claim.id)
    own = {
        "evidence": _ids(session, Evidence, col(Evidence.claim_id) == claim.id),
        "review": reviews,
        "decision": _ids(session, Decision, col(Decision.review_id).in_(reviews)),
        "link": _ids(session, Link, or_(col(Link.claim_id) == claim.id, col(Link.other_id) == claim.id)),
    }
    notes = _notes(session, [claim.id, *reviews], given)
    yield from (Target("claim", each, Notes(notes)) for each in _repeats(session, claim.id))
    yield from (_whole(noun, each, given) for noun, ids in own.items() for each in ids)


def _with_an_entity(session: WriteSession, entity: Any, given: Order) -> Iterator[Target]:
    """Records that were merged into an entity are of the same one."""
    into = session.execute(
        select(Entity.id, Entity.merged_into_id).where(col(Entity.canonical_id) == entity.canonical_id)
    ).all()
    merged = {row.id: row.merged_into_id for row in into}
    for each in sorted(merged):
        further = merged[each]
        while further not in (None, entity.id):
            further = merged.get(further)
        if further == entity.id:
            yield _whole("entity", each, given)


def _with_a_source(session: WriteSession, source: Any, given: Order) -> Iterator[Target]:
    for each in _ids(session, Snapshot, col(Snapshot.source_id) == source.id):
        yield _whole("snapshot", each, given)
    yield from _contexts(session, source.id)


def _with_a_snapshot(session: WriteSession, snapshot: Any, _given: Order) -> Iterator[Target]:
    yield from _contexts(session, snapshot.source_id)


def _contexts(session: ReadSession, source_id: str) -> Iterator[Target]:
    """What is kept of a source's words around quotes and passages."""
    yield from (Target("claim", each, Contexts(source_id)) for each in _claims_that_told(session, source_id))
    passages = _ids(session, Evidence, col(Evidence.source_id) == source_id)
    yield from (Target("evidence", each, Passages()) for each in passages)


def _with_a_review(session: WriteSession, review: Any, given: Order) -> Iterator[Target]:
    """The claim, and those that repeat it, have its words as notes."""
    notes = _notes(session, [review.id], given)
    for each in (review.claim_id, *_repeats(session, review.claim_id)):
        yield Target("claim", each, Notes(notes))
    for each in _ids(session, Decision, col(Decision.review_id) == review.id):
        yield _whole("decision", each, given)


def _with_a_person(session: WriteSession, person: Any, given: Order) -> Iterator[Target]:
    """Take the name of a person from their keys, and from what they ruled, decided and judged."""
    if person.ended_at is None:
        raise Conflict(f"{person.id} works here: end the person before erasing the name.")
    keys = _ids(session, Key, col(Key.person_id) == person.id)
    yield from (_whole("key", each, given) for each in keys)
    own = [person.id, *keys]
    for kind, by, name in (
        (Review, col(Review.reviewer_id), "reviewer_name"),
        (Decision, col(Decision.decided_by), "decided_by_name"),
        (Link, col(Link.judged_by), "judged_by_name"),
    ):
        yield from (Target(kind.noun, each, Named(name)) for each in _ids(session, kind, by.in_(own)))


def _with_nothing(_session: WriteSession, _record: Any, _given: Order) -> Iterator[Target]:
    yield from ()


_TAKEN_ALONG = {
    "claim": _with_a_claim,
    "entity": _with_an_entity,
    "source": _with_a_source,
    "snapshot": _with_a_snapshot,
    "review": _with_a_review,
    "evidence": _with_nothing,
    "person": _with_a_person,
}


def _ids(session: ReadSession, kind: type[Record], where: Any) -> Sequence[str]:
    return session.execute(select(kind.id).where(where).order_by(col(kind.id))).scalars().all()


def _repeats(session: ReadSession, claim_id: str) -> Sequence[str]:
    """The claims that repeat one, or ever did, whose notes may be its."""
    return [each for each in _claims_that_told(session, claim_id) if each != claim_id]


_AS_NOTES = ("public_note", "correction_note", "summary")


def _notes(session: ReadSession, ids: Sequence[str], given: Order) -> set[str]:
    """The words of rulings and moves that other records may have as notes."""
    found: set[str | None] = set()
    for row in session.execute(entries().where(col(Change.resource_id).in_(ids))):
        difference = difference_of(row)
        found.add(row.reason)
        for side in ("old", "new"):
            found |= {difference[name][side] for name in _AS_NOTES if name in difference}
            found.add(((difference.get("correction") or {}).get(side) or {}).get("note"))
    return {each for each in found if each and each != given.note}


# --- what was kept of them ------------------------------------------------------------------------

_ID = re.compile("[a-z]{3}_[0-9a-z]{26}")


def _forget_answers(session: WriteSession, ids: set[str]) -> None:
    """Take the words from answers that are kept for requests that come again, and refuse such a request: it
    must not act a second time.
    """
    kept = table(Idempotency)
    rows = session.execute(select(kept.c.actor, kept.c.key, kept.c.body)).all()
    for row in rows:
        if ids.intersection(_ID.findall(row.body)):
            this = (kept.c.actor == row.actor) & (kept.c.key == row.key)
            session.execute(update(kept).where(this).values(body="", headers="{}", request_hash=""))


# --- listing -------------------------------------------------------------------------------------


def find(session: ReadSession, ask: ErasureQuestion, after: Sequence[Any] | None) -> Page[dict[str, Any]]:
    """A page of erasures, newest first."""
    query = _query()
    if ask.record:
        query = query.where(or_(*(_names(each) for each in ask.record)))
    if session.public:
        query = query.where(is_seen())
    found = page(session, query, [col(Change.seq)], ask, after)
    made = [_document(row) for row in found.rows]
    hidden = hidden_among(session, {each for one in made for each in one["also"]}) if session.public else ()
    return Page(
        [{**one, "also": [each for each in one["also"] if each not in hidden]} for one in made], found.last
    )


def _names(record_id: str) -> Any:
    return told("difference").contains(f'"order":"{record_id}"', autoescape=True)


def _query() -> Query:
    return entries().where(text(ERASURES))


def _document(row: Row[Any]) -> dict[str, Any]:
    made = difference_of(row)["erased"]["new"]
    return {
        "seq": row.seq,
        "record": made["order"],
        "type": noun_of(made["order"]),
        "note": row.reason,
        "at": wire(row.at),
        "also": made.get("also", []),
    }


def every(session: ReadSession) -> Iterator[dict[str, Any]]:
    """Yield all erasures, oldest first."""
    for row in session.execute(_query().order_by(col(Change.seq))).all():
        yield _document(row)


def again(session: WriteSession, record_id: str, note: str, *, by: By) -> bool:
    """Order an erasure that was ordered before, in a database that may not know of it: return False if it
    does, or if it has no such record.
    """
    known = session.execute(_query().where(_names(record_id)).limit(1)).first()
    noun = noun_of(record_id)
    kind = kinds().get(noun or "")
    there = (
        bool(_claims_that_told(session, record_id))
        if noun == "figure"
        else kind and session.get(kind, record_id)
    )
    if known or not there:
        return False
    if noun == "person" and (person := people.row(session, record_id)).ended_at is None:
        people.end(session, person, by=by)
    order(session, record_id, note, by=by)
    return True
