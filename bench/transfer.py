"""Whole bases in and out, beside the same by plain SQL in a loop."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from sqlalchemy import Table
from sqlmodel import SQLModel

from app.base.pools import sqlite  # type: ignore[attr-defined]  # the driver that the base chose
from bench.generate import World
from bench.load import commands, environment, insert_into, plain
from bench.measure import NotThereError, Ran, download, forget_peak, peak_memory, run
from bench.places import House, Place
from bench.work import MB, Goal, Line, not_there


@dataclass(frozen=True)
class Pass:
    """Records that went in or out in one go: by the second, and by the second of processor time."""

    records: int
    seconds: float
    cpu: float

    def __str__(self) -> str:
        return (
            f"{self.records / self.seconds:,.0f} records/s; {self.cpu / self.records * 1e6:.0f} µs cpu each"
        )


def _line(work: str, place: Place, ours: Pass, raw: Pass, goal: Goal) -> Line:
    per_second = (ours.records / ours.seconds) / (raw.records / raw.seconds)
    # A clock of hundredths of a second may not have moved at all.
    ratio = (ours.records / (ours.cpu or 0.01)) / (raw.records / (raw.cpu or 0.01))
    cells = (work, place.database, place.claims, str(ours), "plain SQL in a loop", str(raw))
    return Line(*cells, ratio, per_second, goal)


def _megabytes(work: str, place: Place, peak: int) -> Line:
    return Line(work, place.database, place.claims, f"{peak / MB:.0f} MB at most", figure=peak / MB)


# --- in ----------------------------------------------------------------------------------------


def bring_in(place: Place, claims: int) -> Iterator[Line]:
    """A made-up newsroom brought into an empty base by the command."""
    world = World(min(claims, place.claims), place.base.world.seed)
    records = len(world.speakers) + len(world.publishers) + len(world.urls) + world.claims
    here = "import" in commands()
    with TemporaryDirectory(dir=place.base.place) as directory, place.fresh() as url:
        world.write(Path(directory))
        database = place.backends()
        command = ["import", f"{directory}/records.ndjson"] if here else ["seed", directory]
        ran = run(["-m", "app", *command], environment(url))
        spent = ran.cpu + place.backends() - database
        raw = _insert_in_a_loop(place, _rows_of(place, url), records)
    work = f"import of {world.claims:,} claims"
    named = work if here else f"{work} (by `seed`: `import` is not there)"
    yield _line(named, place, Pass(records, ran.seconds, spent), raw, Goal(at_least=1 / 3))
    yield _megabytes("import: memory", place, ran.peak)


def _rows_of(place: Place, url: str) -> list[tuple[Table, list[Sequence[Any]]]]:
    """All that is in a base, parents before children, as the driver reads it."""
    with closing(_opened(place, url)) as connection:
        return [
            (each, list(connection.execute(f"SELECT {_names(each)} FROM {each.name}")))
            for each in SQLModel.metadata.sorted_tables
        ]


def _insert_in_a_loop(place: Place, made: Sequence[tuple[Table, list[Sequence[Any]]]], records: int) -> Pass:
    """The very rows that an import wrote into every table, by prepared statements in one transaction."""
    mark = "?" if place.database == "sqlite" else "%s"
    with place.fresh() as url, closing(_opened(place, url)) as connection:
        empty = [(each, rows) for each, rows in made if rows and not _has_rows(connection, each)]
        began, cpu, database = time.perf_counter(), time.process_time(), place.backends()
        cursor = connection.cursor()
        cursor.execute("BEGIN IMMEDIATE" if place.database == "sqlite" else "BEGIN")
        for each, rows in empty:
            cursor.executemany(insert_into(each, mark), rows)
        cursor.execute("COMMIT")
        spent = time.process_time() - cpu + place.backends() - database
        took = time.perf_counter() - began
    return Pass(records, took, spent)


def _has_rows(connection: Any, each: Table) -> bool:
    return connection.execute(f"SELECT 1 FROM {each.name} LIMIT 1").fetchone() is not None


def _names(each: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in each.columns)


def _opened(place: Place, url: str) -> Any:
    """A connection with the settings that the service writes with."""
    if place.database != "sqlite":
        return psycopg.connect(plain(url), autocommit=True)
    connection = sqlite.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


# --- out ---------------------------------------------------------------------------------------

RAW_READ = (
    """SELECT claims.*, relayer.id, relayer.name FROM claims
       LEFT JOIN entities written ON written.id = relayed_by_id
       LEFT JOIN entities relayer ON relayer.id = written.canonical_id ORDER BY claims.id""",
    """SELECT claim_id, position, title, named.id, named.slug, named.name FROM claim_speakers
       JOIN entities written ON written.id = entity_id
       JOIN entities named ON named.id = written.canonical_id ORDER BY claim_id, position""",
    """SELECT claim_id, position, named.id, named.slug, named.name FROM claim_about
       JOIN entities written ON written.id = entity_id
       JOIN entities named ON named.id = written.canonical_id ORDER BY claim_id, position""",
    "SELECT claim_id, position, topic FROM claim_topics ORDER BY claim_id, position",
    """SELECT claim_id, position, sources.id, url, sources.title, named.id, named.name FROM appearances
       JOIN sources ON sources.id = source_id LEFT JOIN entities written ON written.id = publisher_id
       LEFT JOIN entities named ON named.id = written.canonical_id ORDER BY claim_id, position""",
    "SELECT claim_id, count(*) FROM figures GROUP BY claim_id ORDER BY claim_id",
)
"""All that a flat export of claims has, merged entities followed as it does, without making it."""

RAW_LEDGER = (
    "SELECT * FROM changes LEFT JOIN change_values ON change_values.seq = changes.seq ORDER BY changes.seq",
    "SELECT * FROM snapshots ORDER BY id",
    "SELECT * FROM keys ORDER BY id",
)
"""All that the command's export has."""


def export(house: House) -> Iterator[Line]:
    """All claims out: by each feed, then by the command."""
    place = house.place
    raw = _read_in_a_loop(place, RAW_READ)
    for kind in ("ndjson", "csv", "parquet"):
        work = f"export by /v1/claims.{kind}"
        try:
            ours, peak = _feed(house, kind)
        except (NotThereError, OSError) as why:
            yield not_there(work, place, why)
            continue
        yield _line(work, place, ours, raw, Goal(at_least=0.5))
        yield _megabytes(f"{work}: memory", place, peak)
    if "export" not in commands():
        yield not_there("export by the command", place)
        return
    with TemporaryDirectory(dir=place.base.place) as directory:
        database = place.backends()
        ran = run(["-m", "app", "export", f"{directory}/base.ndjson"], environment(place.url))
        spent = ran.cpu + place.backends() - database
    raw = _read_in_a_loop(place, RAW_LEDGER)
    yield _line("export by the command", place, _all(place, ran, spent), raw, Goal(at_least=0.5))
    yield _megabytes("export by the command: memory", place, ran.peak)


def _all(place: Place, ran: Ran, spent: float) -> Pass:
    return Pass(place.claims, ran.seconds, spent)


def _feed(house: House, kind: str) -> tuple[Pass, int]:
    forget_peak(house.ours.process.pid)
    began, cpu, database = time.perf_counter(), house.ours.cpu_in_all, house.place.backends()
    lines, start = 0, b""
    for chunk in download(house.ours.url, f"/v1/claims.{kind}?withdrawn=include"):
        start = start or chunk[:4]
        lines += chunk.count(b"\n")
    spent = house.ours.cpu_in_all - cpu + house.place.backends() - database
    took = time.perf_counter() - began
    whole = start == b"PAR1" if kind == "parquet" else lines >= house.place.claims
    if not whole:
        raise NotThereError(f"/v1/claims.{kind} has {lines} lines")
    return Pass(house.place.claims, took, spent), peak_memory(house.ours.process.pid)


def _read_in_a_loop(place: Place, statements: Sequence[str]) -> Pass:
    connection = place.connect()
    began, cpu, database = time.perf_counter(), time.process_time(), place.backends()
    for statement in statements:
        for _ in _rows(connection, statement):
            pass
    spent = time.process_time() - cpu + place.backends() - database
    took = time.perf_counter() - began
    connection.close()
    return Pass(place.claims, took, spent)


def _rows(connection: Any, statement: str) -> Iterator[Sequence[Any]]:
    if not isinstance(connection, psycopg.Connection):
        yield from connection.execute(statement)
        return
    with connection.transaction(), connection.cursor("reading") as cursor:
        cursor.itersize = 2_000
        yield from cursor.execute(statement)
