"""Quotes looked up again when a text of their source comes to hand. Those that it interrupts are split."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, or_
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.sql import Query, among, select, table
from app.changes.model import fresh
from app.changes.store import By, New, save_parts
from app.claims.anchors import FOUND, Place, locate, locate_all, stands
from app.claims.model import Anchor, Appearance, Claim
from app.claims.passages import Selector, is_whole
from app.claims.pieces import Words, left_out
from app.claims.quotes import (
    QUOTING,
    Printed,
    covering,
    is_there,
    printed_in,
    selector,
    settle,
    without_context,
)
from app.sources.model import Snapshot


@dataclass(frozen=True)
class Checked:
    """A quote that was looked up in a text, of a claim or of a piece of evidence on one."""

    claim: str
    evidence: str | None
    exact: str
    state: str


@dataclass(frozen=True)
class Supplied:
    """A text that has come to hand. The newest of a source takes all of its quotes over; an older one takes
    those that waited for it, and is noted on those that were found nowhere else.
    """

    snapshot: Snapshot
    newest: bool

    def takes(self, seen_in: str | None) -> bool:
        """Whether it takes over a quote that was looked for in that snapshot before."""
        return self.newest or seen_in in (None, self.snapshot.id)

    def concerns(self, quoted: Any, seen_in: str | None) -> bool:
        """Whether a quote is to be looked up in it."""
        nowhere = quoted.state == "orphaned" and quoted.last_found_in is None
        return self.takes(seen_in) or nowhere

    @property
    def text(self) -> str:
        """The text itself."""
        return self.snapshot.text or ""

    @cached_property
    def words(self) -> Words:
        """The text by its words."""
        return Words(self.text)

    def look_up(
        self, quotes: Sequence[tuple[Any, str | None]], *, whole: Container[str] = ()
    ) -> Iterator[Any]:
        """Looks quotes up together, each with the snapshot that it was looked for in before, and yields them
        one by one as the place is noted. One that is gone keeps the place where it was last found. Those of
        the claims in `whole` do not stand within other words.
        """
        text = self.text
        places = locate_all(text, [selector(quoted) for quoted, _ in quotes])
        for (quoted, seen_in), found in zip(quotes, places, strict=True):
            cuts = quoted.claim_id in whole and not _is_whole(found, text)
            place = Place("orphaned") if cuts else found
            if self.takes(seen_in):
                if quoted.state in FOUND:
                    self._move(quoted, place, seen_in)
                settle(quoted, place, text)
                if self.snapshot.text_withheld:
                    without_context(quoted)
            elif place.start is not None:
                quoted.start, quoted.end, quoted.last_found_in = place.start, place.end, self.snapshot.id
            yield quoted

    def _move(self, quoted: Any, place: Place, seen_in: str | None) -> None:
        if place.start is None:
            quoted.last_found_in = seen_in
        else:
            quoted.prefix = quoted.suffix = None  # which are those of the older text


def _is_whole(place: Place, text: str) -> bool:
    return place.start is None or place.end is None or is_whole(text, place.start, place.end)


def check_again(session: WriteSession, supplied: Supplied, *, by: By) -> list[Checked]:
    """Looks up what claims quote from a source in a text of it that has just come to hand."""
    source_id = supplied.snapshot.source_id
    quoting = printed_in(Anchor.claim_id).where(col(Appearance.source_id) == source_id)
    appearances, anchors = (_by_claim(session, kind, quoting) for kind in (Appearance, Anchor))
    waiting = []
    for claim_id, segments in anchors.items():
        here = {item.position: item for item in appearances[claim_id] if item.source_id == source_id}
        quoted = [(each, here[each.appearance]) for each in segments if each.appearance in here]
        waiting += [(each, item) for each, item in quoted if supplied.concerns(each, item.snapshot_id)]
    found = select(Claim).where(among(session, Claim.id, {anchor.claim_id for anchor, _ in waiting}))
    claims = session.execute(found.order_by(col(Claim.id))).scalars().all() if waiting else []
    whole = {claim.id for claim in claims if claim.mode in QUOTING}
    looked_up = [*supplied.look_up([(a, i.snapshot_id) for a, i in waiting], whole=whole)]
    others = {id(each) for claim in claims for each in anchors[claim.id]} - {id(each) for each in looked_up}
    taken = [item for _, item in waiting if supplied.takes(item.snapshot_id)]
    for item in taken:
        item.snapshot_id = supplied.snapshot.id
    asked = {(item.claim_id, item.position) for item in taken if item.claim_id in whole}
    for claim in claims:
        anchors[claim.id] = _split(claim, anchors[claim.id], asked, supplied)
    printed = [Printed(appearances[claim.id], anchors[claim.id]) for claim in claims]
    changed = [New(claim, one.parts) for claim, one in zip(claims, printed, strict=True)]
    save_parts(session, changed, by=by, action="claim.anchor")
    told = (each for one in printed for each in one.anchors if id(each) not in others)
    return [Checked(each.claim_id, None, each.exact, each.state) for each in told]


def _split(
    claim: Claim, anchors: Sequence[Anchor], asked: Container[tuple[str, int]], supplied: Supplied
) -> list[Anchor]:
    """Return the anchors of a claim, made anew in some appearances where the text interrupts a piece."""
    made = list[Anchor]()
    for appearance, group in groupby(anchors, key=lambda each: each.appearance):
        here = [*group]
        anew = _anew(claim, here, supplied) if (claim.id, appearance) in asked else []
        for each in anew if supplied.snapshot.text_withheld else ():
            without_context(each)
        made += anew or here
    return made


def _anew(claim: Claim, here: Sequence[Anchor], supplied: Supplied) -> list[Anchor]:
    """Return the segments that a claim's quote has in a text; none if they are those that it has already, or
    if they are not there.
    """
    made, differs = list[Anchor](), False
    for piece, numbers in covering(claim, [each.exact for each in here]):
        rows = [here[n] for n in numbers]
        segments = [] if _stand(piece, rows, supplied.text) else _segments(piece, rows[0], supplied)
        made, differs = made + (segments or rows), differs or bool(segments)
        there = not segments and all(is_there(each, supplied.text) for each in rows)
        if there and (at := _left_out(piece, rows, supplied.text)) is not None:
            settle(rows[at], Place("orphaned"), supplied.text)
    for n, each in enumerate(made if differs else ()):
        each.position = n
    return made if differs else []


def _stand(piece: str, rows: Sequence[Anchor], text: str) -> bool:
    """Return whether segments of a piece stand in a text as words of their own, one after the other."""
    return all(is_there(each, text) for each in rows) and _left_out(piece, rows, text) is None


def _left_out(piece: str, rows: Sequence[Anchor], text: str) -> int | None:
    return left_out(text, piece, [(each.exact, each.start, each.end) for each in rows])


def _segments(piece: str, like: Anchor, supplied: Supplied) -> list[Anchor]:
    """Return the segments of a piece of a quote as they stand in a text; none if they do not."""
    made, text = list[Anchor](), supplied.text
    for exact in [piece] if stands(text, piece) else supplied.words.segments(piece):
        empty = dict.fromkeys(("prefix", "suffix", "start", "end", "score", "last_found_in"))
        place = {"claim_id": like.claim_id, "appearance": like.appearance, "position": len(made)}
        anchor = fresh(Anchor, **place, **empty, exact=exact, state="unchecked")
        after = (made[-1].end or 1) - 1 if made else None
        settle(anchor, locate(text, Selector(exact, start=after)), text)
        made.append(anchor)
    return made if _stand(piece, made, text) else []


def _by_claim(session: ReadSession, part: Any, claim_ids: Query) -> dict[str, list[Any]]:
    rows = table(part)
    query = select(*rows.columns).where(rows.c.claim_id.in_(claim_ids)).order_by(*rows.primary_key.columns)
    found: dict[str, list[Any]] = {}
    for row in session.execute(query):
        found.setdefault(row.claim_id, []).append(fresh(part, **row._mapping))
    return found


def has_context_of(kept: Snapshot, quoted: Any, seen_in: Any) -> list[ColumnElement[bool]]:
    """That a quote has words around it of a snapshot: the one that it is looked for in, or was found in."""
    return [
        or_(col(seen_in) == kept.id, col(quoted.last_found_in) == kept.id),
        or_(col(quoted.prefix).is_not(None), col(quoted.suffix).is_not(None)),
    ]


def take_off_contexts(session: WriteSession, kept: Snapshot, *, by: By) -> None:
    """Takes the words around what claims quote from a snapshot off."""
    quoting = printed_in(Anchor.claim_id).where(*has_context_of(kept, Anchor, Appearance.snapshot_id))
    appearances, anchors = (_by_claim(session, kind, quoting) for kind in (Appearance, Anchor))
    found = select(Claim).where(among(session, Claim.id, anchors)).order_by(col(Claim.id))
    claims = session.execute(found).scalars().all()
    for claim in claims:
        here = {item.position for item in appearances[claim.id] if item.source_id == kept.source_id}
        for anchor in anchors[claim.id]:
            if anchor.appearance in here:
                without_context(anchor)
    changed = [New(claim, Printed(appearances[claim.id], anchors[claim.id]).parts) for claim in claims]
    save_parts(session, changed, by=by, action="claim.anchor")
