"""Every noun, searched with one query."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orjson import Fragment

from app.base.db import Readable, ReadSession, within
from app.base.page import Page
from app.base.prepared import NotAtOnce
from app.claims import bodies as claims
from app.claims import words as claim_words
from app.entities import documents as entities
from app.entities import words as entity_words
from app.figures import store as figures
from app.figures import words as figure_words
from app.search.model import SearchQuestion
from app.sources import store as sources
from app.sources import words as source_words
from app.words.explain import Finding
from app.words.index import KINDS, Kind
from app.words.rank import Hit, paged, rank

_READ: Mapping[Kind, Callable[[ReadSession, Sequence[str]], Mapping[str, Any]]] = {
    "claim": claims.of,
    "entity": entities.by_id,
    "source": sources.by_id,
    "figure": figures.by_id,
}
_MATCHED: Mapping[Kind, Callable[[Finding, Mapping[str, Any], int], dict[str, Any]]] = {
    "claim": claim_words.matched,
    "entity": entity_words.matched,
    "source": source_words.matched,
    "figure": figure_words.matched,
}


def find(session: ReadSession, ask: SearchQuestion, after: Sequence[Any] | None) -> Page[dict[str, Any]]:
    """A page of what was found, the best first."""
    finding = entity_words.prepare(within(session), ask.q)
    hits = rank(
        session,
        finding.plan,
        ask.kind or KINDS,
        ask.limit + 1,
        after,
        hidden=None if ask.withdrawn else claim_words.WITHDRAWN,
        down=ask.order == "desc",
    )
    found = paged(ask, hits)
    return Page(_shown(session, finding, found.rows), found.last)


def find_at_once(base: Readable, ask: SearchQuestion, after: Sequence[Any] | None) -> Page[dict[str, Any]]:
    """The same of claims alone. Raises NotAtOnce."""
    if ask.kind != ["claim"]:
        raise NotAtOnce
    found = claim_words.found_at_once(base, ask.q, ask, after, withdrawn=bool(ask.withdrawn))
    shown = [
        {"id": each.id, "kind": "claim", "record": Fragment(each.body), "match": each.match}
        for each in found.rows
    ]
    return Page(shown, found.last)


def _shown(session: ReadSession, finding: Finding, hits: Sequence[Hit]) -> list[dict[str, Any]]:
    records: dict[str, Any] = {}
    for kind in KINDS:
        if ids := [hit.record_id for hit in hits if hit.kind == kind]:
            records |= _READ[kind](session, ids)
    return [_hit(finding, hit, records[hit.record_id]) for hit in hits]


def _hit(finding: Finding, hit: Hit, record: Mapping[str, Any]) -> dict[str, Any]:
    match = _MATCHED[hit.kind](finding, record, hit.score)["match"]
    return {"id": hit.record_id, "kind": hit.kind, "record": record, "match": match}
