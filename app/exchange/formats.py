"""Flat rows as JSON, NDJSON, CSV and Parquet. Pure: rows in, bytes out; of a million rows, one batch is in
memory.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

Kind = Literal["text", "exact", "number", "count", "flag", "day", "instant"]


@dataclass(frozen=True)
class Column:
    """One column of a feed. `of` takes its value, as JSON has it, from what a row is made of. `kind`: `text`;
    `exact`, a decimal as text; `number`, the nearest double; `count`, an integer; `flag`; `day`, such as
    2023-03-21; `instant`, RFC 3339 in UTC.
    """

    name: str
    kind: Kind
    doc: str
    of: Callable[[Any], Any]
    null: bool = False


Columns = Sequence[Column]
Rows = Iterable[Sequence[Any]]
Batches = Iterable[Rows]

_TYPES: dict[Kind, dict[str, Any]] = {
    "text": {"type": "string"},
    "exact": {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"},
    "number": {"type": "number"},
    "count": {"type": "integer"},
    "flag": {"type": "boolean"},
    "day": {"type": "string", "format": "date"},
    "instant": {"type": "string", "format": "date-time"},
}


def row_schema(columns: Columns) -> dict[str, Any]:
    """The JSON Schema of one row: every column is in every row."""
    return {
        "type": "object",
        "properties": {column.name: _schema(column) for column in columns},
        "required": [column.name for column in columns],
        "additionalProperties": False,
    }


def _schema(column: Column) -> dict[str, Any]:
    schema = _TYPES[column.kind]
    kinds = [schema["type"], "null"] if column.null else schema["type"]
    return {**schema, "type": kinds, "description": column.doc}


# --- writers -----------------------------------------------------------------------------------


def ndjson(columns: Columns, batches: Batches) -> Iterator[bytes]:
    """One object a line."""
    names = [column.name for column in columns]
    option = orjson.OPT_APPEND_NEWLINE
    for rows in batches:
        yield b"".join(orjson.dumps(dict(zip(names, row, strict=True)), option=option) for row in rows)


def json(columns: Columns, batches: Batches) -> Iterator[bytes]:
    """One array of objects, a line each."""
    between = b"[\n"
    for lines in ndjson(columns, batches):
        yield between + lines[:-1].replace(b"\n", b",\n")  # JSON has no bare line feed within a line
        between = b",\n"
    yield b"[]\n" if between == b"[\n" else b"\n]\n"


_RISKY = frozenset("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet takes for the beginning of a formula, or skips before one."""

_FLAG = {True: "true", False: "false", None: None}


def csv_text(columns: Columns, batches: Batches) -> Iterator[bytes]:
    """RFC 4180 in UTF-8, with a header. A text that a spreadsheet would run begins with `'`; numbers are
    numbers; what is not known is empty.
    """
    texts = [n for n, column in enumerate(columns) if column.kind == "text"]
    flags = [n for n, column in enumerate(columns) if column.kind == "flag"]
    page = io.StringIO(newline="")
    writer = csv.writer(page, lineterminator="\r\n")
    writer.writerow([column.name for column in columns])
    for rows in batches:
        writer.writerows(_cells(row, texts, flags) for row in rows)
        yield page.getvalue().encode()
        page.seek(0)
        page.truncate()
    yield page.getvalue().encode()


def _cells(row: Sequence[Any], texts: Sequence[int], flags: Sequence[int]) -> Sequence[Any]:
    cells = list(row)
    for n in texts:
        value = cells[n]
        if value and value[0] in _RISKY:
            cells[n] = f"'{value}"
    for n in flags:
        cells[n] = _FLAG[cells[n]]
    return cells


# --- formats -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Format:
    """A form in which a feed is had. Parquet has no writer: it is made of the NDJSON (see `parquet.py`)."""

    suffix: str
    media: str
    content_type: str
    write: Callable[[Columns, Batches], Iterator[bytes]] | None
    compresses: bool = True


JSON_FORM = Format("json", "application/json", "application/json", json)
NDJSON = Format("ndjson", "application/x-ndjson", "application/x-ndjson", ndjson)
CSV = Format("csv", "text/csv", "text/csv; charset=utf-8; header=present", csv_text)
PARQUET = Format(
    "parquet", "application/vnd.apache.parquet", "application/vnd.apache.parquet", None, compresses=False
)
FORMATS = (JSON_FORM, NDJSON, CSV, PARQUET)
