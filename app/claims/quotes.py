"""Quotes checked against the texts of their sources, when a claim is stated and when a text comes later."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import Row
from sqlmodel import col

from app.base.db import ReadSession
from app.base.errors import Invalid
from app.base.sql import Query, select
from app.changes.model import Part, fresh
from app.claims.anchors import (
    FOUND,
    Place,
    locate,
    nearest_passage,
    same_words,
    stands,
    surroundings,
)
from app.claims.documents import ANCHOR
from app.claims.model import Anchor, Appearance, Claim
from app.claims.passages import Selector, is_whole
from app.claims.pieces import covered, interrupted, is_interruption, is_short, left_out, pieces, words
from app.claims.shapes import AnchorIn, AppearanceIn, ClaimIn
from app.sources.model import Snapshot

QUOTING = ("direct_quote", "partial_quote")


@dataclass(frozen=True)
class Printed:
    """The rows of a claim's appearances and of the segments of its quote in them."""

    appearances: list[Appearance]
    anchors: list[Anchor]

    @property
    def parts(self) -> dict[str, Sequence[Part]]:
        """Them, by the claim's names for its parts."""
        return {"appearances": self.appearances, "anchors": self.anchors}


Texts = Callable[[str, str | None], Row[Any] | None]
"""Gives the text to check quotes in, of a source's id and perhaps a snapshot's: see `text_of`."""


def check(claim_id: str, claim: ClaimIn, sources: Mapping[str, str], texts: Texts) -> Printed:
    """Looks each segment up in its source's text. Raises Invalid if a quote is not there, with the nearest
    passage, or if its segments are not its words, all of them and in order. `sources` has the ids that the
    claim's references lead to.
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
        anchors = list[Anchor]()
        for m, segment in enumerate(_segments(claim, item, n, kept)):
            place = f"/appearances/{n}/anchors/{m}" if item.anchors else "/text"
            expected = _expected(segment, claim, anchors[-1]) if anchors else segment
            anchors.append(_anchor(claim, expected, kept, place, (claim_id, n, m)))
        if item.anchors and kept is not None and kept.text is not None:
            _must_be_in_order(claim, anchors, kept.text, f"/appearances/{n}/anchors")
        printed.anchors.extend(anchors)
    return printed


def _segments(claim: ClaimIn, item: AppearanceIn, n: int, kept: Row[Any] | None) -> Sequence[AnchorIn]:
    if claim.mode not in QUOTING:
        return item.anchors
    if not item.anchors:
        text = kept.text if kept else None
        return [each for piece in pieces(claim.mode, claim.text) for each in _found(text, piece)]
    if claim.mode == "direct_quote":
        quoted = " ".join(segment.exact for segment in item.anchors)
        if not any(same_words(quoted, text) for text in _versions(claim)):
            raise Invalid.at(f"/appearances/{n}/anchors", "are not, together, the words of the direct quote")
    elif not covering(claim, [segment.exact for segment in item.anchors]):
        parts = " ".join(f"“{piece}”" for piece in pieces(claim.mode, claim.text))
        raise Invalid.at(
            f"/appearances/{n}/anchors", f"are not, together, the words that are quoted: {parts}"
        )
    return item.anchors


def _expected(segment: AnchorIn, claim: ClaimIn, before: Anchor) -> AnchorIn:
    """A segment, which is expected after the one before it."""
    if segment.start is not None or claim.mode not in QUOTING or before.state not in FOUND or not before.end:
        return segment
    return segment.model_copy(update={"start": before.end - 1})


def _versions(claim: ClaimIn | Claim) -> list[str]:
    return [text for text in (claim.text, claim.original_text) if text]


def covering(claim: ClaimIn | Claim, anchors: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Return the pieces of a claim's quote with the anchors of each, in its words here or in the original
    ones; none if they do not cover either.
    """
    for text in _versions(claim):
        parts = pieces(claim.mode, text)
        if parts and (used := covered(parts, anchors)) is not None:
            return [*zip(parts, used, strict=True)]
    return []


def _found(text: str | None, piece: str) -> list[AnchorIn]:
    """The segments of a piece: itself, or, where the text interrupts it, those around the attributions."""
    if text is not None and not stands(text, piece) and (parts := interrupted(text, piece)):
        return [AnchorIn(exact=segment) for segment in parts]
    return [AnchorIn(exact=piece)]


def _must_be_in_order(claim: ClaimIn, anchors: Sequence[Anchor], text: str, pointer: str) -> None:
    """Raises Invalid for segments of a quote that do not follow each other: words picked from all over a text
    make any sentence.
    """
    if claim.mode not in QUOTING:
        return
    for piece, used in covering(claim, [anchor.exact for anchor in anchors]):
        for n, m in pairwise(used):
            one, other = anchors[n], anchors[m]
            if one.end is None or other.start is None or other.start < one.end:
                raise Invalid.at(f"{pointer}/{m}", "does not stand after the segment before it")
            short = is_short(one.exact) or is_short(other.exact)
            if short and not _belong_together(text, one.end, other.start):
                detail = "has, or follows, fewer than three words: nothing but an attribution may be between"
                raise Invalid.at(f"{pointer}/{m}", detail)
        segments = [(anchors[n].exact, anchors[n].start, anchors[n].end) for n in used]
        if (at := left_out(text, piece, segments)) is not None:
            detail = (
                "leaves out words of the source before it: the claim's text has to say so by an ellipsis (…)"
            )
            raise Invalid.at(f"{pointer}/{used[at]}", detail)


def _belong_together(text: str, end: int, start: int) -> bool:
    return not words(text[end:start]) or is_interruption(text, end, start)


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
    if kept is None:
        return anchor
    look_up(anchor, kept, segment, pointer)
    if kept.text is None:
        return anchor
    if claim.mode in QUOTING and not is_there(anchor, kept.text):
        raise _not_there(kept, segment.exact, pointer)
    return anchor


def is_there(anchor: Anchor, text: str) -> bool:
    """Return whether a text has a quote word for word, and not as a part of other words."""
    if anchor.state not in ("exact", "normalised") or anchor.start is None or anchor.end is None:
        return False
    return is_whole(text, anchor.start, anchor.end)


def must_be_inside(segment: AnchorIn, text: str, pointer: str) -> None:
    """Raises Invalid for an anchor outside its text."""
    if segment.start is not None and segment.start >= len(text):
        raise Invalid.at(f"{pointer}/start", f"is past the text's end, {len(text)}")
    if segment.end is not None and segment.end > len(text):
        raise Invalid.at(f"{pointer}/end", f"is past the text's end, {len(text)}")


_INTERRUPTED = 'if it is interrupted there, give each segment: {"anchors": [{"exact": …}, {"exact": …}]}'


def _not_there(kept: Row[Any], quote: str, pointer: str) -> Invalid:
    passage = None if kept.text_withheld else nearest_passage(kept.text, quote)
    nearest = f"; the nearest passage is: {passage}" if passage else ""
    detail = f"is not in the source's text (snapshot {kept.id}){nearest}"
    if pointer == "/text":
        detail += f"; {_INTERRUPTED}"
    return Invalid.at(pointer, detail, nearest_passage=passage)


def look_up(quoted: Any, kept: Any, segment: AnchorIn, pointer: str) -> None:
    """Looks a quote up in the text of a snapshot, if that is at hand, and notes its place on the row (an
    anchor's columns: `exact`, `prefix`, `suffix`, `start`, `end`, `state`, `score`, `last_found_in`). Raises
    Invalid for an anchor outside that text.
    """
    if kept.text is not None:
        must_be_inside(segment, kept.text, pointer)
        settle(quoted, locate(kept.text, selector(quoted)), kept.text)
    if kept.text_withheld:
        without_context(quoted)


def without_context(quoted: Any) -> None:
    """Takes the words around a quote off its row: those of a withheld text are kept nowhere but in it."""
    quoted.prefix = quoted.suffix = None


def selector(quoted: Any) -> Selector:
    """Return what a quote's row says of where it stands."""
    return Selector(quoted.exact, quoted.prefix, quoted.suffix, quoted.start)


def settle(quoted: Any, place: Place, text: str) -> None:
    """Note on a quote's row where it stands in a text."""
    quoted.state, quoted.score = place.state, place.score
    if place.start is not None:
        quoted.start, quoted.end, quoted.last_found_in = place.start, place.end, None
        prefix, suffix = surroundings(text, place)
        quoted.prefix, quoted.suffix = quoted.prefix or prefix, quoted.suffix or suffix


def keep_last_found(session: ReadSession, printed: Printed) -> None:
    """Has the segments of a revised claim that are orphaned still keep their places, and where those are."""
    names = ("exact", "start", "end", "last_found_in")
    claims = {item.claim_id for item in printed.appearances}
    columns = [*(getattr(Anchor, name) for name in names), Appearance.source_id]
    gone = printed_in(*columns).where(col(Anchor.claim_id).in_(claims), col(Anchor.state) == "orphaned")
    known = {(row.source_id, row.exact): row for row in session.execute(gone)}
    sources = {item.position: item.source_id for item in printed.appearances}
    for anchor in printed.anchors:
        old = known.get((sources[anchor.appearance], anchor.exact))
        if old is not None and anchor.state == "orphaned":
            anchor.start, anchor.end, anchor.last_found_in = old.start, old.end, old.last_found_in


# --- shown and checked -------------------------------------------------------------------------


def printed_in(*columns: Any) -> Query:
    """Return the query for segments with the appearance that each belongs to."""
    return select(*columns).join(
        Appearance,
        (col(Appearance.claim_id) == col(Anchor.claim_id))
        & (col(Appearance.position) == col(Anchor.appearance)),
    )


def of_source(source_id: str) -> Query:
    """The query for the segments that claims quote from a source."""
    columns = [getattr(Anchor, name) for name in ("claim_id", "position", *ANCHOR)]
    record: Any = col(Anchor.claim_id).label("record_id")
    return printed_in(*columns, record, Appearance.snapshot_id).where(col(Appearance.source_id) == source_id)


def verify(session: ReadSession) -> Iterator[str]:
    """Yields each quote that is called exact and does not stand where its anchor says."""
    quoted = (
        printed_in(Anchor.claim_id, Anchor.exact, Anchor.start, Anchor.end, Snapshot.text)
        .join(Snapshot, col(Snapshot.id) == col(Appearance.snapshot_id))
        .where(col(Anchor.state) == "exact", col(Snapshot.text).is_not(None))
        .order_by(Anchor.claim_id)
    )
    for anchor in session.execute(quoted.execution_options(yield_per=100)):
        if anchor.text[anchor.start : anchor.end] != anchor.exact:
            yield f"claim {anchor.claim_id}: a quote is not where its anchor says"
