"""Which records a query of the Reconciliation API means: scored, and each score with what it is made of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, model_validator

from app.base.db import ReadSession
from app.base.errors import pointer
from app.base.jobs import Job
from app.base.types import Shape, plain
from app.compat.candidates import Found, Sought, candidates
from app.compat.matching import CERTAIN, LONGEST, Fit, best_fit
from app.compat.properties import (
    OWN,
    SOURCE,
    TYPES,
    agreement,
    check,
    contradicts,
    is_id,
    known,
    name_of,
    shown_type,
    type_of,
)

MATCHES, CLEAR, CLEAR_OF_A_TYPO, SHOWN = 85, 10, 15, 30
"""A candidate with `MATCHES` points or more matches if no other comes within `CLEAR`, or, where a letter is
wrong, `CLEAR_OF_A_TYPO`; with less than `SHOWN` it is none."""

_OF_PROPERTIES, _OF_ANOTHER_TYPE, _BY_ID, _NO_OTHER_NAME = 0.25, 20, 95, 60
_USUAL, _MOST = 10, 100


class Reconciled(BaseModel):
    """A value that was matched with a record before."""

    model_config = ConfigDict(frozen=True)

    id: StrictStr
    name: StrictStr = ""


Given = StrictStr | StrictBool | Decimal | Reconciled


class PropertyIn(Shape):
    """What is known of a property of the record."""

    pid: StrictStr
    v: Given | Annotated[list[Given], Field(max_length=100)]

    @property
    def texts(self) -> tuple[str, ...]:
        """The values as text, but for those that are empty."""
        given = self.v if isinstance(self.v, list) else [self.v]
        return tuple(text for value in given for text in _texts(value) if text.strip())


def _texts(value: Given) -> tuple[str, ...]:
    match value:
        case Reconciled():
            return value.id, value.name
        case bool():
            return (str(value).lower(),)
        case Decimal():
            return (plain(value),)
    return (value,)


class QueryIn(Shape):
    """What is known of one record: its name, its type, its properties."""

    query: Annotated[StrictStr, Field(max_length=2000)] | None = None
    type: StrictStr | Annotated[list[StrictStr], Field(max_length=50)] | None = None
    limit: Annotated[int, Field(ge=1)] = _USUAL
    properties: Annotated[list[PropertyIn], Field(max_length=50)] = []
    type_strict: Literal["any", "all", "should"] = "any"

    @model_validator(mode="after")
    def _asks_something(self) -> "QueryIn":
        if self.query is None and not self.properties:
            raise ValueError("needs a query, or properties")
        return self

    @property
    def types(self) -> list[str]:
        """The types that it wants; none is any."""
        return [self.type] if isinstance(self.type, str) else self.type or []

    @property
    def text(self) -> str:
        """What it calls the record."""
        return (self.query or "").strip()

    @property
    def known(self) -> dict[str, tuple[str, ...]]:
        """The values that it has of each property, if any."""
        found: dict[str, tuple[str, ...]] = {}
        for each in self.properties:
            if each.texts:
                found[each.pid] = found.get(each.pid, ()) + each.texts
        return found

    def may_be(self, kind: str) -> bool:
        """Whether a record of that type can be meant."""
        if not self.types or self.type_strict == "should":
            return True
        fits = all if self.type_strict == "all" else any
        return fits(kind == wanted for wanted in self.types)


@dataclass
class _Scored:
    """A candidate, with what its score is made of."""

    record: Mapping[str, Any]
    fit: Fit | None
    identified: bool
    of_type: bool
    properties: Mapping[str, float]
    contradicted: bool

    @property
    def score(self) -> float:
        parts = list(self.properties.values())
        agreed = sum(parts) / len(parts) if parts else 0.0
        score = agreed if self.fit is None else self.fit.points
        if self.fit is not None and parts:
            score = (1 - _OF_PROPERTIES) * score + _OF_PROPERTIES * agreed
        another = self.fit is not None and self.fit.points < _NO_OTHER_NAME
        if self.identified and not another and not self.contradicted:
            score = max(score, _BY_ID)
        return round(score if self.of_type else max(score - _OF_ANOTHER_TYPE, 0), 1)

    @property
    def certain(self) -> bool:
        """Whether it is more than similar, and nothing speaks against it."""
        named = self.fit is not None and self.fit.how in CERTAIN and not self.fit.numbers_differ
        return (named or self.identified) and self.of_type and not self.contradicted

    def shown(self, match: bool) -> dict[str, Any]:
        """The candidate as answers have it."""
        kind = type_of(self.record)
        about = self.record.get("description") if kind != SOURCE else _about(self.record)
        return {
            "id": self.record["id"],
            "name": name_of(self.record),
            **({"description": about} if about else {}),
            "type": [shown_type(kind)],
            "score": self.score,
            "features": list(self._features()),
            "match": match,
        }

    def _features(self) -> Iterator[dict[str, Any]]:
        fit = self.fit or _NONE
        yield {"id": "name_points", "value": round(fit.points, 1)}
        yield {"id": "name_similarity", "value": fit.similarity}
        for how in ("exact", "alias", "reordered", "transliterated", "initials", "typo", "part"):
            yield {"id": f"name_{how}", "value": fit.how == how}
        yield {"id": "title_dropped", "value": fit.titled}
        yield {"id": "numbers_differ", "value": fit.numbers_differ}
        yield {"id": "identifier", "value": self.identified}
        yield {"id": "type", "value": self.of_type}
        yield {"id": "contradicted", "value": self.contradicted}
        for wanted, value in self.properties.items():
            yield {"id": f"property:{wanted}", "value": value}


_NONE = Fit("similar", 0, 0)


def _about(source: Mapping[str, Any]) -> str:
    publisher = (source["publisher"] or {}).get("name")
    return ", ".join(filter(None, (publisher, source["published"])))


def reconciled(session: ReadSession, queries: Mapping[str, QueryIn], job: Job) -> dict[str, Any]:
    """The candidates of each query, the best first. Raises Invalid for a type or property that is none."""
    _check(session, queries)
    found = candidates(session, [_sought(query) for query in queries.values()], job)
    results: dict[str, Any] = {}
    for place, (key, query) in enumerate(queries.items()):
        job.check()
        results[key] = {"result": _result(query, found, place)}
    return results


def _check(session: ReadSession, queries: Mapping[str, QueryIn]) -> None:
    types: dict[str, str] = {}
    properties: dict[str, str] = {}
    for key, query in queries.items():
        one = isinstance(query.type, str)
        types |= {
            pointer((key, "type") if one else (key, "type", n)): each for n, each in enumerate(query.types)
        }
        properties |= {
            pointer((key, "properties", n, "pid")): each.pid for n, each in enumerate(query.properties)
        }
    check(types, TYPES, "type")
    if properties:
        check(properties, known(session), "property")


def _sought(query: QueryIn) -> Sought:
    """What is looked up for a query: of its properties, those that are ids, and aliases, which are names."""
    return Sought(
        query.text or " ".join(query.known.get("alias", ())[:1]),
        {pid: texts for pid, texts in query.known.items() if pid not in OWN or pid in ("slug", "url")},
        entities=any(map(query.may_be, TYPES.keys() - {SOURCE})),
        sources=query.may_be(SOURCE),
    )


def _result(query: QueryIn, found: Found, place: int) -> list[dict[str, Any]]:
    scored = [
        _scored(query, found.records[key], key in found.named[place])
        for key in found.ids[place]
        if query.may_be(type_of(found.records[key]))
    ]
    scored = [each for each in scored if each.score >= SHOWN]
    scored.sort(key=lambda each: (-each.score, each.record["id"]))
    return [
        each.shown(match=n == 0 and _stands_out(scored))
        for n, each in enumerate(scored[: min(query.limit, _MOST)])
    ]


def _stands_out(scored: Sequence[_Scored]) -> bool:
    best, *others = scored
    mistyped = best.fit is not None and best.fit.how == "typo"
    clear = CLEAR_OF_A_TYPO if mistyped else CLEAR
    alone = not others or best.score - others[0].score >= clear
    return best.certain and best.score >= MATCHES and alone


def _scored(query: QueryIn, record: Mapping[str, Any], identified: bool) -> _Scored:
    kind = type_of(record)
    asked = query.known
    names = [name_of(record), *(alias["name"] for alias in record.get("aliases", ()))]
    held = tuple(each["title"] for each in record.get("affiliations", ()))
    fit = best_fit(query.text[:LONGEST], names, held, person=kind == "person") if query.text else None
    if identified and is_id(query.text, record):
        fit = None
    return _Scored(
        record,
        fit,
        identified,
        of_type=not query.types or kind in query.types,
        properties={pid: agreement(record, pid, texts) for pid, texts in asked.items()},
        contradicted=any(contradicts(record, pid, texts) for pid, texts in asked.items()),
    )
