"""ClaimReviews out of pages and files: HTML or JSON-LD in, rows of reviews out. Pure. Nothing is fetched, and
what is broken in one place spoils no other. A review is numbered by its place among all.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from itertools import count
from typing import Any

from app.base.body import MAX_DEPTH, MAX_NUMBER, check_strings
from app.base.errors import Invalid, Malformed, Problem, TooLarge
from app.base.problems import checked
from app.exchange.lines import Row, faults_of
from app.exchange.nodes import Json, Nodes, plain, records, types
from app.exchange.pages import Page
from app.exchange.shapes import ReviewRecord

MAX_VALUE = 2 * 1024 * 1024
"""Characters of a script, of a file that is read as a whole, and of an item of a larger one."""
MAX_PAGE = 8 * 1024 * 1024
MOST_IDLE = 200_000
"""Items of a large file that have no review."""

_LISTS = ("dataFeedElement", "@graph", "itemListElement")
"""The members of a file that are read item by item if it is large."""

_WRAPPED = re.compile(r"^\s*(//\s*)?<!(--|\[CDATA\[)|(//\s*)?(--|\]\])>\s*$")
"""What hides a script from browsers of long ago."""

Found = tuple[Json, Nodes, bool]
"""A ClaimReview, the nodes that it may name, and whether its feed has it as deleted."""


def of_page(pieces: Iterable[bytes]) -> Iterator[Row]:
    """The reviews in the scripts of a page. Raises TooLarge, and Invalid for what is not UTF-8."""
    parts, size = [], 0
    for text in _decoded(pieces):
        parts.append(text)
        size += len(text)
        if size > MAX_PAGE:
            raise TooLarge(f"The page is longer than {MAX_PAGE} characters.")
    page = Page("".join(parts))
    found: list[Any] = []
    broken: list[Problem] = []
    for number, text in enumerate(page.scripts, start=1):
        try:
            if len(text) > MAX_VALUE:
                raise Malformed(f"It has more than {MAX_VALUE} characters.")
            found.append(_value(_WRAPPED.sub("", text)))
        except Problem as fault:
            broken.append(Invalid(f"Script {number} of JSON-LD: {fault.detail}"))
    if page.unclosed:
        broken.append(Invalid(f"Script {len(page.scripts) + 1} of JSON-LD has no end."))
    rows = _rows(_together(found, Nodes()), broken, home=page.canonical)
    none = Row(1, "review", None, faults_of(Invalid("The page has no ClaimReview in JSON-LD.")))
    yield next(rows, none)
    yield from rows


def of_document(pieces: Iterable[bytes]) -> Iterator[Row]:
    """The reviews in a file of JSON-LD, of which a large one is read item by item. Raises as `of_page`."""
    return _rows(_in_document(_Stream(_decoded(pieces))))


def of_nodes(nodes: Iterable[Json]) -> Iterator[Row]:
    """The rows of ClaimReviews that are at hand."""
    return _rows((node, Nodes(), False) for node in nodes)


def _rows(
    found: Iterable[Found], broken: Iterable[Problem] = (), *, home: str | None = None
) -> Iterator[Row]:
    numbers = count(1)
    for fault in broken:
        yield Row(next(numbers), "review", None, faults_of(fault))
    each = iter(found)
    while True:
        try:
            node, nodes, deleted = next(each)
        except StopIteration:
            return
        except Problem as fault:
            yield Row(next(numbers), "review", None, faults_of(fault))
            return
        try:
            made = list(records(node, nodes, deleted=deleted, home=home))
        except Problem as fault:
            yield Row(next(numbers), "review", None, faults_of(fault))
            continue
        for record in made:
            yield _row(next(numbers), record)


def _row(number: int, record: Json) -> Row:
    try:
        check_strings(record)
        return Row(number, "review", checked(ReviewRecord, record))
    except Problem as fault:
        return Row(number, "review", None, faults_of(fault))


# --- what is in a value ------------------------------------------------------------------------


def _together(values: list[Any], nodes: Nodes) -> Iterator[Found]:
    """The reviews of values that may name each other's nodes."""
    named: dict[str, Json] = {}
    for value in values:
        named |= {
            str(node["@id"]): node for node in map(plain, _objects(value)) if len(node) > 1 and "@id" in node
        }
    nodes.go_on(values, named)
    for value in values:
        for node, deleted in _reviews(value):
            yield node, nodes, deleted


def _in_document(stream: "_Stream") -> Iterator[Found]:
    nodes = Nodes()
    idle = 0
    for value in stream.items() if stream.is_long else (stream.whole(),):
        reviews = False
        for found in _together([value], nodes):
            reviews = True
            yield found
        idle += not reviews
        if idle > MOST_IDLE:
            raise TooLarge(f"The file has more than {MOST_IDLE} items without a ClaimReview.")


def _objects(value: Any, depth: int = 0) -> Iterator[Json]:
    """All objects in a value. Raises Malformed."""
    if depth > MAX_DEPTH:
        raise Malformed("It is nested too deeply.")
    if isinstance(value, dict):
        yield value
    for each in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        if isinstance(each, (dict, list)):
            yield from _objects(each, depth + 1)


def _reviews(value: Any, deleted: bool = False, depth: int = 0) -> Iterator[tuple[Json, bool]]:
    """The ClaimReviews in a value, wherever they are in it. Raises Malformed."""
    if depth > MAX_DEPTH:
        raise Malformed("It is nested too deeply.")
    if isinstance(value, list):
        for each in value:
            yield from _reviews(each, deleted, depth + 1)
    elif isinstance(value, dict):
        if "ClaimReview" in types(value):
            yield value, deleted
            return
        deleted = deleted or bool(plain(value).get("dateDeleted"))
        for name, each in value.items():
            if isinstance(each, (dict, list)) and name != "@context":
                yield from _reviews(each, deleted, depth + 1)


# --- JSON --------------------------------------------------------------------------------------


def _decimal(text: str) -> Any:
    with suppress(InvalidOperation):
        number = Decimal(text)
        if len(text) <= MAX_NUMBER and abs(number.adjusted()) <= MAX_NUMBER:
            return number
    return text  # which is no number to anyone, and is refused where one is needed


def _integer(text: str) -> Any:
    return int(text) if len(text) <= MAX_NUMBER else text


_DECODER = json.JSONDecoder(parse_float=_decimal, parse_int=_integer, parse_constant=lambda _: None)


def _value(text: str) -> Any:
    """The value that a text has. Raises Malformed."""
    return _Stream(iter([text])).whole()


def _decoded(pieces: Iterable[bytes]) -> Iterator[str]:
    try:
        yield from codecs.iterdecode(pieces, "utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid("It is not UTF-8; save it as UTF-8.") from None


_SPACE = re.compile(r"[ \t\n\r]++")
_NO_CONTAINER = "it is neither a list nor an object"


class _Stream:
    """JSON of any length, of which no more than an item is held."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._text, self._at, self._lines, self._before = "", 0, 0, 0
        self._ended = False
        self._fill()

    @property
    def is_long(self) -> bool:
        """Whether it is more than is read as a whole."""
        return len(self._text) > MAX_VALUE

    def whole(self) -> Any:
        """The one list or object that it is. Raises Malformed."""
        if not self._text.lstrip().startswith(("[", "{")):
            raise self._fault(_NO_CONTAINER)
        value = self._one()
        self._end()
        return value

    def items(self) -> Iterator[Any]:
        """The items of its lists, and its other members. Raises Malformed."""
        if self._takes("["):
            yield from self._list()
        elif self._takes("{"):
            yield from self._members()
        else:
            raise self._fault(_NO_CONTAINER)
        self._end()

    def _members(self) -> Iterator[Any]:
        if self._takes("}"):
            return
        while True:
            name = self._one()
            self._must(":")
            if name in _LISTS and self._takes("["):
                yield from self._list()
            else:
                yield {name: self._one()}
            if not self._takes(","):
                self._must("}")
                return

    def _list(self) -> Iterator[Any]:
        if self._takes("]"):
            return
        while True:
            yield self._one()
            if not self._takes(","):
                self._must("]")
                return

    def _fill(self) -> None:
        if self._ended or len(self._text) - self._at > MAX_VALUE:
            return
        parts, size = [self._text[self._at :]], len(self._text) - self._at
        self._lines += self._text.count("\n", 0, self._at)
        newline = self._text.rfind("\n", 0, self._at)
        self._before = self._at - newline - 1 if newline >= 0 else self._before + self._at
        while size <= 2 * MAX_VALUE and not self._ended:
            piece = next(self._pieces, None)
            self._ended = piece is None
            parts.append(piece or "")
            size += len(parts[-1])
        self._text, self._at = "".join(parts), 0

    def _space(self) -> None:
        self._fill()
        while (found := _SPACE.match(self._text, self._at)) is not None:
            self._at = found.end()
            self._fill()

    def _one(self) -> Any:
        self._space()
        try:
            value, self._at = _DECODER.raw_decode(self._text, self._at)
        except json.JSONDecodeError as fault:
            cut = fault.pos >= len(self._text) or fault.msg.startswith("Unterminated")
            if cut and not self._ended:
                raise self._fault(f"has an item of more than {MAX_VALUE} characters") from None
            self._at = fault.pos
            raise self._fault("it cannot be read on") from None
        except RecursionError:
            raise self._fault("is nested too deeply") from None
        return value

    def _takes(self, sign: str) -> bool:
        self._space()
        found = self._text.startswith(sign, self._at)
        self._at += found
        return found

    def _must(self, sign: str) -> None:
        if not self._takes(sign):
            raise self._fault(f"has no {sign} where one must be")

    def _end(self) -> None:
        self._space()
        if self._at < len(self._text):
            raise self._fault("goes on after its end")

    def _fault(self, what: str) -> Malformed:
        line = self._lines + self._text.count("\n", 0, self._at) + 1
        newline = self._text.rfind("\n", 0, self._at)
        column = self._at - newline if newline >= 0 else self._before + self._at + 1
        return Malformed(f"It is not JSON: {what}, at line {line}, column {column}.")
