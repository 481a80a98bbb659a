"""The feeds: of each, its filters, its columns and where its rows come from.

A row is made of a document, as every route shows it, so a feed and a list agree. Ids are in order of time,
and so are rows. Lists become one text, joined with `; `.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, create_model
from sqlalchemy import Row
from sqlmodel import col

from app.base.db import ReadSession, within
from app.base.page import Question
from app.base.sql import Query
from app.claims import bodies
from app.claims.filters import filtered
from app.claims.model import Claim, Figure
from app.claims.shapes import ClaimFilters
from app.entities import documents as entity_documents
from app.entities import store as entities
from app.entities.model import Entity, EntityQuestion
from app.entities.words import prepare
from app.exchange.formats import Batches, Column, Columns, Kind
from app.figures import store as figures
from app.figures.model import FigureQuestion
from app.reviews import documents as reviews
from app.reviews.model import Review, ReviewQuestion
from app.words.rank import matching

BATCH = 1000

_Documents = Iterator[Iterable[Any]]


@dataclass(frozen=True)
class Feed:
    """One feed. `read` gives what its rows are made of, a batch at a time, each in the same few queries."""

    name: str
    doc: str
    filters: type[Question]
    columns: Columns
    read: Callable[[ReadSession, Any], _Documents]

    @cached_property
    def question(self) -> type[BaseModel]:
        """What it can be asked: what the list can, but for its pages."""
        fields: dict[str, Any] = {
            name: (field.annotation, field)
            for name, field in self.filters.model_fields.items()
            if name not in ("limit", "cursor")
        }
        name = f"{self.name.title()}FeedQuestion"
        return create_model(name, __doc__=self.doc, __config__=ConfigDict(frozen=True), **fields)

    def rows(self, session: ReadSession, ask: BaseModel) -> Batches:
        """Its rows, in batches. Raises Invalid as the list does."""
        asked = self.filters.model_construct(**dict(ask))
        takers = [column.of for column in self.columns]
        for documents in self.read(session, asked):
            # One at a time: a thousand documents at once keep the garbage collector busy.
            yield ([take(document) for take in takers] for document in documents)


def _streamed(session: ReadSession, query: Query, key: Any, ask: Question) -> Iterator[Sequence[Row[Any]]]:
    ordered = query.order_by(key.desc() if ask.order == "desc" else key.asc())
    with session.execute(ordered, execution_options={"yield_per": BATCH}) as result:
        yield from result.partitions()


def _having(session: ReadSession, q: str | None, record_id: Any) -> list[Any]:
    """That a record has all words of a query."""
    return [matching(prepare(within(session), q).plan, record_id)] if q else []


# --- what rows are made of -----------------------------------------------------------------------


def _bodies(session: ReadSession, rows: Sequence[Row[Any]]) -> Iterator[tuple[Row[Any], dict[str, Any]]]:
    return zip(rows, map(orjson.loads, bodies.filled(session, rows)), strict=True)


def _claims(session: ReadSession, ask: ClaimFilters) -> _Documents:
    query = bodies.query().add_columns(col(Claim.said_earliest), col(Claim.said_latest))
    for rows in _streamed(session, filtered(session, query, ask), col(Claim.id), ask):
        yield (
            claim | {"earliest": row.said_earliest, "latest": row.said_latest} | _first_of(claim)
            for row, claim in _bodies(session, rows)
        )


def _first_of(claim: dict[str, Any]) -> dict[str, Any]:
    printed = claim["appearances"]
    return {
        "speaker": claim["speakers"][0],
        "source": printed[0]["source"] if printed else {},
        "publisher": (printed[0]["source"]["publisher"] if printed else None) or {},
        "relayer": claim["relayed_by"] or {},
        "assignee": claim["verification"]["assignee"] or {},
    }


def _figures(session: ReadSession, ask: FigureQuestion) -> _Documents:
    query = bodies.query().join(Figure, col(Figure.claim_id) == col(Claim.id))
    query = query.add_columns(
        col(Figure.id).label("figure_id"),
        *(col(day) for day in (Claim.said_earliest, Claim.said_latest)),
        *(col(day) for day in (Figure.period_earliest, Figure.period_latest)),
    )
    query = query.where(*figures.clauses(session, ask), *_having(session, ask.q, Figure.id))
    for rows in _streamed(session, query, col(Figure.id), ask):
        yield (_figure(row, claim) for row, claim in _bodies(session, rows))


def _figure(row: Row[Any], claim: dict[str, Any]) -> dict[str, Any]:
    [figure] = [figure for figure in claim["figures"] if figure["id"] == row.figure_id]
    return {
        **figure,
        "claim": claim,
        "speaker": claim["speakers"][0],
        "earliest": row.period_earliest,
        "latest": row.period_latest,
        "said_earliest": row.said_earliest,
        "said_latest": row.said_latest,
    }


def _entities(session: ReadSession, ask: EntityQuestion) -> _Documents:
    query = entities.listed(ask).where(*_having(session, ask.q, Entity.id))
    for rows in _streamed(session, query, col(Entity.id), ask):
        yield entity_documents.many(session, rows)


def _reviews(session: ReadSession, ask: ReviewQuestion) -> _Documents:
    query = reviews.query().where(*reviews.clauses(session, ask))
    for rows in _streamed(session, query, col(Review.id), ask):
        yield [
            {**review, "desk": review["publisher"] or {}, "decided": review["decision"] or {}}
            for review in reviews.of(session, rows)
        ]


# --- columns ---------------------------------------------------------------------------------------


def _joined(values: Iterable[str]) -> str | None:
    return "; ".join(values) or None


def _plain(kind: Kind, /, **docs: str) -> list[Column]:
    """Columns that are members of the document, never null."""
    return [Column(name, kind, doc, lambda row, name=name: row[name]) for name, doc in docs.items()]  # type: ignore[misc]


def _maybe(kind: Kind, /, **docs: str) -> list[Column]:
    """Columns that are members of the document and may be null."""
    return [
        Column(name, kind, doc, lambda row, name=name: row[name], null=True)  # type: ignore[misc]
        for name, doc in docs.items()
    ]


def _of(member: str, kind: Kind = "text", /, *, null: bool = True, **docs: tuple[str, str]) -> list[Column]:
    """Columns that are members of a member: each with the name that it has there."""
    return [
        Column(name, kind, doc, lambda row, own=own: row[member].get(own), null=null)  # type: ignore[misc]
        for name, (own, doc) in docs.items()
    ]


def _day(name: str, doc: str, of: Callable[[Any], date]) -> Column:
    """A day that is null where there is none: undated, or open to that side."""

    def take(row: Any) -> str | None:
        day = of(row)
        return None if day in (date.min, date.max) else day.isoformat()

    return Column(name, "day", doc, take, null=True)


_SPEAKER = [
    *_of("speaker", null=False, speaker=("id", "The first speaker's id.")),
    *_of("speaker", null=False, speaker_slug=("slug", "The first speaker's slug.")),
    *_of("speaker", null=False, speaker_name=("name", "The first speaker's name.")),
    *_of("speaker", speaker_title=("title", "The title that the first speaker held at the time.")),
]


def _names(name: str, doc: str, of: Callable[[Any], Iterable[Any]], *, null: bool = True) -> Column:
    return Column(name, "text", doc, lambda row: _joined(each["name"] for each in of(row)), null=null)


_CLAIM_COLUMNS = (
    *_plain("text", id="The claim's id.", text="What is claimed."),
    *_plain("text", mode="How its words are kept: direct_quote, partial_quote, paraphrase or own_voice."),
    *_plain("text", kind="fact, prediction, promise, opinion or position."),
    *_maybe("text", language="The language of the text (BCP 47)."),
    *_maybe("text", original_text="The words as they were said, if that was in another language."),
    *_maybe("text", original_language="The language of those words."),
    *_SPEAKER,
    _names("speakers", "The names of all speakers, in order.", lambda row: row["speakers"], null=False),
    *_of("relayer", relayed_by=("id", "Who passed it on: the id."), relayed_by_name=("name", "Their name.")),
    _names("about", "Whom or what it is about: names.", lambda row: row["about"]),
    Column("about_slugs", "text", "Their slugs, in the same order.",
           lambda row: _joined(each["slug"] for each in row["about"]), null=True),
    Column("topics", "text", "Its topics.", lambda row: _joined(row["topics"]), null=True),
    *_maybe("text", said="When it was said (EDTF)."),
    _day("said_earliest", "The first day that `said` covers; null if undated or open.",
         lambda row: row["earliest"]),
    _day("said_latest", "The last day that `said` covers; null if undated or open.",
         lambda row: row["latest"]),
    *_maybe("text", occasion="On what occasion.", place="Where.", context="What it was part of."),
    *_maybe("text", repeats="The id of the claim that it repeats."),
    *_maybe("day", due="When to look again."),
    *_of("source", source=("id", "The first source that prints it: the id."),
         source_title=("title", "Its title."), source_url=("url", "Its address.")),
    *_of("publisher", publisher=("id", "Who publishes that source: the id."),
         publisher_name=("name", "Their name.")),
    Column("source_urls", "text", "The addresses of all sources that print it.",
           lambda row: _joined(each["source"]["url"] for each in row["appearances"]), null=True),
    Column("sources", "count", "How many sources print it.", lambda row: len(row["appearances"])),
    Column("figures", "count", "How many figures it has.", lambda row: len(row["figures"])),
    *_of("verification", null=False, status=(
        "status", "unverified, in_review, pending_approval, reviewed or withdrawn.")),
    *_of("verification", verdict=("verdict", "Whether it is true; null until it is ruled on.")),
    *_of("verification", null=False, attribution=("attribution", "Whether they said it.")),
    *_of("verification", agreement=("agreement", "Whether reviews agree: single, unanimous or split.")),
    *_of("assignee", assignee=("id", "The key that has taken it: its id.")),
    *_of("verification", "instant", reviewed_at=("reviewed_at", "When it was last ruled on.")),
    *_of("verification", note=("note", "The public note of the last correction or withdrawal.")),
    *_plain("count", version="How many times the record was written."),
    *_plain("instant", created_at="When it was recorded.", updated_at="When the record last changed."),
)  # fmt: skip

_FIGURE_COLUMNS = (
    *_plain("text", id="The figure's id.", measure="What is measured."),
    _names("about", "Whom or what it measures: names.", lambda row: row["about"]),
    *_maybe("exact", value="The number, exactly; null for a range.", lower="The least.", upper="The most."),
    *_maybe("number", value_number="The number as the nearest double."),
    *_plain("text", comparator="eq, ge, gt, le, lt, approx or range.", unit="UCUM or ISO 4217 code."),
    *_plain("text", display="The number for people to read."),
    *_plain("text", kind="reported, estimated, promised, forecast, target or capacity."),
    *_plain("flag", is_record="Whether it is called a record."),
    *_maybe("text", period="The time that it is of (EDTF)."),
    _day("period_earliest", "The first day that `period` covers; null if there is none or it is open.",
         lambda row: row["earliest"]),
    _day("period_latest", "The last day that `period` covers; null if there is none or it is open.",
         lambda row: row["latest"]),
    *_maybe("text", condition="On what condition."),
    *_of("claim", null=False, claim=("id", "The claim that it stands in: the id.")),
    *_of("claim", null=False, claim_text=("text", "What is claimed."), claim_mode=(
        "mode", "How the claim's words are kept.")),
    *_SPEAKER,
    _names("speakers", "The names of all speakers.", lambda row: row["claim"]["speakers"], null=False),
    *_of("claim", said=("said", "When it was said (EDTF).")),
    _day("said_earliest", "The first day that `said` covers; null if undated or open.",
         lambda row: row["said_earliest"]),
    _day("said_latest", "The last day that `said` covers; null if undated or open.",
         lambda row: row["said_latest"]),
    Column("status", "text", "The claim's status.", lambda row: row["claim"]["verification"]["status"]),
    Column("verdict", "text", "The claim's verdict; null until it is ruled on.",
           lambda row: row["claim"]["verification"]["verdict"], null=True),
    Column("attribution", "text", "Whether they said it.",
           lambda row: row["claim"]["verification"]["attribution"]),
    Column("updated_at", "instant", "When the claim last changed.", lambda row: row["claim"]["updated_at"]),
)  # fmt: skip

_ENTITY_COLUMNS = (
    *_plain("text", id="The entity's id.", slug="Its slug."),
    *_plain("text", kind="person, organization, country, place, project, document, event or concept."),
    *_plain("text", name="Its name."),
    *_maybe("text", description="What it is."),
    _names("aliases", "Its other names, also of those merged into it.", lambda row: row["aliases"]),
    Column("external_ids", "text", "Its ids in other registers, such as wikidata:Q7747.",
           lambda row: _joined(f"{each['scheme']}:{each['value']}" for each in row["external_ids"]),
           null=True),
    Column("titles", "text", "The titles that it holds, each with the organization's name.",
           lambda row: _joined(f"{each['title']}, {each['organization']['name']}"
                               for each in row["affiliations"]), null=True),
    *_plain("count", version="How many times the record was written."),
    *_plain("instant", created_at="When it was recorded.", updated_at="When the record last changed."),
)  # fmt: skip

_REVIEW_COLUMNS = (
    *_plain("text", id="The review's id.", claim="The claim that it rules on: the id."),
    *_plain("text", state="proposed, returned, standing or corrected."),
    *_of("desk", publisher=("id", "The desk's id, if not this one."), publisher_name=("name", "Its name.")),
    *_of("reviewer", null=False, reviewer=("id", "Who ruled: a key."), reviewer_name=("name", "Its name.")),
    *_maybe("text", verdict="Whether the claim is true.", attribution="Whether they said it."),
    *_maybe("text", label="The desk's own wording."),
    Column("rating", "exact", "The rating, on the desk's own scale or that of the verdict.",
           lambda row: row["rating"] and row["rating"]["value"], null=True),
    Column("rating_number", "number", "The rating as the nearest double.",
           lambda row: row["rating"] and float(row["rating"]["value"]), null=True),
    Column("rating_best", "exact", "The best on that scale.",
           lambda row: row["rating"] and row["rating"]["best"], null=True),
    Column("rating_worst", "exact", "The worst on that scale.",
           lambda row: row["rating"] and row["rating"]["worst"], null=True),
    *_plain("text", summary="The reason, in a sentence or two."),
    *_maybe("text", explanation="The reason at length.", url="Where the review is published."),
    Column("evidence", "count", "How many pieces of evidence it rests on.", lambda row: len(row["evidence"])),
    Column("evidence_urls", "text", "The addresses of these.",
           lambda row: _joined(filter(None, map(_address, row["evidence"]))), null=True),
    *_plain("instant", reviewed_at="When it was ruled."),
    *_maybe("text", corrects="The review that it corrects: the id.", correction_note="What was wrong."),
    *_of("decided", decision=("outcome", "approved or returned, if a second pair of eyes was needed.")),
    *_of("decided", decision_note=("note", "A word to who proposed it.")),
    *_of("decided", "instant", decided_at=("decided_at", "When that was decided.")),
    *_plain("instant", created_at="When it was recorded."),
)  # fmt: skip


def _address(evidence: dict[str, Any]) -> str | None:
    found = evidence["url"] or (evidence["source"] or {}).get("url")
    return str(found) if found else None


FEEDS = (
    Feed("claims", "Filters of the feed of claims.", ClaimFilters, _CLAIM_COLUMNS, _claims),
    Feed("entities", "Filters of the feed of entities.", EntityQuestion, _ENTITY_COLUMNS, _entities),
    Feed("figures", "Filters of the feed of figures.", FigureQuestion, _FIGURE_COLUMNS, _figures),
    Feed("reviews", "Filters of the feed of reviews.", ReviewQuestion, _REVIEW_COLUMNS, _reviews),
)
