"""The whole base as one file, and back: its ledger in order, then what the ledger must not hold.

    {"on_the_record": 1, "head": {"seq": 2, "hash": "…"}}
    {"change": {"seq": 1, …}}
    {"change": {"seq": 2, …, "remains": {"difference": {…}, "nonce": "…"}}}
    {"off_ledger": {"noun": "snapshot", "id": "snp_…", "text": "…"}}
    {"end": {"lines": 4, "sha256": "… of all the lines before"}}

An entry that lost values by an erasure has what `remains` of them, for rows to be made of. The rows are not
in it: they are what the ledger tells. So the same base gives the same file on any database.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.errors import Invalid
from app.base.sql import select, table
from app.base.types import wire
from app.changes.erasure import adopt
from app.changes.ledger import entries, head, whole
from app.changes.model import Change
from app.changes.replay import OFF_LEDGER, UNKNOWN, Replay, kinds, supply
from app.claims.upkeep import forget_counts
from app.words.index import forget

FIRST = b'{"on_the_record":'
"""How such a file begins."""

MAX_EXPORTED = 256 * 1024 * 1024
"""Bytes in a line of it, which may have a source's whole text."""

_FORM = 2
"""The form of the file: 2 since entries may be of form 2. Files of the first form are read too."""

_AT_ONCE = 500


def export(session: ReadSession) -> Iterator[bytes]:
    """The lines of the file."""
    digest, count = hashlib.sha256(), 0
    for value in _values(session):
        line = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
        digest.update(line)
        count += 1
        yield line
    end = {"end": {"lines": count, "sha256": digest.hexdigest()}}
    yield orjson.dumps(end, option=orjson.OPT_APPEND_NEWLINE)


def _values(session: ReadSession) -> Iterator[Mapping[str, Any]]:
    seq, digest = head(session)
    yield {"on_the_record": _FORM, "head": {"seq": seq, "hash": digest}}
    query = entries().order_by(col(Change.seq)).execution_options(yield_per=_AT_ONCE)
    for row in session.execute(query):
        yield {"change": whole(row)}
    for noun in OFF_LEDGER:
        yield from _off_ledger(session, noun)


def _off_ledger(session: ReadSession, noun: str) -> Iterator[Mapping[str, Any]]:
    kind = kinds()[noun]
    rows = table(kind)
    names = sorted(kind.off_ledger)
    query = select(rows.c.id, *(rows.c[name] for name in names)).where(rows.c[OFF_LEDGER[noun]].is_not(None))
    for row in session.execute(query.order_by(rows.c.id).execution_options(yield_per=10)):
        kept = {name: wire(row._mapping[name]) for name in names}
        yield {"off_ledger": {"noun": noun, "id": row.id, **kept}}


def restore(session: WriteSession, lines: Iterable[bytes]) -> tuple[int, int]:
    """Replays such a file, and gives the number of changes added and of those in it. What is here already
    stays; a base that is ahead of the file stays as it is. Raises Invalid for a file that is not whole,
    Conflict for one of another base: the transaction must then be given up.
    """
    replay = Replay(session)
    try:
        _replay(replay, _checked(lines))
        replay.check_erasures()
        gone = adopt(session, replay)
        forget(session, gone)
        forget_counts(session, gone)
    except UNKNOWN as fault:
        raise Invalid("The file tells of what this version does not know.") from fault
    return replay.added, replay.seq


def _replay(replay: Replay, values: Iterable[tuple[str, Any]]) -> None:
    waiting: list[Any] = []
    for noun, value in values:
        if noun == "change":
            waiting.append(value)
        if len(waiting) == _AT_ONCE or noun != "change":
            replay.take(waiting)
            waiting = []
        if noun == "off_ledger" and replay.seq >= replay.here:
            columns = {name: item for name, item in value.items() if name not in ("noun", "id")}
            supply(replay.session, value["noun"], value["id"], columns)
    replay.take(waiting)


def _checked(lines: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    """The lines' values but for the first and last. Raises Invalid if these do not fit."""
    digest, count, ended = hashlib.sha256(), 0, False
    for line in lines:
        if ended:
            raise Invalid("The file goes on after its end; nothing was kept.")
        try:
            [(noun, value), *_] = orjson.loads(line).items()
        except (ValueError, AttributeError):
            raise Invalid(f"Line {count + 1} cannot be read: the file is cut off or was altered.") from None
        if noun == "end":
            ended = True
            if value != {"lines": count, "sha256": digest.hexdigest()}:
                raise Invalid(
                    "The file is not as it was written: lines are missing or altered; nothing was kept."
                )
            continue
        digest.update(line)
        count += 1
        if count == 1 and (noun != "on_the_record" or value not in (1, _FORM)):
            raise Invalid("The file is not an export that this version reads.")
        if count > 1:
            yield noun, value
    if not ended:
        raise Invalid("The file is cut off: its last line is missing; nothing was kept.")
