"""The feeds: of each, its filters, its columns and where its rows come from.

A row has what a document has, as every route shows it, so a feed and a list agree. Ids are in order of time,
and so are rows. Lists become one text, joined with `; `.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from operator import itemgetter
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, create_model
from sqlalchemy import Row
from sqlmodel import col

from app.base.caches import remembered
from app.base.db import ReadSession, within
from app.base.page import Question
from app.base.sql import Query
from app.claims import bodies, references
from app.claims.filters import filtered, not_withdrawn
from app.claims.model import Claim, Figure
from app.claims.references import MARK, unnamed
from app.claims.shapes import ClaimFilters
from app.entities import documents as entity_documents
from app.entities import store as entities
from app.entities.model import Entity, EntityQuestion
from app.entities.words import prepare
from app.exchange import columns
from app.exchange.formats import Batches, Columns, Rows
from app.figures import store as figures
from app.figures.model import FigureQuestion
from app.links import store as links
from app.links.model import Link, LinkFilters
from app.reviews import documents as reviews
from app.reviews.documents import ReviewFilters
from app.reviews.model import Review
from app.words.rank import matching

BATCH = 1000

_Json = dict[str, Any]
_Values = tuple[Any, ...]


@dataclass(frozen=True)
class Feed:
    """One feed. `read` gives its rows a batch at a time, each in the same few queries. A row is made when it
    is asked for, so that a thousand are not in memory at once.
    """

    name: str
    doc: str
    filters: type[Question]
    columns: Columns
    read: Callable[[ReadSession, Any], Batches]

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
        return self.read(session, self.filters.model_construct(**dict(ask)))


def streamed(session: ReadSession, query: Query, key: Any, ask: Question) -> Iterator[Sequence[Row[Any]]]:
    """The rows of a query in the order of their ids, in batches."""
    ordered = query.order_by(key.desc() if ask.order == "desc" else key.asc())
    # Of the connection, since a session looks at each row for objects.
    with session.connection().execute(ordered, execution_options={"yield_per": BATCH}) as result:
        yield from result.partitions()


def _having(session: ReadSession, q: str | None, record_id: Any) -> list[Any]:
    """That a record has all words of a query."""
    return [matching(prepare(within(session), q).plan, record_id)] if q else []


class _Named(dict[str, tuple[str, ...]]):
    """What the references in a batch of bodies stand for, by id, each member as JSON: of an entity id, slug
    and name; of a source id, title and address, and its publisher's id and name.
    """

    def __init__(self, session: ReadSession) -> None:
        self.session = session
        self.batch: Sequence[Row[Any]] = ()

    def at(self, batch: Sequence[Row[Any]]) -> None:
        """Begins another batch."""
        self.batch = batch
        if len(self) > _NAMED:
            self.clear()

    def __missing__(self, reference: str) -> tuple[str, ...]:
        # With all others of the batch, in the same few queries.
        wanted = references.referred(row.body for row in self.batch) - self.keys()
        members = references.members(self.session, wanted, self.batch[0].epoch)
        self.update((each, _pieces(orjson.loads(f"{{{members[each]}}}"))) for each in wanted)
        return self[reference]


def _pieces(shown: _Json) -> tuple[str, ...]:
    if "publisher" in shown:
        publisher = shown.pop("publisher") or {"id": None, "name": None}
        shown |= {"publisher": publisher["id"], "publisher_name": publisher["name"]}
    return tuple([orjson.dumps(value).decode() for value in shown.values()])


_NAMED = 30_000
"""How many of them a feed keeps: some 15 MB."""

# --- claims, which are cut and put together --------------------------------------------------------


def _claims(session: ReadSession, ask: ClaimFilters) -> Batches:
    query = bodies.query().add_columns(col(Claim.said_earliest), col(Claim.said_latest))
    named = _Named(session)
    for rows in streamed(session, filtered(session, query, ask), col(Claim.id), ask):
        named.at(rows)
        shown = references.as_told([row.body for row in rows], public=session.public)
        yield (
            _claim(body, named, row.said_earliest, row.said_latest)
            for body, row in zip(shown, rows, strict=True)
        )


def _claim(body: str, named: _Named, earliest: date, latest: date) -> str:
    """A row, of a body whose members are always in one order. Where one begins is found without reading what
    is before it: within a text its quotes are escaped. Nothing is parsed that is only passed on.
    """
    speakers = body.index(',"speakers":[')
    relayer = body.index(',"relayed_by":', speakers)
    about = body.index(',"about":[', relayer)
    topics = body.index(',"topics":[', about)
    said = body.index(',"said":', topics)
    occasion = body.index(',"occasion":', said)
    printed = body.index(',"appearances":[', occasion)
    figures = body.index(',"figures":[', printed)
    standing = body.index(',"verification":{', figures)
    record = body.index(',"version":', standing)
    relayed = [named[each] for each in body[relayer:about].split(MARK)[1::2]] or [_NOBODY]
    subjects = [named[each] for each in body[about:topics].split(MARK)[1::2]]
    return (
        f"{body[:speakers]}{_speakers(body[speakers:relayer], named)}"
        f',"relayed_by":{relayed[0][0]},"relayed_by_name":{relayed[0][2]}'
        f',"about":{_one_text([name for _, _, name in subjects])}'
        f',"about_slugs":{_one_text([slug for _, slug, _ in subjects])}'
        f""","topics":{body[topics + 11 : said - 1].replace('","', "; ") or "null"}{body[said:occasion]}"""
        f',"said_earliest":{_day(earliest)},"said_latest":{_day(latest)}{body[occasion:printed]}'
        f"{_sources([named[each] for each in body[printed:figures].split(MARK)[1::2]])}"
        f""","figures":{body.count('"measure":', figures, standing)}"""
        f"{_standing(body[standing:record])}{body[record:]}"
    )


_NOBODY = ("null", "null", "null")


def _one_text(texts: Sequence[str]) -> str:
    """Texts as one, all in JSON."""
    return f'"{"; ".join([text[1:-1] for text in texts])}"' if texts else "null"


@remembered
def _day(day: date) -> str:
    """As JSON, where `_known` is null."""
    return orjson.dumps(_known(day)).decode()


def _speakers(section: str, named: _Named) -> str:
    pieces = section.split(MARK)
    names = [named[each] for each in pieces[1::2]]
    title = pieces[2].removeprefix(',"title":')[: -2 if len(names) == 1 else -3]  # then comes }] or },{
    first = names[0]
    return (
        f',"speaker":{first[0]},"speaker_slug":{first[1]},"speaker_name":{first[2]},"speaker_title":{title}'
        f',"speakers":{_one_text([name for _, _, name in names])}'
    )


def _sources(sources: Sequence[tuple[str, ...]]) -> str:
    first = sources[0] if sources else ("null",) * 5
    return (
        f',"source":{first[0]},"source_title":{first[1]},"source_url":{first[2]},"publisher":{first[3]}'
        f',"publisher_name":{first[4]},"source_urls":{_one_text([each[2] for each in sources])}'
        f',"sources":{len(sources)}'
    )


@remembered
def _standing(section: str) -> str:
    """Most claims have it in common with others."""
    shown = unnamed(f"{{{section[1:]}}}")["verification"]
    del shown["lease_expires_at"]
    shown["assignee"] = shown["assignee"] and shown["assignee"]["id"]
    shown |= _correction(shown["correction"])
    return f",{orjson.dumps(shown)[1:-1].decode()}"


_NOTHING: _Json = {}


def _correction(met: _Json | None) -> _Json:
    """What a claim met with last, in columns."""
    met = met or _NOTHING
    was = met.get("was", _NOTHING)
    return {
        "correction": met.get("kind"),
        "corrected_at": met.get("at"),
        "correction_note": met.get("note"),
        **{f"was_{name}": was.get(name) for name in ("status", "verdict", "attribution")},
    }


# --- the others ------------------------------------------------------------------------------------


def _rows(declared: Columns, rows: Iterable[_Values]) -> Rows:
    names = [column.name for column in declared]
    return (orjson.dumps(dict(zip(names, row, strict=True))).decode() for row in rows)


def _joined(values: Sequence[str]) -> str | None:
    return "; ".join(values) or None


def _figures(session: ReadSession, ask: FigureQuestion) -> Batches:
    days = (Claim.said_earliest, Claim.said_latest, Figure.period_earliest, Figure.period_latest)
    query = bodies.query().join(Figure, col(Figure.claim_id) == col(Claim.id))
    query = query.add_columns(col(Figure.id).label("figure_id"), *map(col, days))
    query = query.where(*figures.clauses(session, ask), *_having(session, ask.q, Figure.id))
    for rows in streamed(session, query, col(Figure.id), ask):
        whole = zip(rows, map(orjson.loads, bodies.filled(session, rows)), strict=True)
        yield _rows(columns.FIGURE, (_figure(row, claim) for row, claim in whole))


_NUMBER = itemgetter("value", "lower", "upper", "value_number", "comparator", "unit", "display", "kind",
                     "is_record", "period")  # fmt: skip
_SPEAKER = itemgetter("id", "slug", "name", "title")
_VERDICT = itemgetter("status", "verdict", "attribution")


def _figure(row: Row[Any], claim: _Json) -> _Values:
    [figure] = [figure for figure in claim["figures"] if figure["id"] == row.figure_id]
    corrected = claim["verification"]["correction"] or _NOTHING
    return (
        *(figure["id"], figure["measure"]),
        _joined([each["name"] for each in figure["about"]]),
        *_NUMBER(figure),
        *(_known(row.period_earliest), _known(row.period_latest), figure["condition"]),
        *(claim["id"], claim["text"], claim["mode"]),
        *_SPEAKER(claim["speakers"][0]),
        _joined([each["name"] for each in claim["speakers"]]),
        *(claim["said"], _known(row.said_earliest), _known(row.said_latest)),
        *_VERDICT(claim["verification"]),
        *(corrected.get("kind"), corrected.get("at")),
        claim["updated_at"],
    )


def _known(day: date) -> date | None:
    """None where there is none: undated, or open to that side."""
    return None if day in (date.min, date.max) else day


def _entities(session: ReadSession, ask: EntityQuestion) -> Batches:
    query = entities.listed(ask).where(*_having(session, ask.q, Entity.id))
    for rows in streamed(session, query, col(Entity.id), ask):
        yield _rows(columns.ENTITY, map(_entity, entity_documents.many(session, rows)))


_SAVED = itemgetter("version", "created_at", "updated_at")


def _entity(entity: _Json) -> _Values:
    return (
        *(entity["id"], entity["slug"], entity["kind"], entity["name"], entity["description"]),
        _joined([each["name"] for each in entity["aliases"]]),
        _joined([f"{each['scheme']}:{each['value']}" for each in entity["external_ids"]]),
        _joined([f"{each['title']}, {each['organization']['name']}" for each in entity["affiliations"]]),
        *_SAVED(entity),
    )


def _reviews(session: ReadSession, ask: ReviewFilters) -> Batches:
    query = reviews.query().where(*reviews.clauses(session, ask))
    if not ask.withdrawn:
        query = query.where(not_withdrawn(Review.claim_id))
    for rows in streamed(session, query, col(Review.id), ask):
        yield _rows(columns.REVIEW, map(_review, reviews.of(session, rows)))


def _review(review: _Json) -> _Values:
    desk, rating = review["publisher"] or _NOTHING, review["rating"] or _NOTHING
    reviewer = review["reviewer"] or _NOTHING
    decided, speaker = review["decision"] or _NOTHING, review["actual_speaker"] or _NOTHING
    return (
        *(review["id"], review["claim"], review["state"], desk.get("id"), desk.get("name")),
        *(reviewer.get("id"), reviewer.get("name"), "entered_by" in review),
        *(review["verdict"], review["attribution"]),
        *(review["actual_words"], speaker.get("id"), speaker.get("name"), review["label"]),
        *(rating.get("value"), float(rating["value"]) if rating else None),
        *(rating.get("best"), rating.get("worst")),
        *(review["summary"], review["explanation"], review["url"]),
        len(review["evidence"]),
        _joined([url for each in review["evidence"] if (url := _address(each))]),
        *(review["reviewed_at"], review["corrects"], review["correction_note"]),
        *(decided.get("outcome"), decided.get("note"), decided.get("decided_at")),
        review["created_at"],
    )


def _address(evidence: _Json) -> str | None:
    found: str | None = evidence["url"] or (evidence["source"] or _NOTHING).get("url")
    return found


def _links(session: ReadSession, ask: LinkFilters) -> Batches:
    query = links.query().where(*links.clauses(ask))
    if not ask.withdrawn:
        query = query.where(not_withdrawn(Link.claim_id), not_withdrawn(Link.other_id))
    for rows in streamed(session, query, col(Link.id), ask):
        yield _rows(columns.LINK, map(_link, links.documents(session, rows)))


_JUDGED = itemgetter("judged_at", "version", "created_at")


def _link(link: _Json) -> _Values:
    claim, other, judge = link["claim"], link["other"], link["judged_by"] or _NOTHING
    return (
        *(link["id"], claim["id"], claim["text"], link["relation"], other["id"], other["text"]),
        *(link["judgement"], link["note"], judge.get("id"), judge.get("name")),
        *_JUDGED(link),
    )


FEEDS = (
    Feed("claims", "Filters of the feed of claims.", ClaimFilters, columns.CLAIM, _claims),
    Feed("entities", "Filters of the feed of entities.", EntityQuestion, columns.ENTITY, _entities),
    Feed("figures", "Filters of the feed of figures.", FigureQuestion, columns.FIGURE, _figures),
    Feed("reviews", "Filters of the feed of reviews.", ReviewFilters, columns.REVIEW, _reviews),
    Feed("links", "Filters of the feed of links.", LinkFilters, columns.LINK, _links),
)
