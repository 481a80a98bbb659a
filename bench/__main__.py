"""`python -m bench 10000 100000`: makes the bases, measures, prints a table; `--write` writes it down too."""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import psycopg

from app.base import schema
from app.base.pools import sqlite  # type: ignore[attr-defined]  # the driver that the base chose
from bench import work
from bench.generate import World
from bench.load import Base, plain
from bench.measure import Pace
from bench.places import Place, on_postgres, on_sqlite, opened
from bench.transfer import bring_in, export
from bench.work import Line
from tests.postgres import running_postgres

SIZES = (10_000,)
READS = (work.one_claim, work.page, work.deep_pages, work.search, work.counts, work.memory)


def main() -> None:
    """Measures what the options ask for."""
    given = _options()
    lines: list[Line] = []
    with ExitStack() as stack:
        server = stack.enter_context(running_postgres()) if "postgresql" in given.databases else ""
        bases = [_made(Base(World(size, given.seed), given.directory)) for size in given.sizes]
        for base in bases:
            for database in given.databases:
                lines += _measured(base, database, server, given)
        lines += work.growth(lines)
        report = "\n".join(_report(lines, _machine(server, bases)))
    print(report)
    if given.write:
        file = schema.ROOT / "docs" / "benchmarks.md"
        _, mark, by_hand = file.read_text(encoding="utf-8").partition(BY_HAND)
        file.write_text(f"{report}\n{mark}{by_hand}", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, help="claims in each base")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--directory", type=Path, default=schema.ROOT / "build" / "bench")
    parser.add_argument("--imported", type=int, default=10_000, help="claims that are imported")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each contender in each round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    return parser.parse_args()


def _made(base: Base) -> Base:
    if not base.place.exists():
        _say(f"Making a base of {base.world.claims:,} claims (once)")
    return base.made()


def _measured(base: Base, database: str, server: str, given: argparse.Namespace) -> Iterator[Line]:
    pace = Pace(given.rounds, given.seconds)
    began = time.monotonic()
    with on_sqlite(base) if database == "sqlite" else on_postgres(base, server) as place:
        _say(f"{database}, {base.world.claims:,} claims: at hand after {time.monotonic() - began:.0f} s")
        with opened(place) as house:
            for read in READS:
                yield from _told(place, read.__name__, partial(read, house, pace))
            yield from _told(place, "export", partial(export, house))
        yield from _told(place, "import", partial(bring_in, place, given.imported))


def _told(place: Place, name: str, lines: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    """The lines of one kind of work; a fault in it is a line too, and the rest goes on."""
    began = time.monotonic()
    try:
        yield from lines()
    except (AssertionError, RuntimeError, OSError, psycopg.Error) as fault:
        yield work.failed(name, place, fault)
    _say(f"  {name}: {time.monotonic() - began:.0f} s")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- the report --------------------------------------------------------------------------------

ABOUT = """# Benchmarks

Written by `make bench ARGS=--write`. Every server is one process with one worker, asked over one connection
that is kept alive; rivals take turns with this service, and each has the figures of its quietest round.
Costs are milliseconds of processor time for a request, which a busy machine hardly changes; where the
database is a process of its own, its part is added. The ratio is the other's cost by ours, so that more is
better (of search and counts, with the database's part; of imports and exports, records by processor time);
beside it is the same by waiting time. Lines that a limit is set for (≤) have our own figure, or what it
grew by, as the ratio.

- *bare FastAPI* and *bare Starlette* answer with the same bytes, made beforehand: the limit.
- *afternoon* is the ordinary FastAPI and SQLModel application on the same data (`bench/rivals.py`).
- *Datasette* searches an FTS5 table of the same texts, unranked and without a total.
- *plain SQL in a loop* makes, reads and checks nothing: rows made beforehand go in, rows come out.
- The loop beside a feed reads all that is in it; the one beside the command reads the ledger, the snapshots
  and the keys. A Parquet feed is made of the NDJSON, which is at hand from the line before, by a process of
  its own, whose processor time is counted, its start too. The loop of an import writes the very rows that the
  import wrote, into all tables, what is derived too. Both commands' starts are counted.
"""

BY_HAND = "\n## Goals that are missed"
"""What stands from here on in the file is nobody's but a writer's, who looks at the figures above it."""

COLUMNS = ("work", "database", "claims", "this service", "beside", "the other", "ratio", "by waiting",
           "goal", "reached")  # fmt: skip


def _report(lines: Sequence[Line], machine: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield ABOUT
    yield "| machine | |"
    yield "|---|---|"
    yield from (f"| {name} | {value} |" for name, value in machine)
    yield ""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---|---|--:|---|---|---|--:|--:|---|---|"
    yield from map(_row, lines)


def _row(line: Line) -> str:
    reached = {None: "", True: "yes", False: "**no**"}[line.reached]
    numbers = ("" if number is None else f"{number:.2f}" for number in (line.ratio, line.waits))
    cells = [
        line.work,
        line.database,
        f"{line.claims:,}",
        line.ours,
        line.against,
        line.theirs,
        *numbers,
        str(line.goal),
        reached,
    ]
    return f"| {' | '.join(cell.replace('|', ' ') for cell in cells)} |"


def _machine(server: str, bases: Sequence[Base]) -> list[tuple[str, str]]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=schema.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    postgres = "not measured"
    if server:
        with psycopg.connect(plain(server)) as session:
            postgres = _version(session)
    sizes = ", ".join(f"{base.world.claims:,}: {base.file.stat().st_size / work.MB:.0f} MB" for base in bases)
    return [
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("memory", f"{psutil.virtual_memory().total / (1 << 30):.0f} GiB"),
        ("Python", platform.python_version()),
        ("SQLite", sqlite.sqlite_version),
        ("PostgreSQL", postgres),
        ("FastAPI, SQLModel, Datasette", ", ".join(map(_installed, ("fastapi", "sqlmodel", "datasette")))),
        ("commit", commit.stdout.strip()),
        ("day", time.strftime("%Y-%m-%d")),
        ("SQLite files by claims", sizes),
    ]


def _version(session: psycopg.Connection[Any]) -> str:
    number = session.info.server_version
    return f"{number // 10000}.{number % 10000}"


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
        return next(line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


if __name__ == "__main__":
    main()
