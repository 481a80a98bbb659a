"""Links: judged, judged again, found."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, or_
from sqlmodel import col

from app.access import people
from app.base.db import ReadSession, WriteSession
from app.base.errors import Conflict, Invalid, NotFound
from app.base.ids import new_id
from app.base.page import Page, page
from app.base.sql import Query, select, table
from app.base.types import wire
from app.changes.model import columns_as_sent, fresh
from app.changes.store import By, save
from app.claims import bodies
from app.claims.repeats import firsts
from app.claims.store import must_exist
from app.links.model import DIRECTED, JudgementIn, Link, LinkFilters, LinkIn, LinkQuestion

BRIEF = ("id", "text", "mode", "said", "speakers", "verification")
"""What a link shows of a claim."""

_CONTRARY = {"contradicts": "supports", "supports": "contradicts"}

# --- judging -----------------------------------------------------------------------------------


def judge(session: WriteSession, claim_id: str, link: LinkIn, *, by: By) -> Link:
    """Judges what a claim is to another for the first time. Raises NotFound for the claim, Invalid for the
    other, Conflict if that was judged before or goes against what the two are already.
    """
    must_exist(session, claim_id)
    _other_must_exist(session, claim_id, link.other)
    ends = (claim_id, link.other)
    one, other = ends if link.relation == DIRECTED else sorted(ends)
    record = fresh(Link, id=new_id("lnk"), claim_id=one, other_id=other, relation=link.relation)
    same = col(Link.claim_id) == one, col(Link.other_id) == other, col(Link.relation) == link.relation
    existing = session.execute(select(Link.id).where(*same)).scalar()
    if existing is not None:
        raise Conflict(f"That was judged before: {existing} can be judged again.", existing=existing)
    _say(session, record, link, by)
    save(session, record, by=by, action="link.judge", reason=link.note)
    return record


def _other_must_exist(session: ReadSession, claim_id: str, other: str) -> None:
    if other == claim_id:
        raise Invalid.at("/other", "is this claim itself")
    try:
        must_exist(session, other)
    except NotFound as unknown:
        raise Invalid.at("/other", unknown.detail) from None


def judge_again(
    session: WriteSession, record: Link, judgement: JudgementIn, fields: Collection[str], *, by: By
) -> None:
    """Put the named fields of a later judgement in the place of an earlier one's. Raises as `judge` does."""
    _say(session, record, judgement, by, fields)
    save(session, record, by=by, action="link.rejudge", reason=judgement.note)


_AS_SENT = columns_as_sent(Link, JudgementIn)


def _say(
    session: ReadSession, record: Link, said: JudgementIn, by: By, fields: Collection[str] = _AS_SENT
) -> None:
    _check(session, record, said.judgement)
    for name in _AS_SENT:
        if name in fields:
            setattr(record, name, getattr(said, name))
    record.judged_by, record.judged_by_name = by.id, by.name


def _check(session: ReadSession, link: Link, judgement: str) -> None:
    positive = judgement == "positive"
    if link.relation == "repeats" and positive:
        raise Invalid.at(
            "/judgement", "a repeat is stated on the claim: PATCH /v1/claims/{id} with the other as `repeats`"
        )
    if not positive and link.relation != "repeats":
        return
    ends = (link.claim_id, link.other_id)
    if len(set(firsts(session, ends).values())) < len(ends):
        raise Conflict("One of the two repeats the other, or both repeat a third.")
    contrary = select(Link.id).where(
        col(Link.claim_id).in_(ends),
        col(Link.other_id).in_(ends),
        col(Link.relation) == _CONTRARY.get(link.relation),
        col(Link.judgement) == "positive",
    )
    if existing := session.execute(contrary).scalar():
        raise Conflict(f"{existing} says that one {_CONTRARY[link.relation]} the other.", existing=existing)


def as_input(record: Link) -> dict[str, Any]:
    """Return the judgement as it would be sent: what a merge patch is applied to."""
    return {name: getattr(record, name) for name in _AS_SENT}


# --- finding -----------------------------------------------------------------------------------


def row(session: WriteSession, claim_id: str, link_id: str) -> Link:
    """A link of a claim, to be changed. Raises NotFound."""
    link = session.get(Link, link_id)
    if link is None or claim_id not in (link.claim_id, link.other_id):
        raise _unknown(link_id)
    return link


def _unknown(link_id: str) -> NotFound:
    return NotFound(f"There is no link {link_id} of that claim.")


def find(
    session: ReadSession, claim_id: str, ask: LinkQuestion, after: Sequence[Any] | None
) -> Page[dict[str, Any]]:
    """A page of a claim's links, whichever end it is."""
    mine = query().where(*clauses(ask), _at_either_end([claim_id]))
    found = page(session, mine, [col(Link.id)], ask, after)
    return Page(documents(session, found.rows), found.last)


def query() -> Query:
    """Links, to which a list adds its filters."""
    return select(*table(Link).columns)


def clauses(ask: LinkQuestion) -> list[Any]:
    """The filters of a question, for `query`."""
    pairs = ((col(Link.relation), ask.relation), (col(Link.judgement), ask.judgement))
    found = [column.in_(wanted) for column, wanted in pairs if wanted]
    if isinstance(ask, LinkFilters) and ask.claim:
        found.append(_at_either_end(ask.claim))
    return found


def _at_either_end(claims: Any) -> Any:
    return or_(col(Link.claim_id).in_(claims), col(Link.other_id).in_(claims))


def document(session: ReadSession, claim_id: str, link_id: str) -> dict[str, Any]:
    """One link of a claim. Raises NotFound."""
    rows = session.execute(query().where(col(Link.id) == link_id, _at_either_end([claim_id]))).all()
    if not rows:
        raise _unknown(link_id)
    return documents(session, rows)[0]


def documents(session: ReadSession, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """The links of some rows of `query`, in one more query."""
    claims = bodies.of(session, sorted({end for row in rows for end in (row.claim_id, row.other_id)}))
    who = people.seen(session, {row.judged_by for row in rows})
    return [
        {
            "id": row.id,
            "claim": brief(claims[row.claim_id]),
            "relation": row.relation,
            "other": brief(claims[row.other_id]),
            "judgement": row.judgement,
            "note": row.note,
            "judged_by": who(row.judged_by, row.judged_by_name),
            "judged_at": wire(row.updated_at),
            "version": row.version,
            "created_at": wire(row.created_at),
        }
        for row in rows
    ]


def brief(claim: dict[str, Any]) -> dict[str, Any]:
    """A claim at the end of a link."""
    return {name: claim[name] for name in BRIEF}


def judged(session: ReadSession, claims: Query) -> Sequence[Row[Any]]:
    """What was judged of some claims, by a SELECT of their ids, before."""
    return session.execute(query().where(_at_either_end(claims)).order_by(col(Link.id))).all()
