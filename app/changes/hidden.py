"""Which records the public may not see, and how the ledger tells of them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field as Describe
from sqlalchemy import ColumnElement, column, exists, table
from sqlmodel import Field, SQLModel, col

from app.base.db import ReadSession
from app.base.errors import Invalid
from app.base.sql import among, select
from app.base.types import Id
from app.changes.entry import Entry, withheld, without_remains
from app.changes.model import Change
from app.changes.workers import without_workers

Visibility = Literal["public", "internal"]

INTERNAL: Visibility = "internal"
"""The `visibility` of a record that is not public; that of one that is public is null."""

ShownVisibility = Annotated[
    Literal["internal"] | None, Describe(description="`internal` where it is not public; else left out.")
]


class Hidden(SQLModel, table=True):
    """A record that the public may not see. Derived from the records: see `app.visibility`."""

    __tablename__ = "hidden_records"

    record_id: str = Field(primary_key=True, sa_type=Id)


# Modules to the right of this one have this table.
_EVIDENCE = table("evidence", column("id"), column("note_visibility"))

_OF_PROPOSALS = frozenset({"claim.propose", "claim.return"})
"""The moves whose reasons are words of a ruling that is not public."""


def hidden_among(session: ReadSession, ids: Collection[str]) -> set[str]:
    """Return which of some records, by their ids, are hidden."""
    if not ids:
        return set()
    query = select(Hidden.record_id).where(among(session, Hidden.record_id, ids))
    return set(session.execute(query).scalars())


def hidden_of(session: ReadSession, prefix: str) -> list[str]:
    """Return the ids of all hidden records of a kind, by how these begin."""
    kind = col(Hidden.record_id) >= prefix, col(Hidden.record_id) < prefix + "~"
    return [*session.execute(select(Hidden.record_id).where(*kind)).scalars()]


_ANY = "app.changes.hidden.any"


def must_be_seen(session: ReadSession, named: Mapping[str, str]) -> None:
    """Raise Invalid if something public would name a record that is hidden: `named` has ids by the JSON
    pointers at which they are named.
    """
    if not named:
        return
    if _ANY not in session.info:  # once for a whole file of rows
        session.info[_ANY] = session.execute(select(Hidden.record_id).limit(1)).first() is not None
    if not session.info[_ANY]:
        return
    hidden = hidden_among(session, {*named.values()})
    for place, record_id in named.items():
        if record_id in hidden:
            raise Invalid.at(place, f"{record_id} is internal, and what is public may not name it")


def is_seen() -> ColumnElement[bool]:
    """That an entry is of a record that the public sees: without it, who filters entries would learn of what
    the others are.
    """
    return ~exists().where(col(Hidden.record_id) == col(Change.resource_id))


def of_seen(record_id: Any) -> ColumnElement[bool]:
    """That an entry is of one of the records, by the column with their ids, that are seen by who reads."""
    return exists().where(col(record_id) == col(Change.resource_id))


def as_seen(session: ReadSession, found: Sequence[Entry]) -> list[Entry]:
    """Return entries as the caller of a session may have them: whole to those inside. Of an entry of a hidden
    record the public has the place, the time and the commitments; without the internal notes of evidence and
    the reasons of proposals it has the others.
    """
    if not session.public:
        return [*found]
    hidden = hidden_among(session, {each["resource_id"] for each in found})
    evidence = {each["resource_id"] for each in found if each["resource"] == "evidence"} - hidden
    noted: set[str] = set()
    if evidence:
        notes = select(_EVIDENCE.c.id).where(_EVIDENCE.c.note_visibility == INTERNAL)
        noted = set(session.execute(notes.where(among(session, _EVIDENCE.c.id, evidence))).scalars())
    return [without_workers(_as_seen(each, hidden, noted)) for each in found]


def _as_seen(entry: Entry, hidden: Collection[str], noted: Collection[str]) -> Entry:
    if entry["resource_id"] in hidden:
        return _without_values(entry)
    if entry["resource_id"] in noted:
        return withheld(entry, {"difference.note"}.__contains__)
    if entry["action"] in _OF_PROPOSALS and "form" in entry:
        return withheld(entry, {"reason"}.__contains__)
    return entry


_PLACE = ("form", "seq", "at", "previous_hash", "hash")


def _without_values(entry: Entry) -> Entry:
    if "form" in entry:
        return withheld(without_remains(entry), lambda _name: True)
    return {name: value if name in _PLACE else None for name, value in entry.items()}
