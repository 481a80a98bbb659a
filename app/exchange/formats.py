"""Flat rows as JSON, NDJSON, CSV and Parquet. Pure: rows in, bytes out; of a million rows, one batch is in
memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

Kind = Literal["text", "exact", "number", "count", "flag", "day", "instant"]


@dataclass(frozen=True)
class Column:
    """One column of a feed. `kind`: `text`; `exact`, a decimal as text; `number`, the nearest double;
    `count`, an integer; `flag`; `day`, as in 2023-03-21; `instant`, RFC 3339 in UTC.
    """

    name: str
    kind: Kind
    doc: str
    null: bool = False


Columns = Sequence[Column]
Rows = Iterable[str]
"""Each an object as JSON, with every column in order."""
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


def ndjson(columns: Columns, batches: Batches) -> Iterator[bytes]:  # noqa: ARG001 (as of every writer)
    """One object a line."""
    for rows in batches:
        yield "\n".join([*rows, ""]).encode()


def json(columns: Columns, batches: Batches) -> Iterator[bytes]:
    """One array of objects, a line each."""
    between = b"[\n"
    for lines in ndjson(columns, batches):
        yield between + lines[:-1].replace(b"\n", b",\n")  # JSON has no bare line feed within a line
        between = b",\n"
    yield b"[]\n" if between == b"[\n" else b"\n]\n"


_RISKY = frozenset("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet takes for the beginning of a formula, or skips before one."""


def csv(columns: Columns, batches: Batches) -> Iterator[bytes]:
    """RFC 4180 in UTF-8, with a header. A text that a spreadsheet would run begins with `'`; numbers are
    numbers; what is not known is empty.
    """
    yield f"{','.join(column.name for column in columns)}\r\n".encode()
    cells = [_Cells(text=column.kind == "text") for column in columns]
    lookups = [each.__getitem__ for each in cells]
    for rows in batches:
        values = (orjson.loads(row).values() for row in rows)
        lines = [",".join([cell(value) for cell, value in zip(lookups, row, strict=True)]) for row in values]
        yield "\r\n".join([*lines, ""]).encode()
        for each in cells:
            each.forget()


class _Cells(dict[Any, str]):
    """The cells that values of one column are in. Most come again and again, and need not be looked
    at for what has to be quoted.
    """

    def __init__(self, *, text: bool) -> None:
        self.cell = _text if text else _plain

    def __missing__(self, value: Any) -> str:
        cell = self.cell(value)
        if len(cell) <= _SHORT:
            self[value] = cell
        return cell

    def forget(self) -> None:
        """Keeps no more than there is room for."""
        if len(self) > _CELLS:
            self.clear()


_CELLS, _SHORT = 5_000, 64


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(value: str | None) -> str:
    if not value:
        return ""
    cell = f"'{value}" if value[0] in _RISKY else value
    if '"' in cell or "," in cell or "\n" in cell or "\r" in cell:
        return '"' + cell.replace('"', '""') + '"'
    return cell


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
CSV = Format("csv", "text/csv", "text/csv; charset=utf-8; header=present", csv)
PARQUET = Format(
    "parquet", "application/vnd.apache.parquet", "application/vnd.apache.parquet", None, compresses=False
)
FORMATS = (JSON_FORM, NDJSON, CSV, PARQUET)
