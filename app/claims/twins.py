"""What tells one claim from another: the same words of the same speakers, date and sources are one claim."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import orjson
from sqlalchemy import delete
from sqlmodel import Field, SQLModel, col

from app.base.db import ReadSession, WriteSession
from app.base.sql import among, insert_many, select
from app.base.types import Id
from app.changes.model import Part
from app.changes.store import New, Projection, Saved, part_documents
from app.claims.model import Claim
from app.words.index import batches

_TOLD_BY = frozenset({"text", "mode", "said", "speakers", "appearances"})


class ClaimTwin(SQLModel, table=True):
    """The fingerprint of a claim. Made of its rows, and so off the ledger."""

    __tablename__ = "claim_twins"

    claim_id: str = Field(primary_key=True, sa_type=Id, foreign_key="claims.id")
    fingerprint: str = Field(sa_type=Id, index=True)


def fingerprint(
    text: str, mode: str, said: str | None, speakers: Sequence[str], sources: Sequence[str]
) -> str:
    """128 bits of SHA-256 of what tells a claim apart; `speakers` and `sources` are ids."""
    return hashlib.sha256(orjson.dumps([text, mode, said, speakers, sorted(sources)])).hexdigest()[:32]


def of_new(new: New[Claim]) -> str:
    """The fingerprint of a claim that is not written yet."""
    record = new.record
    speakers, sources = (_ids(new.parts[name], key) for name, key in _IDS)
    return fingerprint(record.text, record.mode, record.said, speakers, sources)


def known(session: ReadSession, fingerprints: Collection[str]) -> dict[str, str]:
    """The ids of the claims that have them, by fingerprint."""
    query = select(ClaimTwin.fingerprint, ClaimTwin.claim_id)
    rows = session.execute(query.where(among(session, ClaimTwin.fingerprint, fingerprints)))
    return {row.fingerprint: row.claim_id for row in rows}


_IDS = (("speakers", "entity_id"), ("appearances", "source_id"))


def _ids(parts: Sequence[Part], key: str) -> list[str]:
    return [getattr(part, key) for part in parts]


def _note(session: WriteSession, saved: Sequence[Saved]) -> None:
    made = [
        (one.id, one.difference) for one in saved if one.difference.get("mode", {"old": ""})["old"] is None
    ]
    rows = [(claim_id, _of_difference(difference)) for claim_id, difference in made]
    changed = {one.id for one in saved if _TOLD_BY & one.difference.keys()} - {
        claim_id for claim_id, _ in made
    }
    if changed:
        session.execute(delete(ClaimTwin).where(col(ClaimTwin.claim_id).in_(changed)))
        rows += _of_kept(session, sorted(changed))
    insert_many(session, ClaimTwin, rows)


def _of_difference(difference: Any) -> str:
    text, mode, said = (difference.get(name, {}).get("new") for name in ("text", "mode", "said"))
    speakers, sources = (
        [part[key] for part in difference.get(name, {}).get("new") or ()] for name, key in _IDS
    )
    return fingerprint(text, mode, said, speakers, sources)


def _of_kept(session: ReadSession, ids: Sequence[str]) -> list[tuple[str, str]]:
    said_by, found_in = (part_documents(session, Claim, name, ids) for name, _ in _IDS)
    rows = session.execute(select(Claim.id, Claim.text, Claim.mode, Claim.said).where(col(Claim.id).in_(ids)))
    return [
        (
            row.id,
            fingerprint(
                row.text,
                row.mode,
                row.said,
                [part["entity_id"] for part in said_by.get(row.id, [])],
                [part["source_id"] for part in found_in.get(row.id, [])],
            ),
        )
        for row in rows
    ]


# --- rebuilding and verifying ------------------------------------------------------------------

_ALL = batches(col(Claim.id))


def _keep(session: WriteSession, ids: Sequence[str]) -> None:
    rows = {*_of_kept(session, ids)}
    there = _there(session, ids)
    session.execute(delete(ClaimTwin).where(col(ClaimTwin.claim_id).in_([key for key, _ in there - rows])))
    insert_many(session, ClaimTwin, sorted(rows - there))


def _there(session: ReadSession, ids: Sequence[str]) -> set[tuple[str, str]]:
    query = select(ClaimTwin.claim_id, ClaimTwin.fingerprint).where(col(ClaimTwin.claim_id).in_(ids))
    return {(row.claim_id, row.fingerprint) for row in session.execute(query)}


def _verify(session: ReadSession) -> Iterator[str]:
    for ids in _ALL(session, ""):
        for claim_id, _ in sorted({*_of_kept(session, ids)} - _there(session, ids)):
            yield f"claim {claim_id}: its fingerprint is out of date"


PROJECTION = Projection("fingerprints", {Claim: _note}, _ALL, _keep, verify=_verify)
