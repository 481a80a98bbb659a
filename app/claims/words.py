"""The words that claims are found by: their texts, and terms for whom they are by and about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlmodel import col

from app.base.db import Readable, ReadSession, WriteSession, at_once
from app.base.page import Page, Question
from app.changes.store import Saved, all_new
from app.claims import bodies, upkeep
from app.claims.model import Claim
from app.entities.words import prepare
from app.words.explain import Finding, Person, Text, explain
from app.words.index import Noun, Words, batches
from app.words.rank import ranked_at_once

_FIELDS = (("text", 1.0), ("original_text", 1.0), ("context", 0.5), ("occasion", 0.5), ("place", 0.5))
_REFERENCES = {"speaker": 1.0, "about": 0.7}


def _words(session: ReadSession, ids: Sequence[str]) -> Mapping[str, Words]:
    return {each.claim_id: _of(each.document, each.facts) for each in upkeep.latest(session, ids)}


def _of(claim: Mapping[str, Any], facts: Mapping[str, Any]) -> Words:
    words = Words([(factor, claim[name]) for name, factor in _FIELDS if claim[name]])
    words.hidden = "hidden" in facts
    words.texts += [(0.5, topic.replace("-", " ")) for topic in claim["topics"]]
    words.texts += [(0.5, f"{figure['measure']} {figure['display']}") for figure in claim["figures"]]
    for listed in facts["listed"]:
        facet, _, entity_id = listed.partition(":")
        if facet in _REFERENCES:
            words.terms.append((_REFERENCES[facet], f"@{facet}:{entity_id}"))
    return words


NOUN = Noun("claim", batches(col(Claim.id)), _words)

WITHDRAWN = """SELECT number FROM documents WHERE record_id IN (
    SELECT id FROM claims WHERE status = 'withdrawn' UNION ALL
    SELECT figures.id FROM figures JOIN claims ON claims.id = claim_id WHERE status = 'withdrawn')"""
"""The numbers of the documents of withdrawn claims and of their figures, in SQL."""


def _after_claims(session: WriteSession, saved: Sequence[Saved]) -> None:
    NOUN.keep(session, [each.id for each in saved], new=all_new(saved) is not None)


PROJECTION = NOUN.projection({Claim: _after_claims})


def matched(finding: Finding, claim: Mapping[str, Any], score: int) -> dict[str, Any]:
    """A claim with why it was found."""
    return {**claim, "match": match(finding, claim, score)}


def match(finding: Finding, claim: Mapping[str, Any], score: int) -> dict[str, Any]:
    """Why a claim was found."""
    texts = [Text(name, claim[name]) for name, _ in _FIELDS if claim[name]]
    texts += [Text("topics", topic) for topic in claim["topics"]]
    texts += [
        Text(f"figures/{name}", figure[name])
        for figure in claim["figures"]
        for name in ("measure", "display")
    ]
    people = [
        Person(name, entity["id"], entity["name"]) for name in ("speakers", "about") for entity in claim[name]
    ]
    return explain(finding, score, texts, people)


@dataclass(frozen=True)
class Found:
    """A claim that was found, as JSON, and why."""

    id: str
    body: str
    match: Mapping[str, Any]


def found_at_once(
    base: Readable, q: str, ask: Question, after: Sequence[Any] | None, *, withdrawn: bool
) -> Page[Found]:
    """A page of the claims that a query finds, the best first, with or without those `withdrawn`. Raises
    Invalid, and NotAtOnce.
    """
    finding = prepare(at_once(base), q)
    hits = ranked_at_once(base, finding.plan, "claim", ask, after, None if withdrawn else WITHDRAWN)
    claims = bodies.of_at_once(base, [hit.record_id for hit in hits.rows])
    found = [
        Found(hit.record_id, body, match(finding, orjson.loads(body), hit.score))
        for hit in hits.rows
        if (body := claims[hit.record_id])
    ]
    return Page(found, hits.last)
