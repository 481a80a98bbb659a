"""`python -m tests.fuzz`: thousands of requests to a live server, on both databases. Exit status 1 on any
failure.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from app.base.caches import BUDGET
from tests.fuzz.memory import attack as attack_memory
from tests.fuzz.run import attack, report, target
from tests.newsroom import Bases, PostgresBases, SqliteBases
from tests.postgres import running_postgres

DATABASES = ("sqlite", "postgresql")
command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@contextmanager
def _bases(database: str, place: Path) -> Iterator[Bases]:
    if database == "sqlite":
        yield SqliteBases(place)
    else:
        with running_postgres() as url:
            yield PostgresBases(url)


@command.command()
def main(
    cases: Annotated[int, typer.Option(help="How many requests at least, on each database.")] = 12_000,
    database: Annotated[
        list[str] | None, typer.Option(help="sqlite or postgresql; both if not told.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed sends other requests.")] = 1,
    memory: Annotated[
        float, typer.Option(help="Seconds for which one client asks ever new questions.")
    ] = 600,
    examples: Annotated[int, typer.Option(help="How many examples of an operation in each round.")] = 20,
) -> None:
    """Sends what Schemathesis makes of the OpenAPI document, and a corpus of hostile values."""
    failures = 0
    for name in database or DATABASES:
        started, shown = time.monotonic(), 0
        with (
            tempfile.TemporaryDirectory() as directory,
            _bases(name, Path(directory)) as bases,
            bases.fresh(migrated=False) as url,
            target(url, Path(directory) / "log") as aim,
        ):
            for told in attack(aim, cases, seed, examples):
                typer.echo(f"{name}: {told}", err=True)
                for failure in aim.tally.failures[shown:]:  # at once: the whole takes long
                    typer.echo(f"{name}: {failure[:1000]}", err=True)
                shown = len(aim.tally.failures)
            measured = attack_memory(aim.server, memory)
            typer.echo(f"{name}: memory: {measured}", err=True)
            aim.tally.failures += measured.failures(BUDGET.most)
        for line in report(aim.tally):
            typer.echo(line)
        typer.echo(f"{name}: {time.monotonic() - started:.0f} s\n")
        failures += len(aim.tally.failures)
    raise typer.Exit(1 if failures else 0)


if __name__ == "__main__":
    command()
