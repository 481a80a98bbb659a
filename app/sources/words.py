"""The words that sources are found by."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.sql import select
from app.changes.store import Saved, all_new
from app.sources.model import Source
from app.words.explain import Finding, Person, Text, explain
from app.words.index import Noun, Words, batches, put


def _words(session: ReadSession, ids: Sequence[str]) -> Mapping[str, Words]:
    names = ("id", "title", "authors", "url", "publisher_id", "kind", "visibility")
    columns = (getattr(Source, name) for name in names)
    rows = session.execute(select(*columns).where(col(Source.id).in_(ids)))
    return {row.id: _of(row) for row in rows}


def _of(source: Any) -> Words:
    words = Words([(2, source.title), *((1, author) for author in source.authors)])
    words.hidden = source.visibility is not None
    host = (urlsplit(source.url).hostname or "").removeprefix("www.")
    words.texts += [(0.5, host.replace(".", " ")), (0.5, source.kind.replace("_", " "))]
    words.terms = [(1, f"@publisher:{source.publisher_id}")] if source.publisher_id else []
    return words


NOUN = Noun("source", batches(col(Source.id)), _words)


def _after_sources(session: WriteSession, saved: Sequence[Saved]) -> None:
    news = all_new(saved)
    if news is None:
        NOUN.keep(session, [each.id for each in saved])
    else:
        put(session, "source", {new.record.id: _of(new.record) for new in news}, new=True)


PROJECTION = NOUN.projection({Source: _after_sources})


def matched(finding: Finding, source: Mapping[str, Any], score: int) -> dict[str, Any]:
    """A source with why it was found."""
    texts = [Text("title", source["title"]), *(Text("authors", author) for author in source["authors"])]
    publisher = source["publisher"]
    people = [Person("publisher", publisher["id"], publisher["name"])] if publisher else []
    return {**source, "match": explain(finding, score, texts, people)}
