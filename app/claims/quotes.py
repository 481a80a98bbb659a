"""Quotes checked against the texts of their sources, when a claim is stated and when a text comes later."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.errors import Invalid
from app.base.page import Page, page
from app.base.sql import Query, select, table
from app.changes.model import Part, fresh
from app.changes.store import By, save
from app.claims.anchors import Selector, locate, nearest_passage, same_words, surroundings
from app.claims.documents import ANCHOR
from app.claims.documents import anchor as anchor_document
from app.claims.model import Anchor, Appearance, Claim
from app.claims.shapes import AnchorIn, AnchorQuestion, AppearanceIn, ClaimIn
from app.sources.model import Snapshot

_QUOTING = ("direct_quote", "partial_quote")


@dataclass(frozen=True)
class Printed:
    """The rows of a claim's appearances and of the segments of its quote in them."""

    appearances: list[Appearance]
    anchors: list[Anchor]


Texts = Callable[[str, str | None], Row[Any] | None]
"""Gives the text to check quotes in, of a source's id and perhaps a snapshot's: see `text_of`."""


def check(claim_id: str, claim: ClaimIn, sources: Mapping[str, str], texts: Texts) -> Printed:
    """Looks each segment up in its source's text. Raises Invalid if a quote is not there, with the nearest
    passage, or if its segments are not its words. `sources` has the ids that the claim's references lead to.
    """
    if len({sources[item.source] for item in claim.appearances}) < len(claim.appearances):
        raise Invalid.at("/appearances", "has the same source twice")
    printed = Printed([], [])
    for n, item in enumerate(claim.appearances):
        source_id = sources[item.source]
        kept = texts(source_id, item.snapshot)
        printed.appearances.append(
            fresh(
                Appearance,
                claim_id=claim_id,
                position=n,
                source_id=source_id,
                snapshot_id=kept.id if kept else None,
            )
        )
        for m, segment in enumerate(_segments(claim, item, n)):
            place = f"/appearances/{n}/anchors/{m}" if item.anchors else "/text"
            printed.anchors.append(_anchor(claim, segment, kept, place, (claim_id, n, m)))
    return printed


def _segments(claim: ClaimIn, item: AppearanceIn, n: int) -> Sequence[AnchorIn]:
    if claim.mode != "direct_quote":
        return item.anchors
    if not item.anchors:
        return [AnchorIn(exact=claim.text)]
    quoted = " ".join(segment.exact for segment in item.anchors)
    if not any(text and same_words(quoted, text) for text in (claim.text, claim.original_text)):
        raise Invalid.at(f"/appearances/{n}/anchors", "are not, together, the words of the direct quote")
    return item.anchors


def _anchor(
    claim: ClaimIn, segment: AnchorIn, kept: Row[Any] | None, pointer: str, key: tuple[str, int, int]
) -> Anchor:
    claim_id, appearance, position = key
    anchor = fresh(
        Anchor,
        claim_id=claim_id,
        appearance=appearance,
        position=position,
        exact=segment.exact,
        prefix=segment.prefix,
        suffix=segment.suffix,
        start=segment.start,
        end=segment.end,
        state="unchecked",
    )
    if kept is None or kept.text is None:
        return anchor
    if segment.end is not None and segment.end > len(kept.text):
        raise Invalid.at(f"{pointer}/end", f"is past the text's end, {len(kept.text)}")
    look_up(anchor, kept.text)
    if claim.mode in _QUOTING and anchor.state not in ("exact", "normalised"):
        raise _not_there(kept, segment.exact, pointer)
    return anchor


def _not_there(kept: Row[Any], quote: str, pointer: str) -> Invalid:
    passage = nearest_passage(kept.text, quote)
    nearest = f"; the nearest passage is: {passage}" if passage else ""
    detail = f"is not in the source's text (snapshot {kept.id}){nearest}"
    return Invalid.at(pointer, detail, nearest_passage=passage)


def look_up(quoted: Any, text: str) -> None:
    """Looks a quote up in a text and notes its place on the row (an anchor's columns: `exact`, `prefix`,
    `suffix`, `start`, `end`, `state`, `score`).
    """
    place = locate(text, Selector(quoted.exact, quoted.prefix, quoted.suffix, quoted.start))
    quoted.state, quoted.score = place.state, place.score
    if place.start is not None:
        quoted.start, quoted.end = place.start, place.end
        prefix, suffix = surroundings(text, place)
        quoted.prefix, quoted.suffix = quoted.prefix or prefix, quoted.suffix or suffix


def check_again(session: WriteSession, snapshot: Snapshot, *, by: By) -> dict[str, int]:
    """Looks up every quote of a source in the text that has just come to hand, and counts the segments by
    state. Quotes that were checked in an older text stay as they were.
    """
    counts: dict[str, int] = {}
    ids = select(Appearance.claim_id).where(
        col(Appearance.source_id) == snapshot.source_id,
        col(Appearance.snapshot_id).is_(None) | (col(Appearance.snapshot_id) == snapshot.id),
    )
    claims = session.execute(select(Claim).where(col(Claim.id).in_(ids)).order_by(col(Claim.id)))
    for claim in claims.scalars().all():
        for state in _check_claim(session, claim, snapshot, by=by):
            counts[state] = counts.get(state, 0) + 1
    return counts


def _check_claim(session: WriteSession, claim: Claim, snapshot: Snapshot, *, by: By) -> list[str]:
    here, states = set(), []
    appearances: list[Appearance] = []
    for row in _rows(session, Appearance, claim.id):
        appearance = Appearance(**row._mapping)
        if appearance.source_id == snapshot.source_id:
            here.add(appearance.position)
            appearance.snapshot_id = snapshot.id
        appearances.append(appearance)
    anchors: list[Anchor] = []
    for row in _rows(session, Anchor, claim.id):
        anchor = Anchor(**row._mapping)
        if anchor.appearance in here:
            look_up(anchor, snapshot.text or "")
            states.append(anchor.state)
        anchors.append(anchor)
    parts: dict[str, Sequence[Part]] = {"appearances": appearances, "anchors": anchors}
    save(session, claim, by=by, action="claim.anchor", parts=parts)
    return states


def _rows(session: ReadSession, part: Any, claim_id: str) -> Sequence[Row[Any]]:
    rows = table(part)
    query = select(*rows.columns).where(rows.c.claim_id == claim_id)
    return session.execute(query.order_by(*rows.primary_key.columns)).all()


def _printed(*columns: Any) -> Query:
    """Segments with the appearance that each belongs to."""
    return select(*columns).join(
        Appearance,
        (col(Appearance.claim_id) == col(Anchor.claim_id))
        & (col(Appearance.position) == col(Anchor.appearance)),
    )


def of_source(
    session: ReadSession, source_id: str, ask: AnchorQuestion, after: Sequence[Any] | None
) -> Page[dict[str, Any]]:
    """A page of the segments that are quoted from a source, by claim."""
    columns = [getattr(Anchor, name) for name in (*ANCHOR, "claim_id", "position")]
    query = _printed(*columns, Appearance.snapshot_id).where(col(Appearance.source_id) == source_id)
    if ask.state:
        query = query.where(col(Anchor.state).in_(ask.state))
    found = page(session, query, [col(Anchor.claim_id), col(Anchor.position)], ask, after)
    rows = [
        {"claim": row.claim_id, "snapshot": row.snapshot_id, **anchor_document(row)} for row in found.rows
    ]
    return Page(rows, found.last)


def verify(session: ReadSession) -> Iterator[str]:
    """Yields each quote that is called exact and does not stand where its anchor says."""
    quoted = (
        _printed(Anchor.claim_id, Anchor.exact, Anchor.start, Anchor.end, Snapshot.text)
        .join(Snapshot, col(Snapshot.id) == col(Appearance.snapshot_id))
        .where(col(Anchor.state) == "exact", col(Snapshot.text).is_not(None))
        .order_by(Anchor.claim_id)
    )
    for anchor in session.execute(quoted.execution_options(yield_per=100)):
        if anchor.text[anchor.start : anchor.end] != anchor.exact:
            yield f"claim {anchor.claim_id}: a quote is not where its anchor says"
