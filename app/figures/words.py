"""The words that figures are found by: what they measure, and the words of their claim."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.sql import select
from app.changes.store import Saved, all_new
from app.claims import upkeep
from app.claims.documents import REFERENCE
from app.claims.model import Claim, Figure
from app.words.explain import Finding, Person, Text, explain
from app.words.index import Noun, Words, batches, put


def _words(session: ReadSession, ids: Sequence[str]) -> Mapping[str, Words]:
    claims = select(Figure.claim_id).where(col(Figure.id).in_(ids)).distinct()
    found = dict(_figures(session, list(session.execute(claims).scalars())))
    return {figure_id: found[figure_id] for figure_id in ids if figure_id in found}


def _figures(session: ReadSession, claim_ids: Sequence[str]) -> Iterator[tuple[str, Words]]:
    for derived in upkeep.latest(session, claim_ids):
        claim = derived.document
        speakers = [(0.5, f"@speaker:{speaker[REFERENCE]}") for speaker in claim["speakers"]]
        for figure in claim["figures"]:
            words = Words([(2, figure["measure"]), (1, figure["display"]), (0.5, claim["text"])])
            words.hidden = "hidden" in derived.facts
            words.texts += [(1, figure["condition"])] if figure["condition"] else []
            words.terms = [*speakers, *((1.0, f"@about:{entity[REFERENCE]}") for entity in figure["about"])]
            yield figure["id"], words


NOUN = Noun("figure", batches(col(Figure.id)), _words)


def _after_claims(session: WriteSession, saved: Sequence[Saved]) -> None:
    now = dict(_figures(session, [each.id for each in saved]))
    before = {
        figure["id"] for each in saved for figure in each.difference.get("figures", {}).get("old") or ()
    }
    put(session, "figure", now, before - now.keys(), new=all_new(saved) is not None)


PROJECTION = NOUN.projection({Claim: _after_claims})


def matched(finding: Finding, figure: Mapping[str, Any], score: int) -> dict[str, Any]:
    """A figure with why it was found."""
    texts = [Text(name, figure[name]) for name in ("measure", "display", "condition") if figure[name]]
    texts.append(Text("claim/text", figure["claim"]["text"]))
    people = [Person("about", entity["id"], entity["name"]) for entity in figure["about"]]
    people += [Person("claim/speakers", e["id"], e["name"]) for e in figure["claim"]["speakers"]]
    return {**figure, "match": explain(finding, score, texts, people)}
