"""Records brought in, a few hundred at a time: those that are here already stay as they are.

A row is looked at as a whole before any of it is written, so that it is never half in.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any

from app.access.model import Role
from app.base.db import WriteSession
from app.base.errors import Problem
from app.changes.hidden import INTERNAL
from app.changes.store import By, save_all
from app.entities.model import EntityKind
from app.exchange.lines import NOUNS, Row, faults_of
from app.exchange.names import Entities, Sources
from app.exchange.rows import (
    Batch,
    ClaimRows,
    EntityRows,
    Result,
    Rows,
    Shared,
    SnapshotRows,
    SourceRows,
)
from app.exchange.rulings import ReviewRows
from app.exchange.shapes import Noun, Outcome
from app.reviews.store import Checker
from app.settings import Settings

BATCH = 1_000

_ROWS: Mapping[Noun, type[Rows]] = {
    "entity": EntityRows,
    "source": SourceRows,
    "snapshot": SnapshotRows,
    "claim": ClaimRows,
    "review": ReviewRows,
}


def as_set(settings: Settings) -> dict[str, Any]:
    """Return how rows are brought in by the server's settings."""
    return {"four_eyes": settings.four_eyes, "internal": settings.default_visibility == INTERNAL}


class Importer:
    """Brings rows into a base within one transaction, which is the caller's."""

    def __init__(
        self,
        session: WriteSession,
        *,
        by: By,
        role: Role = Role.editor,
        four_eyes: bool = False,
        new_entities: EntityKind | None = None,
        internal: bool = False,
    ) -> None:
        self.counts: Counter[tuple[Noun | None, Outcome]] = Counter()
        who, found = Checker(by, role), (Entities(session), Sources(session))
        self._shared = Shared(session, who, four_eyes, new_entities, *found, internal)

    def bring_in(self, rows: Iterable[Row]) -> Iterator[Result]:
        """What becomes of each row, in order. Within a few hundred rows, entities go before sources, sources
        before snapshots, snapshots before claims, and claims before reviews.
        """
        waiting = iter(rows)
        while some := list(islice(waiting, BATCH)):
            results = [
                Result(row.line, row.noun, "refused", errors=row.errors) for row in some if not row.record
            ]
            good = [row for row in some if row.record]
            good.sort(key=lambda row: NOUNS.index(row.noun or "claim"))
            for noun, group in groupby(good, key=lambda row: row.noun):
                results += self._group(noun, list(group))
            results.sort(key=lambda result: result.line)
            self.counts.update((result.type, result.outcome) for result in results)
            yield from results

    def _group(self, noun: Noun | None, rows: Sequence[Row]) -> list[Result]:
        batch = Batch()
        bring = _ROWS[noun or "claim"](self._shared, batch, [row.record for row in rows])
        results = [_tried(row, bring) for row in rows]
        self._write(batch)
        bring.finish()
        return results

    def _write(self, batch: Batch) -> None:
        session, by = self._shared.session, self._shared.who.by
        save_all(session, batch.entities, by=by, action="entity.create")
        save_all(session, batch.sources, by=by, action="source.create")
        save_all(session, batch.claims, by=by, action="claim.state")
        save_all(session, batch.evidence, by=by, action="evidence.gather")


def _tried(row: Row, bring: Rows) -> Result:
    try:
        result = bring(row.record)
    except Problem as fault:
        bring.forget()
        return Result(row.line, row.noun, "refused", errors=faults_of(fault))
    result.line, result.type = row.line, row.noun
    return result
