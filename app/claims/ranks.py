"""How many public claims repeat each claim, kept in the transaction of every write; and how often each was
read.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import func
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.sql import insert_many, many, select
from app.changes.store import Projection, Saved
from app.claims.derived import ClaimRank
from app.claims.model import Claim
from app.words.index import batches

Count = Literal["repeats", "reads"]

_ADD: Mapping[Count, str] = {
    "repeats": "UPDATE claim_ranks SET repeats = repeats + ? WHERE claim_id = ?",
    "reads": "UPDATE claim_ranks SET reads = reads + ? WHERE claim_id = ?",
}
_MOVE = "UPDATE claim_ranks SET status = ? WHERE claim_id = ?"
_PUT = "UPDATE claim_ranks SET status = ?, repeats = ? WHERE claim_id = ?"


def _after_claims(session: WriteSession, saved: Sequence[Saved]) -> None:
    told = [(each.id, each.difference) for each in saved]
    # A claim's mode is never null, so that of a new one was.
    new = {claim_id for claim_id, changed in told if changed.get("mode", {"old": ""})["old"] is None}
    status = [(changed["status"]["new"], claim_id) for claim_id, changed in told if "status" in changed]
    insert_many(session, ClaimRank, [(claim_id, now, 0, 0) for now, claim_id in status if claim_id in new])
    many(session, _MOVE, [(now, claim_id) for now, claim_id in status if claim_id not in new])
    moved = [claim_id for claim_id, changed in told if {"repeats_id", "visibility"} & changed.keys()]
    if moved:
        add(session, "repeats", _moves(session, moved, dict(told)))


def _moves(session: ReadSession, moved: Sequence[str], told: Mapping[str, Any]) -> Counter[str]:
    by: Counter[str] = Counter()
    columns = Claim.id, Claim.repeats_id, Claim.visibility
    for row in session.execute(select(*columns).where(col(Claim.id).in_(moved))):
        for sign, when in ((1, "new"), (-1, "old")):
            repeats = told[row.id].get("repeats_id", {when: row.repeats_id})[when]
            hidden = told[row.id].get("visibility", {when: row.visibility})[when]
            if repeats and not hidden:
                by[repeats] += sign
    return by


def add(session: WriteSession, count: Count, by: Mapping[str, int]) -> None:
    """Adds to one of the counts of some claims."""
    many(session, _ADD[count], [(number, claim_id) for claim_id, number in sorted(by.items()) if number])


# --- making anew and checking ------------------------------------------------------------------


_ALL = batches(col(Claim.id))


def _put_right(session: WriteSession, ids: Sequence[str]) -> None:
    """Makes what follows from some claims what it must be; how often they were read stays."""
    true, kept = _true(session, ids), _kept(session, ids)
    astray = [(*rank, claim_id) for claim_id, rank in true.items() if kept.get(claim_id, rank) != rank]
    many(session, _PUT, astray)
    missing = true.keys() - kept.keys()
    insert_many(session, ClaimRank, [(claim_id, *true[claim_id], 0) for claim_id in sorted(missing)])


def _verify(session: ReadSession) -> Iterator[str]:
    for ids in _ALL(session, ""):
        kept = _kept(session, ids)
        for claim_id, rank in _true(session, ids).items():
            if kept.get(claim_id) != rank:
                yield f"claim {claim_id}: how many claims repeat it is out of date"


def _kept(session: ReadSession, ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    query = select(ClaimRank.claim_id, ClaimRank.status, ClaimRank.repeats)
    rows = session.execute(query.where(col(ClaimRank.claim_id).in_(ids)))
    return {row.claim_id: (row.status, row.repeats) for row in rows}


def _true(session: ReadSession, ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    original = col(Claim.repeats_id)
    repeats = select(original, func.count().label("repeats")).where(original.in_(ids)).group_by(original)
    repeats = repeats.where(col(Claim.visibility).is_(None))
    count = {row.repeats_id: row.repeats for row in session.execute(repeats)}
    rows = session.execute(select(Claim.id, Claim.status).where(col(Claim.id).in_(ids)))
    return {row.id: (row.status, count.get(row.id, 0)) for row in rows}


PROJECTION = Projection("ranks", {Claim: _after_claims}, _ALL, _put_right, verify=_verify)
