"""Rows out of files of NDJSON, and of CSV in a documented set of columns: bytes in, records out."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from app.base.body import MAX_LINE, check_strings, strict_json
from app.base.errors import Fault, Invalid, Problem, TooLarge, nearest, short
from app.base.problems import checked
from app.exchange.shapes import RECORDS, Noun

NOUNS: tuple[Noun, ...] = get_args(Noun)


@dataclass(frozen=True)
class Row:
    """One record of a file, or what is wrong with it."""

    line: int
    noun: Noun | None
    record: BaseModel | None
    errors: Sequence[Fault] = ()


def short_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Numbered lines without byte order mark and line end. Raises TooLarge; Invalid for UTF-16."""
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE:
            raise TooLarge(f"Line {number} is longer than {MAX_LINE} bytes.")
        if number == 1:
            if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise Invalid("Line 1: the file is UTF-16; save it as UTF-8.")
            line = line.removeprefix(b"\xef\xbb\xbf")
        yield number, line.rstrip(b"\r\n")


def of_file(file: Any, most: int = MAX_LINE) -> Iterator[bytes]:
    """The lines of a binary file, of which one with more than `most` bytes is not read to its end."""
    while line := file.readline(most + 2):
        yield line


# --- NDJSON ------------------------------------------------------------------------------------


def ndjson(lines: Iterable[bytes], noun: Noun | None) -> Iterator[Row]:
    """One JSON object a line: `{"claim": {…}}`, `{"type": "claim", …}`, or a bare one of a given noun."""
    for number, line in short_lines(lines):
        if line.strip():
            yield _row(number, line, noun)


def _row(number: int, line: bytes, noun: Noun | None) -> Row:
    told = noun
    try:
        told, value = _unwrapped(strict_json(line), noun)
        if b"\\u" in line:  # else no string can have what is not text, which takes long to look for
            check_strings(value)
        return Row(number, told, checked(RECORDS[told], value))
    except Problem as fault:
        return Row(number, told, None, faults_of(fault))


def faults_of(problem: Problem) -> Sequence[Fault]:
    """What is wrong, by places in a record."""
    return problem.errors or [{"pointer": "", "detail": problem.detail}]


def _unwrapped(value: Any, noun: Noun | None) -> tuple[Noun, Any]:
    if not isinstance(value, dict):
        raise Invalid("A line is one JSON object.")
    if len(value) == 1 and isinstance(inner := next(iter(value.values())), dict):
        return _noun(next(iter(value)), ""), inner
    if "type" in value:
        return _noun(value["type"], "/type"), {name: item for name, item in value.items() if name != "type"}
    if noun is None:
        raise Invalid('A line says what it is: {"claim": {…}}, or {"type": "claim", …}.')
    return noun, value


def _noun(name: Any, pointer: str) -> Noun:
    for noun in NOUNS:
        if noun == name:
            return noun
    raise Invalid.at(pointer, f"{str(name)[:50]!r} is no type of record here{nearest(str(name)[:50], NOUNS)}")


# --- CSV ---------------------------------------------------------------------------------------

_CLAIM = {
    **{name: name for name in ("text", "mode", "kind", "language", "relayed_by", "said", "occasion", "place",
                               "context", "original_text", "original_language", "due", "ref")},
    **{name: name for name in ("speaker", "speaker_title", "speaker_kind", "about", "topics", "source_url",
                               "source_title", "publisher", "source_published", "quote")},
    **{f"figure_{name}": name for name in ("measure", "value", "lower", "upper", "comparator", "unit",
                                           "scale", "display", "kind", "is_record", "period", "condition",
                                           "about")},
}  # fmt: skip
_ENTITY = {name: name for name in ("slug", "kind", "name", "description", "aliases", "external_ids")}
_SOURCE = {name: name for name in ("url", "title", "publisher", "authors", "published", "language", "kind",
                                   "archive_url")}  # fmt: skip
COLUMNS: Mapping[Noun, Mapping[str, str]] = {"claim": _CLAIM, "entity": _ENTITY, "source": _SOURCE}
_NEEDED: Mapping[Noun, Sequence[str]] = {
    "claim": ("text", "mode", "speaker"),
    "entity": ("kind", "name"),
    "source": ("url", "title"),
}
_MANY = {"speaker", "speaker_title", "about", "topics", "aliases", "external_ids", "authors", "figure_about"}
"""Columns that take several values, with a semicolon or bar between; in a file with semicolons, bars."""


MOST_COLUMNS = 200
_MOST_SHOWN = 5
"""Faults of a header that are told."""

_NOT_CSV = (
    "is not CSV: a cell in quotes is not closed, or goes on behind its closing quote, or has more than "
    f"{csv.field_size_limit()} characters"
)


def csv_rows(lines: Iterable[bytes], noun: Noun | None) -> Iterator[Row]:
    """A header, then one record a row. Raises Invalid for a header that cannot be, TooLarge."""
    numbered = _decoded(short_lines(lines))
    try:
        head = next(numbered)
    except StopIteration:
        raise Invalid("The file is empty: it begins with the names of its columns.") from None
    delimiter = max(",;\t", key=head.count)
    try:
        names = [name.strip().lower() for name in next(csv.reader([head], delimiter=delimiter))]
    except csv.Error:
        raise Invalid(f"Line 1, the header, {_NOT_CSV}.") from None
    if len(names) > MOST_COLUMNS:
        raise TooLarge(f"Line 1, the header, has {len(names)} columns; {MOST_COLUMNS} are read at most.")
    noun = _check_head(names, noun)
    reader = csv.reader(numbered, delimiter=delimiter, strict=True)
    split = "|" if delimiter == ";" else ";"
    while True:
        number = reader.line_num + 2
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield Row(number, noun, None, [{"pointer": "", "detail": _NOT_CSV}])
            return
        if any(cell.strip() for cell in cells):
            yield _csv_row(number, noun, names, cells, split)


def _decoded(lines: Iterable[tuple[int, bytes]]) -> Iterator[str]:
    for number, line in lines:
        try:
            yield line.decode("utf-8") + "\n"
        except UnicodeDecodeError:
            raise Invalid(f"Line {number} is not UTF-8; save the file as UTF-8.") from None


def _check_head(names: Sequence[str], told: Noun | None) -> Noun:
    fitting: Noun = max(COLUMNS, key=lambda each: len(set(names) & COLUMNS[each].keys()))
    noun = fitting if told is None else told
    known = COLUMNS.get(noun)
    if known is None:
        raise Invalid(f"A {noun} is not read from CSV; send NDJSON.")
    strange = [name for name in names if name not in known]
    faults = [
        f"{short(name)!r} is not a column of a {noun}{nearest(name, known)}" for name in strange[:_MOST_SHOWN]
    ]
    faults += [
        f"{short(name)!r} is there twice" for name, times in sorted(Counter(names).items()) if times > 1
    ]
    faults += [f"{name!r} is missing" for name in _NEEDED[noun] if name not in names]
    if faults:
        raise Invalid(f"Line 1, the header: {'; '.join(faults[:_MOST_SHOWN])}.")
    return noun


def _csv_row(number: int, noun: Noun, names: Sequence[str], cells: Sequence[str], split: str) -> Row:
    if len(cells) != len(names):
        detail = f"has {len(cells)} cells, and the header {len(names)}"
        return Row(number, noun, None, [{"pointer": "", "detail": detail}])
    given: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=True):
        if cell.strip():
            parts = [part.strip() for part in cell.replace("|", split).split(split)]
            given[name] = [part for part in parts if part] if name in _MANY else cell
    made = {"claim": _claim, "entity": _entity, "source": _source}[noun](given)
    try:
        check_strings(made)
        return Row(number, noun, checked(RECORDS[noun], made))
    except Problem as fault:
        return Row(number, noun, None, faults_of(fault))


def _claim(given: dict[str, Any]) -> dict[str, Any]:
    titles, kind = given.pop("speaker_title", []), given.pop("speaker_kind", None)
    speakers = [{"entity": name, "kind": kind} for name in given.pop("speaker", [])]
    for speaker, title in zip(speakers, titles, strict=False):
        speaker["title"] = title
    figure = {_CLAIM[name]: given.pop(name) for name in [*given] if name.startswith("figure_")}
    if "is_record" in figure:
        said = figure["is_record"]
        figure["is_record"] = {"true": True, "false": False}.get(said.lower(), said)
    printed = {
        "source": given.pop("source_url", None),
        "title": given.pop("source_title", None),
        "publisher": given.pop("publisher", None),
        "published": given.pop("source_published", None),
    }
    quote = given.pop("quote", None)
    anchors = [{"exact": quote}] if quote else []
    if any(printed.values()) or anchors:
        given["appearances"] = [{**printed, "anchors": anchors}]
    return {**given, "speakers": speakers, "figures": [figure] if figure else []}


def _entity(given: dict[str, Any]) -> dict[str, Any]:
    given["aliases"] = [{"name": name} for name in given.get("aliases", [])]
    pairs = [external.partition(":") for external in given.get("external_ids", [])]
    return {**given, "external_ids": [{"scheme": scheme, "value": value} for scheme, _, value in pairs]}


def _source(given: dict[str, Any]) -> dict[str, Any]:
    return given
