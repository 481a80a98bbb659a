"""Files and directories of records, brought in whole or row by row, with what became of each row."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

from app.access.model import Role
from app.base.db import Database, WriteSession
from app.base.errors import Invalid, TooLarge
from app.changes.store import By
from app.exchange.importer import BATCH, Importer, as_set
from app.exchange.lines import Row, csv_rows, ndjson, of_file
from app.exchange.markup import of_document, of_page
from app.exchange.rows import Result
from app.exchange.shapes import ImportQuestion, Noun, Outcome
from app.settings import Settings

SEED: dict[str, Noun] = {"entities": "entity", "sources": "source", "claims": "claim"}
"""The files of a seed, and what each line of them is."""

_LINES_OF_A_ROW = 20
"""The lines that a row over HTTP may take on average: a cell of CSV and an indented object have several."""

Form = Literal["ndjson", "csv", "jsonld", "html"]


class KeepNothing(Exception):
    """Ends a transaction in which all went well, so that nothing of it is kept."""


def bring_in(
    session: WriteSession, directory: Path, *, by: By, four_eyes: bool = False
) -> Counter[tuple[Noun | None, Outcome]]:
    """Brings in `entities.ndjson`, `sources.ndjson` and `claims.ndjson` of a directory, and counts what was
    new and what was here already. Raises Invalid, naming file and line.
    """
    importer = Importer(session, by=by, four_eyes=four_eyes)
    for name, noun in SEED.items():
        path = directory / f"{name}.ndjson"
        with path.open("rb") as file:
            for result in importer.bring_in(ndjson(of_file(file), noun)):
                if result.outcome == "refused":
                    fault = result.errors[0]
                    said = f"{fault['pointer'] or 'The line'}: {fault['detail']}"
                    raise Invalid(f"{path.name}, line {result.line}: {said}", errors=result.errors)
    return importer.counts


class Results:
    """What becomes of every row of a file."""

    def __init__(self, ask: ImportQuestion, settings: Settings, *, by: By, role: Role = Role.editor) -> None:
        self.ask = ask
        self._how: dict[str, Any] = {"by": by, "role": role, **as_set(settings)}
        self.counts: Counter[Outcome] = Counter()
        self._rows: Iterator[Row] = iter(())
        self._results: Iterator[Result] = iter(())

    def read(self, lines: Iterable[bytes], form: Form, most: int | None = None) -> None:
        """Name the lines to read, and read the first thousand rows, so that most of what is wrong with a file
        is found before others have to wait. More than `most` rows raise TooLarge, here or later.
        """
        if most is None:
            rows = _rows(lines, form, self.ask.type)
        else:
            rows = _no_more_than(most, _rows(_no_more_lines(most, lines), form, self.ask.type))
        self._rows = chain(list(islice(rows, BATCH)), rows)

    def start(self, session: WriteSession) -> None:
        """Bring the rows in within a transaction, as the results are read."""
        self._results = self._importer(session).bring_in(self._rows)

    def _importer(self, session: WriteSession) -> Importer:
        return Importer(session, **self._how, new_entities=self.ask.new_entities)

    def start_by_batch(self, db: Database) -> None:
        """The same, with a transaction for each batch: what was told of is kept, whatever comes after."""
        self._results = self._by_batch(db)

    def _by_batch(self, db: Database) -> Iterator[Result]:
        while some := list(islice(self._rows, BATCH)):
            with db.write() as session:
                # Others may have written since the batch before: nothing is remembered.
                done = list(self._importer(session).bring_in(some))
            yield from done

    def __iter__(self) -> Iterator[Result]:
        for result in self._results:
            self.counts[result.outcome] += 1
            yield result

    @property
    def kept(self) -> bool:
        """Whether what was written stays."""
        return not self.ask.dry_run and (self.ask.mode == "good" or not self.counts["refused"])


def _rows(lines: Iterable[bytes], form: Form, noun: Noun | None) -> Iterator[Row]:
    match form:
        case "jsonld":
            return of_document(lines)
        case "html":
            return of_page(lines)
        case "csv":
            return csv_rows(lines, noun)
        case _:
            return ndjson(lines, noun)


def _no_more_than(most: int, rows: Iterator[Row]) -> Iterator[Row]:
    for number, row in enumerate(rows, start=1):
        if number > most:
            raise TooLarge(f"The file has more than {most} rows: send it in parts.")
        yield row


def _no_more_lines(rows: int, lines: Iterable[bytes]) -> Iterator[bytes]:
    """Pass lines on, as many as so many rows may take. Lines without a row in them take time as well."""
    for number, line in enumerate(lines):
        if number == rows * _LINES_OF_A_ROW:
            raise TooLarge(f"The file has more than {number} lines: send it in parts.")
        yield line


@contextmanager
def bringing_in(
    db: Database,
    lines: Iterable[bytes],
    form: Form,
    ask: ImportQuestion,
    *,
    by: By,
    settings: Settings | None = None,
) -> Iterator[Results]:
    """The results of a file's rows, to be read to their end inside the block, whose end keeps what is to be
    kept: nothing of a dry run, nor of a file with a refused row if it is all or nothing. The good rows of a
    file are kept a batch at a time.
    """
    results = Results(ask, settings or Settings(), by=by)
    results.read(lines, form)
    if ask.mode == "good" and not ask.dry_run:
        results.start_by_batch(db)
        yield results
        return
    with suppress(KeepNothing), db.write() as session:
        results.start(session)
        yield results
        if not results.kept:
            raise KeepNothing
