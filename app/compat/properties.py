"""The types and properties under which the Reconciliation API knows entities and sources."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, get_args

from app.base.db import ReadSession
from app.base.errors import Invalid, nearest
from app.base.ids import noun_of
from app.base.sql import select
from app.base.types import canonical_url
from app.compat.matching import best_fit
from app.entities.model import EntityExternalId, EntityKind
from app.words.text import forms

SOURCE = "source"
TYPES: Mapping[str, str] = {kind: kind.capitalize() for kind in (*get_args(EntityKind), SOURCE)}
"""The names of the types by their ids: the kinds of entities, and sources."""

Value = Mapping[str, Any]
"""A value as the protocol has it: `{"str": …}`, or `{"id": …, "name": …}` of another record."""


class Property(NamedTuple):
    """What a record may be asked for."""

    id: str
    name: str
    description: str
    of_entities: bool
    of_sources: bool

    def of(self, kind: str | None) -> bool:
        """Whether records of that type have it; of any type, if none is named."""
        return kind is None or (self.of_sources if kind == SOURCE else self.of_entities)


OWN: Mapping[str, Property] = {
    each.id: each
    for each in (
        Property("description", "Description", "What tells it from its namesakes.", True, False),
        Property("alias", "Alias", "Another name, in any script.", True, False),
        Property("affiliation", "Affiliation", "An organization at which it holds a title.", True, False),
        Property("title", "Title", "A title that it holds or held.", True, False),
        Property("kind", "Kind", "What kind of entity or source it is.", True, True),
        Property("slug", "Slug", "Its name in addresses.", True, False),
        Property("url", "URL", "Where it is published.", False, True),
        Property("publisher", "Publisher", "Who published it.", False, True),
        Property("published", "Published", "When it was published (EDTF).", False, True),
    )
}


_SCHEME = Property("", "", "", True, False)
"""What any external id is."""


def known(session: ReadSession) -> dict[str, Property]:
    """All properties by id: our own, and each scheme of external ids that is in use."""
    schemes = session.execute(select(EntityExternalId.scheme).distinct()).scalars()
    others = {
        scheme: Property(scheme, scheme, f"Its id in the register {scheme}.", True, False)
        for scheme in sorted({*schemes} - OWN.keys())
    }
    return {**OWN, **others}


def check(pointers: Mapping[str, str], there: Mapping[str, Any], what: str) -> None:
    """Raises Invalid for ids, by the pointers to them, that are not among those that there are."""
    for pointer, each in pointers.items():
        if each not in there:
            raise Invalid.at(pointer, f"is {each!r}, which is not a {what} here{nearest(each, there)}")


def type_of(record: Mapping[str, Any]) -> str:
    """The type of an entity or a source, as its documents show it."""
    return SOURCE if "url" in record else str(record["kind"])


def name_of(record: Mapping[str, Any]) -> str:
    """What it is called."""
    return str(record["title"] if "url" in record else record["name"])


def shown_type(kind: str) -> dict[str, str]:
    """A type as answers have it."""
    return {"id": kind, "name": TYPES[kind]}


def values(record: Mapping[str, Any], wanted: str) -> list[Value]:
    """The values of a property of a record; none if it has none."""
    if not OWN.get(wanted, _SCHEME).of(type_of(record)):
        return []
    match wanted:
        case "alias":
            return [{"str": alias["name"]} for alias in record["aliases"]]
        case "affiliation":
            return [_record(held["organization"]) for held in record["affiliations"]]
        case "title":
            return [{"str": held["title"]} for held in record["affiliations"]]
        case "publisher":
            return [_record(record["publisher"])] if record["publisher"] else []
        case wanted if wanted in OWN:
            return [{"str": record[wanted]}] if record[wanted] else []
        case _:
            return [{"str": each["value"]} for each in record["external_ids"] if each["scheme"] == wanted]


def _record(brief: Mapping[str, Any]) -> Value:
    return {"id": brief["id"], "name": brief["name"]}


# --- agreeing ----------------------------------------------------------------------------------


def agreement(record: Mapping[str, Any], wanted: str, asked: Sequence[str]) -> float:
    """How well a property of a record agrees with the best of the values asked for, from 0 to 100."""
    own = [text for value in values(record, wanted) for text in value.values()]
    return max((_agree(wanted, one, other) for one in own for other in asked), default=0.0)


def contradicts(record: Mapping[str, Any], wanted: str, asked: Sequence[str]) -> bool:
    """Whether a record has another id in that register, or is at another address."""
    unique = wanted not in OWN or wanted in ("slug", "url")
    return unique and bool(values(record, wanted)) and agreement(record, wanted, asked) < 100


def _agree(wanted: str, own: str, asked: str) -> float:
    if wanted not in OWN or wanted in ("slug", "kind"):
        return 100.0 * (own.casefold() == bare(wanted, asked).casefold())
    if wanted == "url":
        return 100.0 * (canonical(own) == canonical(asked))
    if wanted == "published":
        return 100.0 * (own.startswith(asked) or asked.startswith(own))
    if wanted == "description":
        sought = set(forms(asked))
        return round(100 * len(sought & set(forms(own))) / len(sought), 1) if sought else 0.0
    if own == asked:
        return 100.0
    return best_fit(asked, [own], (), person=False).similarity


def is_id(text: str, record: Mapping[str, Any]) -> bool:
    """Whether a text is an id of a record, not a name of it."""
    if noun_of(text) is not None or (type_of(record) == SOURCE and canonical(text)):
        return True
    others = record.get("external_ids", ())
    return any(text in (each["value"], f"{each['scheme']}:{each['value']}") for each in others)


def bare(scheme: str, written: str) -> str:
    """An id without what some write before it: `wikidata:Q7747`, or the address of its page."""
    return written.strip().removeprefix(f"{scheme}:").rstrip("/").rpartition("/")[2]


def canonical(url: str) -> str | None:
    """A URL in the one spelling that is unique; None for what is none."""
    try:
        return canonical_url(url.strip())
    except ValueError:
        return None
