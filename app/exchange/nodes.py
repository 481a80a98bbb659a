"""One ClaimReview of schema.org in the words of our import, whichever way it is written: names with a prefix,
values for objects, one for many. Pure, and nothing is ever fetched: a context is not looked at.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

from slugify import slugify

from app.base.errors import Invalid
from app.changes.earlier import stood_today
from app.claims.model import Attribution, Verdict
from app.entities.model import EntityKind
from app.reviews.labels import attribution_of
from app.reviews.model import ORDINAL

Json = dict[str, Any]
MOST_VALUES, MOST_CLAIMS = 500, 100
"""Values of one member, lists among them, and claims of one review: more than any record takes."""

_PREFIX = re.compile(r"^(https?://(www\.)?schema\.org/|schema:)")
_KEYWORDS = {"type": "@type", "id": "@id"}
_KINDS: Sequence[tuple[str, EntityKind]] = (
    ("Person", "person"), ("Country", "country"), ("Place", "place"), ("City", "place"), ("Event", "event"),
    ("Corporation", "organization"), ("Party", "organization"), ("NGO", "organization"),
    ("Organization", "organization"),
)  # fmt: skip
"""How the names of types end, and what they are here."""
_WIKIDATA = re.compile(r"^https?://(?:www\.|m\.)?wikidata\.org/(?:wiki|entity)/(Q[1-9]\d{0,11})$")
_REVIEW = re.compile(r"/v1/claims/clm_\w{1,40}/reviews/(rev_\w{1,40})$")
_DATE = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|[+-]\d\d:?\d\d)?)?"
)
_BEST, _WORST = Decimal(5), Decimal(1)
"""The ends of a scale that has none of its own, as schema.org has it."""


class Nodes:
    """The nodes of a document by their ids, for those who only name one. A short name may stand for a long
    node, so that what is named is measured: in all it is no more than some times what the documents are.
    """

    def __init__(self) -> None:
        self._left = 1024 * 1024
        self._nodes: dict[str, Json] = {}
        self._sizes: dict[str, int] = {}

    def go_on(self, values: Iterable[Any], nodes: dict[str, Json]) -> None:
        """Go on to some values, which have these nodes."""
        self._left += 20 * sum(len(repr(value)) for value in values)
        self._nodes, self._sizes = nodes, {}

    def named(self, key: str, otherwise: Json) -> Json:
        """Return a node by its id. Raises Invalid once too much was named."""
        node = self._nodes.get(key)
        if node is None:
            return otherwise
        if key not in self._sizes:
            self._sizes[key] = len(repr(node))
        self._left -= self._sizes[key]
        if self._left < 0:
            raise Invalid("It names its own nodes too often: write what a review is about into the review.")
        return node


# --- values, however they are written ----------------------------------------------------------


def plain(node: Json) -> Json:
    """A node's members by their names in schema.org, without prefix."""
    named = ((_PREFIX.sub("", name), value) for name, value in node.items())
    return {_KEYWORDS.get(name, name): value for name, value in named}


def types(node: Json) -> set[str]:
    """What a node is, by the names of its types without prefix."""
    told = plain(node).get("@type")
    return {_PREFIX.sub("", each) for each in _many(told) if isinstance(each, str)}


def _many(value: Any) -> list[Any]:
    """Return all values of a member. Raises Invalid for too many."""
    found: list[Any] = []
    waiting = [value]
    for _ in range(MOST_VALUES):
        if not waiting:
            return found
        each = waiting.pop()
        inner = (
            next((each[name] for name in ("@list", "@set") if name in each), None)
            if isinstance(each, dict)
            else None
        )
        if inner is not None:
            waiting.append(inner)
        elif isinstance(each, list):
            waiting += reversed(each[:MOST_VALUES])
        elif each is not None:
            found.append(each)
    if waiting:
        raise Invalid(f"A member has more than {MOST_VALUES} values.")
    return found


def _text(value: Any) -> str | None:
    """The first value that is a text or a number."""
    for each in _many(value):
        found = each.get("@value") if isinstance(each, dict) else each
        if isinstance(found, (str, int, Decimal)) and not isinstance(found, bool) and str(found).strip():
            return str(found).strip()
    return None


def _line(value: Any) -> str | None:
    found = _text(value)
    return " ".join(found.split()) if found else None


def _nodes(value: Any, nodes: Nodes) -> list[Json]:
    """The objects that are values of a member; of a text, one with that name."""
    found = []
    for each in _many(value):
        if isinstance(each, dict) and "@value" not in each:
            told = plain(each)
            found.append(nodes.named(str(told["@id"]), told) if {*told} == {"@id"} else told)
        elif name := _line(each):
            found.append({"name": name})
    return found


def _name(node: Json) -> str | None:
    return next(filter(None, (_line(node.get(each)) for each in ("name", "legalName", "headline"))), None)


def _address(node: Json) -> str | None:
    """Where a node is found: an address of the web."""
    names = ("url", "sameAs", "@id", "name")
    told = (text for each in names for text in map(_text, _many(node.get(each))) if text)
    return next((text for text in told if re.match(r"https?://", text, re.IGNORECASE)), None)


def _day(value: Any) -> str | None:
    """A date as EDTF has it; what cannot be read as one stays as it is, to be refused."""
    text = _text(value)
    found = _DATE.fullmatch(text) if text else None
    return f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}" if found else text


def _moment(value: Any) -> str | None:
    """A moment as RFC 3339 has it: a day is its beginning, and what has no zone is in UTC."""
    text = _text(value)
    found = _DATE.fullmatch(text) if text else None
    if found is None:
        return text
    zone = found[5] or "Z"
    zone = zone if len(zone) in (1, 6) else f"{zone[:3]}:{zone[3:]}"
    return f"{_day(text)}T{found[4] or '00:00:00'}{zone}"


def _number(value: Any) -> Decimal | None:
    text = _text(value)
    try:
        number = Decimal(text.replace(",", ".")) if text else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


# --- a ClaimReview -----------------------------------------------------------------------------


def records(review: Json, nodes: Nodes, *, deleted: bool = False, home: str | None = None) -> Iterator[Json]:
    """The records that a ClaimReview makes: one, or, if it is of several claims, one for each. `home` is the
    address of the page that it is on, and `deleted` that its feed says it was taken back.
    """
    told = plain(review)
    withdrawn = deleted or _line(told.get("creativeWorkStatus")) == "Withdrawn"
    common = {
        **_author(told, nodes),
        "url": _address({"url": told.get("url"), "@id": told.get("mainEntityOfPage")})
        or _line(told.get("url"))
        or home,
        **_rating(told, nodes),
        **_reason(told, nodes),
        "explanation": _text(told.get("reviewBody")),
        "reviewed_at": None if withdrawn else _moment(told.get("datePublished") or told.get("dateCreated")),
        "citations": [url for each in _nodes(told.get("citation"), nodes) if (url := _address(each))],
        "correction_note": "\n\n".join(_notes(told, nodes)) or None,
        "known": [
            found[1] for each in ("@id", "url") if (found := _REVIEW.search(_text(told.get(each)) or ""))
        ],
        "withdrawn": withdrawn,
    }
    named = common.pop("named")
    for text, items in _claims(told, nodes):
        claim, also = _claim(text, items, nodes)
        yield told_of({**common, "claim": claim, "named": _once([*also, *named])})


def _author(told: Json, nodes: Nodes) -> Json:
    """The desk: of an author who is a person, whoever publishes it."""
    authors, publishers = _nodes(told.get("author"), nodes), _nodes(told.get("publisher"), nodes)
    desks = [each for each in authors if _kind(each, "organization") != "person"]
    for desk in (*desks, *publishers, *authors):
        if name := _name(desk):
            return {"publisher": name, "named": [_named(desk, name, "organization")]}
    return {"publisher": None, "named": []}


def _rating(told: Json, nodes: Nodes) -> Json:
    """The rating in the desk's words and on its scale. Without words, a number on the scale that all desks
    share is a verdict; words that are no rating in numbers are the words.
    """
    rating = next(iter(_nodes(told.get("reviewRating"), nodes)), {})
    value, best, worst = (_number(rating.get(each)) for each in ("ratingValue", "bestRating", "worstRating"))
    best, worst = _BEST if best is None else best, _WORST if worst is None else worst
    words = ("alternateName", "name", *(("ratingValue",) if value is None else ("description",)))
    label = next(filter(None, (_line(rating.get(each)) for each in words)), None)
    found: Json = {"label": label}
    if value is not None:
        found["rating"] = {"value": value, "best": best, "worst": worst}
        if label is None and (best, worst) == (_BEST, _WORST):
            found["verdict"] = next((each for each, n in ORDINAL.items() if n == value), None)
    if label and _line(rating.get("reviewAspect")) == "attribution":
        found["attribution"] = attribution_of(label)
    return {**found, **_identified(rating, nodes)}


def _identified(rating: Json, nodes: Nodes) -> Json:
    """The verdict and attribution that a rating has for whoever knows the words of this server, or those of
    an earlier version.
    """
    known = {"verdict": get_args(Verdict), "attribution": get_args(Attribution)}
    named = _nodes(rating.get("identifier"), nodes)
    found = stood_today({_line(each.get("propertyID")) or "": _line(each.get("value")) for each in named})
    return {name: value for name, value in found.items() if value in known.get(name, ())}


def _reason(told: Json, nodes: Nodes) -> Json:
    rating = next(iter(_nodes(told.get("reviewRating"), nodes)), {})
    places = (told.get("abstract"), rating.get("ratingExplanation"), told.get("headline"), told.get("name"),
              told.get("description"))  # fmt: skip
    return {"summary": next(filter(None, map(_text, places)), None)}


def _notes(told: Json, nodes: Nodes) -> list[str]:
    found = (_text(each.get("text") or each.get("name")) for each in _nodes(told.get("correction"), nodes))
    return [each for each in found if each]


# --- what it is of -----------------------------------------------------------------------------


def _claims(told: Json, nodes: Nodes) -> list[tuple[str | None, list[Json]]]:
    """The claims that it is of: items with words of their own, or else what all items say of the one."""
    items, reviewed = _nodes(told.get("itemReviewed"), nodes), _text(told.get("claimReviewed"))
    words = [_text(each.get("text")) for each in items]
    if len({*words} - {None}) > 1:
        if len(items) > MOST_CLAIMS:
            raise Invalid(f"It is of {len(items)} claims; {MOST_CLAIMS} are read at most.")
        return [(each or reviewed, [item]) for each, item in zip(words, items, strict=True)]
    named = next(filter(None, (*words, *map(_name, items))), None)
    return [(reviewed or named, items)]


def _claim(text: str | None, items: list[Json], nodes: Nodes) -> tuple[Json, list[Json]]:
    """The claim, and who is named in it."""

    def first(*names: str) -> Any:
        return next((each[name] for name in names for each in items if each.get(name)), None)

    authors = [each for item in items for each in _nodes(item.get("author"), nodes)]
    subjects = [each for item in items for each in _nodes(item.get("about"), nodes)]
    speakers = {name: _line(each.get("jobTitle")) for each in reversed(authors) if (name := _name(each))}
    about = [name for each in subjects if (name := _name(each))]
    original = next(iter(_nodes(first("translationOfWork"), nodes)), {})
    where = next(iter(_nodes(first("locationCreated", "contentLocation"), nodes)), {})
    claim = told_of(
        {
            "text": text,
            "mode": "direct_quote" if any("Quotation" in types(each) for each in items) else "paraphrase",
            "speakers": [{"entity": name, "title": speakers[name]} for name in reversed(speakers)],
            "about": [*dict.fromkeys(about)],
            "topics": _topics(first("keywords")),
            "said": _day(first("datePublished")),
            "place": _name(where),
            "language": _language(first("inLanguage"), nodes),
            "original_text": _text(original.get("text")),
            "original_language": _language(original.get("inLanguage"), nodes),
            "appearances": _appearances(items, nodes),
        }
    )
    people = [_named(each, name, "person") for each in authors if (name := _name(each))]
    things = [_named(each, name, "concept") for each in subjects if (name := _name(each))]
    printed = [
        _named(each, name, "organization")
        for item in items
        for page in (*_printed(item, nodes),)
        for each in _nodes(page.get("publisher"), nodes)[:1]
        if (name := _name(each))
    ]
    return claim, [*people, *things, *printed]


def _topics(value: Any) -> list[str]:
    words = (word for each in _many(value) for word in re.split("[,;]", _text(each) or ""))
    return [*dict.fromkeys(slug for word in words if (slug := slugify(word, max_length=90)))]


def _language(value: Any, nodes: Nodes) -> str | None:
    told = next(iter(_nodes(value, nodes)), {})
    return _line(told.get("alternateName")) or _name(told)


def _printed(item: Json, nodes: Nodes) -> Iterator[Json]:
    """Where a claim is printed. What is no Claim is what was printed itself, as mark-up of old has it."""
    if "Claim" not in types(item) and _address({**item, "@id": None, "name": None}):
        yield item
    yield from _nodes(item.get("firstAppearance"), nodes)
    yield from _nodes(item.get("appearance"), nodes)


def _appearances(items: list[Json], nodes: Nodes) -> list[Json]:
    """The pages, in the order of those that are listed, after those that are not."""
    found: dict[str, Json] = {}
    claims = {id(item) for item in items}
    told = (_address(each) for item in items for each in _nodes(item.get("appearance"), nodes))
    listed = {url: None for url in told if url}  # in order
    for page in (page for item in items for page in _printed(item, nodes)):
        if url := _address(page):
            found[url] = {**found.get(url, {}), **_page(page, nodes, is_claim=id(page) in claims)}
    order = [url for url in found if url not in listed] + [*listed]
    return [{"source": url, "title": url, **found[url]} for url in order]


def _page(page: Json, nodes: Nodes, *, is_claim: bool) -> Json:
    desk = next(iter(_nodes(page.get("publisher"), nodes)), {})
    own = {
        "published": _day(page.get("datePublished")),
        "language": _language(page.get("inLanguage"), nodes),
    }
    title = next(filter(None, (_line(page.get(each)) for each in ("headline", "name"))), None)
    url = title and re.match(r"https?://", title)
    return told_of({"title": None if url else title, "publisher": _name(desk), **({} if is_claim else own)})


def _kind(node: Json, otherwise: EntityKind) -> EntityKind:
    told = types(node)
    return next((kind for ending, kind in _KINDS for each in told if each.endswith(ending)), otherwise)


def _named(node: Json, name: str, otherwise: EntityKind) -> Json:
    items = (
        _WIKIDATA.match(text)
        for each in ("sameAs", "@id")
        for text in map(_text, _many(node.get(each)))
        if text
    )
    number = next((found[1] for found in items if found), None)
    return told_of({"name": name, "kind": _kind(node, otherwise), "wikidata": number})


def _once(named: Sequence[Json]) -> list[Json]:
    return [*{each["name"]: each for each in reversed(named)}.values()]


def told_of(members: Json) -> Json:
    """The members that say something."""
    return {name: value for name, value in members.items() if value not in (None, [])}
