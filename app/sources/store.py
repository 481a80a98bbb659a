"""Sources: added, revised, found; and their snapshots, archived and supplied again."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Row, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.access.model import Role
from app.base.db import ReadSession, WriteSession
from app.base.errors import MOST_ERRORS, Conflict, Fault, Forbidden, Invalid, NotFound
from app.base.ids import new_id, noun_of
from app.base.page import Page, page
from app.base.sql import Query, select
from app.base.times import UNDATED, now
from app.base.types import canonical_url, dated, wire
from app.changes.erasure import begin_epoch
from app.changes.hidden import INTERNAL
from app.changes.model import columns_as_sent, fresh
from app.changes.store import By, save
from app.entities.documents import brief, brief_columns
from app.entities.model import Entity
from app.entities.store import everyone_merged
from app.entities.store import resolve as resolve_entities
from app.entities.words import searched
from app.sources import words
from app.sources.model import Snapshot, SnapshotIn, Source, SourceIn, SourceQuestion

# --- writing -----------------------------------------------------------------------------------


def create(session: WriteSession, source: SourceIn, *, by: By, internal: bool = False) -> Source:
    """A new source, public or internal. Raises Conflict if its URL, in any spelling, is here already."""
    canonical = _free_address(session, source, None)
    record = compose(source, canonical, resolve_entities(session, _publisher(source)), internal=internal)
    save(session, record, by=by, action="source.create")
    return record


def compose(source: SourceIn, canonical: str, ids: Mapping[str, str], *, internal: bool = False) -> Source:
    """The row of a new source, with its URL in canonical form and the id that its publisher leads to."""
    columns = _columns(source, canonical, ids)
    return fresh(Source, id=new_id("src"), **columns, visibility=INTERNAL if internal else None)


def revise(
    session: WriteSession, record: Source, source: SourceIn, fields: Collection[str], *, by: By
) -> None:
    """Gives the named fields of a source their new values. Raises as create does."""
    canonical = _free_address(session, source, record.id)
    ids = resolve_entities(session, _publisher(source))
    if source.publisher is not None and source.publisher == record.publisher_id:
        ids = {source.publisher: source.publisher}  # or it would follow a merge for good
    for name, value in _columns(source, canonical, ids, fields).items():
        if getattr(record, name) != value:
            setattr(record, name, value)
    save(session, record, by=by, action="source.revise")


def _free_address(session: ReadSession, source: SourceIn, own_id: str | None) -> str:
    canonical = canonical_url(source.url)
    holder = session.execute(select(Source.id).where(col(Source.canonical_url) == canonical)).scalar()
    if holder not in (None, own_id):
        raise Conflict(f"{source.url} is {holder} here.", existing=holder)
    return canonical


def _publisher(source: SourceIn) -> dict[str, str]:
    return {"/publisher": source.publisher} if source.publisher else {}


_AS_SENT = columns_as_sent(Source, SourceIn)


def _columns(
    source: SourceIn,
    canonical: str,
    ids: Mapping[str, str],
    fields: Collection[str] = SourceIn.model_fields.keys(),
) -> dict[str, Any]:
    columns = {name: getattr(source, name) for name in _AS_SENT if name in fields}
    if "url" in fields:
        columns["canonical_url"] = canonical
    if "publisher" in fields:
        columns["publisher_id"] = ids[source.publisher] if source.publisher else None
    if "published" in fields:
        days = dated(source.published)
        columns["published_latest"] = days.latest if days else UNDATED
    return columns


def archive(
    session: WriteSession, source: Source, snapshot: SnapshotIn, *, by: By, role: Role
) -> tuple[Snapshot, bool]:
    """Keeps a snapshot, or supplies the text of one that is here by its hash. The flag says whether a text
    came to hand that was not there before. Raises Invalid if hash or length are not the text's, and
    Forbidden where a text that is withheld would be shown by who may not read it.
    """
    sha256, length = fingerprint(snapshot)
    query = select(Snapshot).where(col(Snapshot.source_id) == source.id, col(Snapshot.sha256) == sha256)
    kept = session.execute(query).scalars().first()
    if kept is None:
        kept = Snapshot(
            id=new_id("snp"),
            source_id=source.id,
            sha256=sha256,
            length=length,
            retrieved_at=snapshot.retrieved_at or now(),
            text_withheld=bool(snapshot.text_withheld),
            text_at_hand=False,
        )
    elif kept.length != length:
        raise Invalid.at("/length", f"is {length}, but the snapshot with that hash has {kept.length}")
    if kept.text_withheld and snapshot.text_withheld is False and role < Role.checker:
        raise Forbidden("This text is withheld: only a checker, or a role above, may have it shown.")
    supplied = snapshot.text is not None and not kept.text_at_hand
    if supplied:
        kept.text, kept.text_at_hand = snapshot.text, True
    moved = snapshot.text_withheld not in (None, kept.text_withheld)
    if snapshot.text_withheld is not None:
        kept.text_withheld = snapshot.text_withheld
    save(session, kept, by=by, action="snapshot.supply" if kept.version else "snapshot.archive")
    if moved or (supplied and kept.text_withheld):
        begin_epoch(session)  # earlier moments have words around quotes of this text, or lack them
    return kept, supplied


def is_newest(session: ReadSession, kept: Snapshot) -> bool:
    """Whether no text at hand of the source was retrieved later."""
    later = tuple_(col(Snapshot.retrieved_at), col(Snapshot.id)) > (kept.retrieved_at, kept.id)
    query = select(Snapshot.id).where(col(Snapshot.source_id) == kept.source_id, later)
    return session.execute(query.where(col(Snapshot.text_at_hand).is_(True)).limit(1)).first() is None


def as_recorded(session: ReadSession, source_id: str, snapshot: SnapshotIn) -> SnapshotIn:
    """A text as it was recorded, without the newline that editors put at the end. Raises Invalid if the
    source has recorded texts and this is none of them.
    """
    query = select(Snapshot.sha256).where(col(Snapshot.source_id) == source_id)
    recorded = session.execute(query).scalars().all()
    text = snapshot.text or ""
    for spelling in (text, text.rstrip("\n")):
        if not recorded or text_hash(spelling) in recorded:
            return snapshot.model_copy(update={"text": spelling})
    hashes = " or ".join(recorded)
    raise Invalid(f"The text has sha256 {text_hash(text)} in NFC with LF, and {hashes} is on record.")


def fingerprint(snapshot: SnapshotIn) -> tuple[str, int]:
    """The hash and length of a snapshot's text. Raises Invalid if those given are not the text's."""
    if snapshot.text is None:
        if snapshot.sha256 is None or snapshot.length is None:
            raise Invalid.at("/text", "is needed, or else both sha256 and length of it")
        return snapshot.sha256, snapshot.length
    sha256, length = text_hash(snapshot.text), len(snapshot.text)
    if snapshot.sha256 not in (None, sha256):
        raise Invalid.at("/sha256", f"is not the text's, which is {sha256} in NFC with LF")
    if snapshot.length not in (None, length):
        raise Invalid.at("/length", f"is not the text's, which has {length} code points")
    return sha256, length


def text_hash(text: str) -> str:
    """SHA-256 of the UTF-8 of a normalised text."""
    return hashlib.sha256(text.encode()).hexdigest()


# --- finding -----------------------------------------------------------------------------------


def row(session: WriteSession, ref: str) -> Source:
    """The source with that id or URL, to be changed. Raises NotFound."""
    source: Source | None = session.execute(select(Source).where(_is(ref))).scalars().first()
    if source is None:
        raise _unknown(ref)
    return source


def identity(session: ReadSession, ref: str) -> Row[Any]:
    """The id of the source with that id or URL. Raises NotFound."""
    found = session.execute(select(Source.id).where(_is(ref))).first()
    if found is None:
        raise _unknown(ref)
    return found


def known(session: ReadSession, ref: str) -> bool:
    """Whether there is a source with that id or URL."""
    return session.execute(select(Source.id).where(_is(ref))).first() is not None


def _is(ref: str) -> Any:
    if noun_of(ref) == "source":
        return col(Source.id) == ref
    return col(Source.canonical_url) == (_canonical(ref) or "")


def _canonical(ref: str) -> str | None:
    try:
        return canonical_url(ref)
    except ValueError:
        return None


def _unknown(ref: str) -> NotFound:
    noun = noun_of(ref)
    if noun not in (None, "source"):
        return NotFound(f"{ref} is the id of a {noun}, not of a source.")
    return NotFound(f"There is no source {ref}.")


def resolve(session: ReadSession, refs: Mapping[str, str]) -> dict[str, str]:
    """The ids that ids or URLs lead to, for a mapping of JSON pointers to them. Raises Invalid."""
    if not refs:
        return {}
    wanted = {ref: _canonical(ref) or ref for ref in refs.values()}
    query = select(Source.id, Source.canonical_url).where(
        col(Source.id).in_(wanted) | col(Source.canonical_url).in_(wanted.values())
    )
    found: dict[str, str] = {}
    for source in session.execute(query):
        found |= {source.id: source.id, source.canonical_url: source.id}
    unknown = [place for place, ref in refs.items() if ref not in found and wanted[ref] not in found]
    if unknown:
        errors: list[Fault] = [
            {"pointer": place, "detail": _unknown(refs[place]).detail} for place in unknown[:MOST_ERRORS]
        ]
        raise Invalid.of(errors, len(unknown))
    return {ref: found.get(ref) or found[wanted[ref]] for ref in wanted}


def text_of(session: ReadSession, source_id: str, snapshot_id: str | None) -> Row[Any] | None:
    """id, sha256, text and `text_withheld` of the snapshot to check quotes in: the one named, or the newest
    whose text is at hand. None if there is none; `text` is null if it is not at hand. Raises Invalid for
    another's snapshot.
    """
    columns = (Snapshot.id, Snapshot.sha256, Snapshot.text, Snapshot.text_withheld)
    query = select(*columns).where(col(Snapshot.source_id) == source_id)
    if snapshot_id is None:
        newest = col(Snapshot.retrieved_at).desc(), col(Snapshot.id).desc()
        at_hand = col(Snapshot.text_at_hand).is_(True)
        return session.execute(query.where(at_hand).order_by(*newest).limit(1)).first()
    found = session.execute(query.where(col(Snapshot.id) == snapshot_id)).first()
    if found is None:
        raise Invalid(f"{snapshot_id} is not a snapshot of that source.")
    return found


def find(session: ReadSession, ask: SourceQuestion, after: Sequence[Any] | None) -> Page[dict[str, Any]]:
    """A page of sources."""
    query = _sources()
    if ask.url:
        spellings = [_canonical(url) or url for url in ask.url]
        query = query.where(col(Source.canonical_url).in_(spellings))
    if ask.publisher:
        publishers = everyone_merged(session, "publisher", ask.publisher)
        query = query.where(col(Source.publisher_id).in_(publishers))
    if ask.kind:
        query = query.where(col(Source.kind).in_(ask.kind))
    if ask.q:
        among = query.with_only_columns(col(Source.id))
        return searched(session, ask.q, "source", among, ask, after, read=by_id, matched=words.matched)
    keys = [col(Source.published_latest)] if ask.sort == "published" else []
    found = page(session, query, [*keys, col(Source.id)], ask, after)
    return Page([_document(row) for row in found.rows], found.last)


def by_id(session: ReadSession, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Some sources as every route shows them."""
    rows = session.execute(_sources().where(col(Source.id).in_(ids)))
    return {row.source_id: _document(row) for row in rows}


# --- showing -----------------------------------------------------------------------------------

_SHOWN = ("authors", "published", "language", "kind", "archive_url", "version", "created_at",
          "updated_at")  # fmt: skip
_HELD_BACK = ("visibility", "embargoed_until")


def brief_source_columns(publisher: Any) -> list[Any]:
    """What `brief_source` needs; `publisher` is the alias of entities that was joined."""
    columns = [getattr(Source, name).label(f"source_{name}") for name in ("id", "title", "url")]
    return [*columns, *brief_columns(publisher, "publisher")]


def brief_source(row: Any) -> dict[str, Any]:
    """A source inside another record."""
    return {
        "id": row.source_id,
        "title": row.source_title,
        "url": row.source_url,
        "publisher": brief(row, "publisher"),
    }


def join_publisher(query: Query, publisher: Any) -> Query:
    """Joins a source's publisher, merges followed."""
    written = aliased(Entity)
    return query.outerjoin(written, col(written.id) == col(Source.publisher_id)).outerjoin(
        publisher, col(publisher.id) == col(written.canonical_id)
    )


@cache
def _sources() -> Query:
    publisher = aliased(Entity)
    shown = [getattr(Source, name) for name in (*_SHOWN, *_HELD_BACK)]
    query = select(*brief_source_columns(publisher), *shown).select_from(Source)
    return join_publisher(query, publisher)


def _document(row: Row[Any]) -> dict[str, Any]:
    held = {name: wire(value) for name in _HELD_BACK if (value := getattr(row, name)) is not None}
    return brief_source(row) | {name: wire(getattr(row, name)) for name in _SHOWN} | held


def document(session: ReadSession, source_id: str) -> dict[str, Any]:
    """One source as every route shows it."""
    return _document(session.execute(_sources().where(col(Source.id) == source_id)).one())


def as_input(record: Source) -> dict[str, Any]:
    """The source as it would be sent to create it: what a merge patch is applied to."""
    return {name: getattr(record, name) for name in _AS_SENT} | {"publisher": record.publisher_id}


_SNAPSHOT = ("id", "sha256", "length", "retrieved_at", "text_withheld", "text_at_hand", "version",
             "created_at", "updated_at")  # fmt: skip
_CALLED = {"text_at_hand": "has_text"}
"""Columns that answers have by another name."""


def snapshots(source_id: str) -> Query:
    """The query for a source's snapshots, without their text."""
    columns = [getattr(Snapshot, name) for name in ("source_id", *_SNAPSHOT)]
    return select(*columns).where(col(Snapshot.source_id) == source_id)


def snapshot(
    session: ReadSession, source_id: str, snapshot_id: str, *, withheld_too: bool = False
) -> dict[str, Any]:
    """One snapshot with its text; a withheld one only `withheld_too`. Raises NotFound."""
    query = snapshots(source_id).add_columns(col(Snapshot.text))
    found = session.execute(query.where(col(Snapshot.id) == snapshot_id)).first()
    if found is None:
        raise NotFound(f"There is no snapshot {snapshot_id} of that source.")
    shown = withheld_too or not found.text_withheld
    return snapshot_document(found) | {"text": found.text if shown else None}


def snapshot_document(snapshot: Snapshot | Row[Any]) -> dict[str, Any]:
    """A snapshot as lists show it."""
    shown = {_CALLED.get(name, name): wire(getattr(snapshot, name)) for name in _SNAPSHOT}
    return {"id": shown.pop("id"), "source": snapshot.source_id, **shown}


# --- checking ----------------------------------------------------------------------------------


def verify(session: ReadSession) -> Iterator[str]:
    """Yields each snapshot whose text is not the one that its hash and length were taken of."""
    columns = (Snapshot.id, Snapshot.sha256, Snapshot.length, Snapshot.text_at_hand, Snapshot.text)
    for kept in session.execute(select(*columns).order_by(Snapshot.id).execution_options(yield_per=10)):
        if kept.text_at_hand != (kept.text is not None):
            yield f"snapshot {kept.id}: its text has gone, or has come without a record of it"
        elif kept.text is not None and (text_hash(kept.text), len(kept.text)) != (kept.sha256, kept.length):
            yield f"snapshot {kept.id}: its text is not the one that was archived"
