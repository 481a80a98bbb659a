"""Confirmations that a claim's speaker said it: the words in a primary source, under the speaker's name.

Transcripts and the like have turns, each after a label: the name has to be in that of the turn that the words
are in. Statements, speeches and posts have one voice, which is named at their beginning or end.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Row
from sqlmodel import col

from app.base.db import ReadSession
from app.base.errors import Invalid
from app.base.sql import select
from app.claims.model import Anchor, Appearance, Claim, ClaimSpeaker
from app.claims.pieces import covered, is_short, left_out, pieces, words
from app.entities.model import Entity, EntityAlias
from app.reviews.model import ConfirmedBy, Evidence
from app.reviews.rules import PRIMARY
from app.sources.model import Snapshot, Source
from app.sources.store import text_of

_TURNS = frozenset({"transcript", "interview", "press_conference", "broadcast"})
_EDGE = 300
"""Characters at the beginning and end of a statement, speech or post where its voice is named."""


@dataclass(frozen=True)
class Name:
    """The words of a name. A person's last word alone will do beside titles."""

    words: Sequence[str]
    is_person: bool


Names = Sequence[Sequence[Name]]
"""The names of each speaker."""


@dataclass(frozen=True)
class Passage:
    """Words quoted from a source, and where they stand in its text."""

    exact: str
    state: str | None
    start: int | None
    end: int | None


@dataclass(frozen=True)
class _Proof:
    """The evidence on one text of a primary source."""

    kind: str
    voices: Sequence[str]  # authors and publisher
    text: str | None
    could_be_read: bool  # in another snapshot
    passages: Sequence[Passage]
    named: Sequence[Passage]
    located: bool


def confirm(session: ReadSession, claim: Claim, cited: Sequence[str]) -> ConfirmedBy:
    """Return how evidence confirms that the speakers said it: read in the source's text, or unread, since no
    text is at hand. Raises Invalid.
    """
    proofs = [*_proofs(session, claim, cited)]
    if not proofs:
        kinds = ", ".join(PRIMARY).replace("_", " ")
        detail = f"has no primary source, which confirmed needs: a source of one of the kinds {kinds}"
        raise Invalid.at("/evidence", detail)
    names = _names(session, claim.id)
    read = [_unproven(claim, proof, names) for proof in proofs if proof.text is not None]
    if None in read:
        return "read"
    unread = [_unlocated(claim, proof) for proof in proofs if proof.text is None]
    if None in unread:
        return "unread"
    raise Invalid.at("/evidence", str([*read, *unread][0]))


# --- the words ---------------------------------------------------------------------------------


def _unproven(claim: Claim, proof: _Proof, names: Names) -> str | None:
    """What is missing for a proof whose text is at hand."""
    found = [each for each in proof.passages if each.state in ("exact", "normalised")]
    if fault := _wrong_words(claim, found, proof.text or ""):
        return fault
    if _is_named(proof, found, names):
        return None
    return (
        "does not show the words under the speaker's name: give in `named` where the source says who speaks,"
        " which is the label of the turn that the words are in, or else the name at the beginning or end"
    )


def _unlocated(claim: Claim, proof: _Proof) -> str | None:
    """What is missing for a proof whose text is not at hand."""
    if proof.could_be_read:
        return "is of a snapshot without text, and the source has a text: leave `snapshot` out"
    if not proof.located:
        return "is of a source whose text is not at hand: give in `locator` the place or time of the words"
    return _wrong_words(claim, proof.passages, None)


def _wrong_words(claim: Claim, found: Sequence[Passage], text: str | None) -> str | None:
    passages = [each.exact for each in found]
    versions = [pieces(claim.mode, text) for text in (claim.text, claim.original_text) if text]
    if not versions[0]:
        if any(not is_short(passage) for passage in passages):
            return None
        return "has no passage of at least three words of the primary source"
    for parts in versions:
        used = covered(parts, passages)
        if not used or any(len(each) > 1 and any(is_short(passages[n]) for n in each) for each in used):
            continue
        segments = [[(passages[n], found[n].start, found[n].end) for n in each] for each in used]
        joined = zip(parts, segments, strict=True)
        if text is None or all(left_out(text, piece, each) is None for piece, each in joined):
            return None
    return "does not have the claim's own words in the primary source, as confirmed needs of a quote"


# --- the name ----------------------------------------------------------------------------------


def _is_named(proof: _Proof, found: Sequence[Passage], names: Names) -> bool:
    text = proof.text or ""
    if proof.kind in _TURNS:
        passages = [
            each for each in found if names and any(_under(text, name, each, names) for name in proof.named)
        ]
        return len(passages) == len(found)
    edges = [name.exact for name in proof.named if _at_an_edge(text, name)]
    return all(any(_has_whole_name(each, speaker) for each in (*edges, *proof.voices)) for speaker in names)


_TITLES = frozenset(
    "mr mrs ms miss dr prof professor sir lord lady president minister prime foreign vice chancellor senator"
    " governor general secretary speaker chair chairman chairwoman deputy mp rep sen gov the of hon"
    " herr frau abg abgeordneter abgeordnete mag präsident präsidentin minister ministerin kanzler"
    " bundeskanzler bundeskanzlerin bundesminister bundesministerin bundespräsident m mme monsieur madame"
    " pan paní pani господин госпожа депутат президент министр".split()
)


def _has_whole_name(text: str, names: Sequence[Name]) -> bool:
    found = words(text)
    return any(
        found[at : at + len(name.words)] == list(name.words)
        for name in names
        if name.words
        for at in range(len(found))
    )


def _is_called(label: str, names: Sequence[Name]) -> bool:
    """Return whether a label names somebody: by a whole name, or by the last one with nothing but titles and
    initials, since others may have it too.
    """
    for part in re.sub(r"\([^)]*\)|\[[^\]]*\]", " ", label).split(","):
        if any(word[0].islower() and word.casefold() not in _PARTICLES for word in re.findall(r"\w+", part)):
            continue
        if _has_whole_name(part, names):
            return True
        called = [word for word in words(part) if word not in _TITLES]
        for name in names:
            initials = {word[0] for word in name.words[:-1]}
            rest = [word for word in called[:-1] if word not in name.words and word not in initials]
            if name.is_person and called[-1:] == list(name.words[-1:]) and not rest:
                return True
    return False


def _at_an_edge(text: str, name: Passage) -> bool:
    start, end = name.start, name.end
    return start is not None and end is not None and (start <= _EDGE or end >= len(text) - _EDGE)


def _under(text: str, name: Passage, passage: Passage, names: Names) -> bool:
    """Return whether a passage is in the turn that a name begins."""
    if name.start is None or name.end is None or passage.start is None or passage.end is None:
        return False
    label = label_at(text, name.start)
    if label is None or not label.start() <= name.start < name.end <= label.end() <= passage.start:
        return False
    if not all(_is_called(label[0], speaker) for speaker in names):
        return False
    later = _labels(text, label.end(), passage.end)
    return all(any(_is_called(each, speaker) for speaker in names) for each in later)


_PARTICLES = frozenset("von van de der den la le du of the and al bin del di da dos zu und y e für".split())
_LABEL = re.compile(
    r"^[^\w\n]{0,4}(?P<who>\w[^\n:：.!?]{0,20}(?:(?:\.|[^\n:：.!?]){0,60}))(?:[:：]|(?=\n|\Z))", re.MULTILINE
)


def label_at(text: str, place: int) -> re.Match[str] | None:
    """Return the label of a turn, to its colon or its line's end, in whose line a place is."""
    found = _LABEL.match(text, text.rfind("\n", 0, place) + 1)
    return found if found and _is_label(text, found) else None


def _labels(text: str, start: int, end: int) -> Iterator[str]:
    for found in _LABEL.finditer(text, start, end):
        if found.start() > start and _is_label(text, found):
            yield found[0]


def _is_label(text: str, found: re.Match[str]) -> bool:
    who = re.sub(r"\([^)]*\)|\[[^\]]*\]|,.*", " ", found["who"])
    called = [word for word in re.findall(r"\w+", who) if word.casefold() not in _PARTICLES]
    capital = bool(called) and len(called) <= 8 and not any(word[0].islower() for word in called)
    if found[0][-1] in ":：":
        return capital
    alone = len(called) <= 6 and found[0].rstrip()[-1:] not in ".!?…"
    return capital and alone and _is_apart(text, found)


def _is_apart(text: str, found: re.Match[str]) -> bool:
    """Return whether a line without a colon begins a paragraph."""
    return text[max(0, found.start() - 2) : found.start()] in ("", "\n\n")


# --- what there is -----------------------------------------------------------------------------


def _proofs(session: ReadSession, claim: Claim, cited: Sequence[str]) -> Iterator[_Proof]:
    query = (
        select(Evidence, Source.kind, Source.authors, Entity.name, Snapshot.text)
        .join(Source, col(Source.id) == col(Evidence.source_id))
        .outerjoin(Entity, col(Entity.id) == col(Source.publisher_id))
        .outerjoin(Snapshot, col(Snapshot.id) == col(Evidence.snapshot_id))
        .where(col(Evidence.id).in_(cited), col(Source.kind).in_(PRIMARY))
        .order_by(col(Evidence.source_id), col(Evidence.snapshot_id), col(Evidence.id))
    )
    rows = session.execute(query).all()
    for _, group in groupby(rows, key=lambda row: (row.Evidence.source_id, row.Evidence.snapshot_id)):
        yield _proof(session, claim, [*group])


def _proof(session: ReadSession, claim: Claim, rows: Sequence[Row[Any]]) -> _Proof:
    first, pieces_of = rows[0], [row.Evidence for row in rows]
    passages = [Passage(e.exact, e.state, e.start, e.end) for e in pieces_of if e.exact is not None]
    return _Proof(
        kind=first.kind,
        voices=[voice for voice in (*first.authors, first.name) if voice],
        text=first.text,
        could_be_read=first.text is None and text_of(session, pieces_of[0].source_id, None) is not None,
        passages=passages or [*_of_the_claim(session, claim.id, pieces_of[0])],
        named=[
            Passage(e.named_exact, None, e.named_start, e.named_end)
            for e in pieces_of
            if e.named_exact is not None
        ],
        located=any(e.locator is not None for e in pieces_of),
    )


def _of_the_claim(session: ReadSession, claim_id: str, evidence: Evidence) -> Iterator[Passage]:
    """The segments of the claim's own appearance in the source, such as a post."""
    here = col(Appearance.source_id) == evidence.source_id, col(Appearance.claim_id) == claim_id
    belongs = (col(Appearance.claim_id) == col(Anchor.claim_id)) & (
        col(Appearance.position) == col(Anchor.appearance)
    )
    query = select(Anchor.exact, Anchor.state, Anchor.start, Anchor.end, Appearance.snapshot_id)
    for row in session.execute(query.join(Appearance, belongs).where(*here).order_by(col(Anchor.position))):
        if row.snapshot_id == evidence.snapshot_id:
            yield Passage(row.exact, row.state, row.start, row.end)


def _names(session: ReadSession, claim_id: str) -> Names:
    spoken = select(ClaimSpeaker.entity_id).where(col(ClaimSpeaker.claim_id) == claim_id)
    ids = session.execute(spoken).scalars().all()
    leads = select(Entity.id, Entity.canonical_id).where(col(Entity.id).in_(ids))
    canonical = {row.canonical_id for row in session.execute(leads)}
    merged = select(Entity.id, Entity.canonical_id, Entity.name, Entity.kind)
    rows = session.execute(merged.where(col(Entity.canonical_id).in_(canonical))).all()
    aliases = select(EntityAlias.entity_id, EntityAlias.name)
    others = session.execute(aliases.where(col(EntityAlias.entity_id).in_([row.id for row in rows]))).all()
    others = _not_of_others(session, others, canonical)
    known: Mapping[str, list[Name]] = {each: [] for each in canonical}
    about = {row.id: row for row in rows}
    for entity_id, name in [*((row.id, row.name) for row in rows), *others]:
        entity = about[entity_id]
        known[entity.canonical_id].append(Name(words(name), entity.kind == "person"))
    return list(known.values())


def _not_of_others(session: ReadSession, aliases: Sequence[Row[Any]], own: set[str]) -> list[Row[Any]]:
    """The aliases that are not somebody else's own name: whoever can add one would have others' words."""
    spelt = {form for row in aliases for form in (row.name, row.name.title(), row.name.upper())}
    theirs = select(Entity.name).where(col(Entity.name).in_(spelt), col(Entity.canonical_id).not_in(own))
    taken = {name.casefold() for name in session.execute(theirs).scalars()}
    return [row for row in aliases if row.name.casefold() not in taken]
