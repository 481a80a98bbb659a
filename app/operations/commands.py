"""The commands of whoever runs a base: they work on one whose schema is older, too."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import orjson
import typer
from sqlalchemy.exc import DBAPIError

from app import projections
from app.access.secret import secret_fault, secret_file
from app.base import schema
from app.base.db import Database, ReadSession
from app.base.errors import Unavailable
from app.base.files import replacing
from app.base.logs import printable
from app.base.problems import checked
from app.changes.erasure import tally
from app.changes.ledger import head
from app.changes.store import By
from app.changes.walk import UNREADABLE
from app.erasure import store as erasures
from app.erasure.left import quoted_in
from app.erasure.model import ErasureIn
from app.operations import backup as backups
from app.operations import offline
from app.operations.checks import faults, faults_of_a_backup
from app.operations.doctor import examine
from app.operations.erasing import make_again, read_list, remove_bytes
from app.settings import Settings

operations = typer.Typer()

FORCE = typer.Option("--force", help="Replace what is there.")
WHOLE_SECONDS = 24 * 3600
"""How long one statement may take of those that go over a whole base, however large."""


def say(text: str, *, err: bool = False) -> None:
    """Prints a line, in which whatever comes from records or files is inert."""
    typer.echo(printable(text), err=err)


@contextmanager
def base(*, whole: bool = False) -> Iterator[tuple[Settings, Database]]:
    """The base of the settings, for one command, which may go over the whole of it."""
    settings = Settings()
    db = Database(settings.database_url, settings.pool_size, WHOLE_SECONDS if whole else None)
    try:
        yield settings, db
    finally:
        db.dispose()


@operations.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    force: Annotated[bool, FORCE] = False,
) -> None:
    """Writes the whole base into one file, while it is served and written to."""
    with base() as (settings, db):
        seq, digest = backups.backup(db, file, force=force)
        say(f"{seq} changes, up to {digest}, are in {file}")
        _remind(settings)


@operations.command()
def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    force: Annotated[bool, FORCE] = False,
) -> None:
    """Puts a backup in the place of the base: all of it, or nothing if anything is wrong with it. What was
    erased since the backup is erased again.
    """
    with base() as (settings, db):
        kept = _keep_list(file, _erasures_of(db))  # before the base that has it is gone
        seq, digest = backups.restore(db, file, faults_of_a_backup, force=force)
        say(f"{seq} changes, up to {digest}, are in the base")
        stale = staleness(db)
        if fault := stale or secret_fault(settings, db):
            say(fault, err=True)
        if kept and stale:
            say(f"Then erase again what was erased since: python -m app erase --again {kept}", err=True)
        elif kept:
            _erase_again(db, kept.read_bytes().splitlines())
            kept.unlink()
        _remind(settings)


def _erasures_of(db: Database) -> list[bytes]:
    """Return the list of erasures of a base that is about to be replaced, as far as it can be read."""
    with suppress(DBAPIError, Unavailable, *UNREADABLE, KeyError):
        if schema.staleness(db) is None:
            with db.read() as session:
                return [*_listed(session)]
    return []


def _keep_list(backup: Path, erased: Iterable[bytes]) -> Path | None:
    """Keep a list of erasures beside a backup, with those that an earlier restore has left there. Return
    where it is, if there are any.
    """
    kept = backup.with_name(f"{backup.name}.erasures")
    before = kept.read_bytes().splitlines(keepends=True) if kept.exists() else []
    lines = dict.fromkeys([*before, *erased])
    if not lines:
        return None
    with replacing(kept) as unfinished:
        unfinished.write_bytes(b"".join(lines))
    return kept


def _listed(session: ReadSession) -> Iterator[bytes]:
    for each in erasures.every(session):
        yield orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE)


def _erase_again(db: Database, lines: Iterable[bytes]) -> None:
    done = [*make_again(db, [*read_list(lines)], by=By("cli", "command line"))]
    failed = [f"{record}: {fault}" for record, fault in done if fault]
    say(f"{len(done) - len(failed)} erasures were made again")
    if len(done) > len(failed):
        _remove_bytes(db)
    if failed:
        raise ValueError("\n".join(["These erasures could not be made again:", *failed]))


def _remove_bytes(db: Database) -> None:
    entries = remove_bytes(db)
    say(f"What was erased is out of the files; {entries} entries of the first form have lost their words")


@operations.command()
def erase(
    record: Annotated[
        str | None, typer.Argument(help="The id of what is to be erased; else no more than the files.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="Why, for everyone to read.")] = None,
    again: Annotated[
        Path | None, typer.Option(help="Make the erasures again that are in a list or export.", exists=True)
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Print the list of erasures, to be kept.")] = False,
) -> None:
    """Removes what was erased from the files of the base, as the tables' owner; and erases a record first, if
    one is named.
    """
    if (record is None) != (note is None):
        raise typer.BadParameter("a record and --note go together")
    with current_base() as (_, db):
        if list_:
            with db.read() as session:
                sys.stdout.buffer.writelines(_listed(session))
            return
        if again is not None:
            with again.open("rb") as lines:
                _erase_again(db, lines)
            return
        if record is not None:
            wish = checked(ErasureIn, {"record": record, "note": note})
            with db.write() as session:
                made = erasures.order(session, wish.record, wish.note, by=By("cli", "command line"))
                left = quoted_in(session, wish.record)
            say(f"{wish.record} is erased, and {len(made['also'])} records with it: change {made['seq']}")
            if left:
                say(f"Words of it stay in these, as their own: {' '.join(left)}")
        _remove_bytes(db)


@operations.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Examines the base and what is around it. Exit status 1 if there is a fault."""
    found = []
    for finding in examine(Settings()):
        found.append(finding)
        if not as_json:
            say(f"{finding.state:<7}  {finding.check:<11}  {finding.detail}")
    if as_json:
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    if any(finding.state == "fault" for finding in found):
        raise typer.Exit(1)


@operations.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(help="An export, or a claim's bundle; else the base of the settings.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A checkpoint from earlier, of the same history.", exists=True)
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="The public key that has signed, from /v1/log/key; else the base's own."),
    ] = None,
) -> None:
    """Walks the ledger's chain and checks a base, or an export of one, against itself and a checkpoint. Exit
    status 1 if anything is wrong.
    """
    if file is not None and offline.is_bundle(file):
        if checkpoint is not None:
            raise ValueError("--checkpoint is for an export or a base: a bundle has a checkpoint of its own")
        _verify_bundle(file, key)
        return
    with current_base() if file is None else offline.opened(file) as (settings, db), db.read() as session:
        signed = offline.signed(checkpoint, key, settings, db) if checkpoint else None
        found = 0
        for fault in faults(session, signed):
            found += 1
            say(fault)
        seq, digest = head(session)
        values, of = tally(session)
    if found:
        sys.exit(f"{found} faults in {seq} changes")
    say(f"{seq} changes, unbroken up to {digest}")
    if values:
        say(f"{values} values of {of} changes are erased, each by an entry that names it")
    if signed:
        say(f"They begin with the {signed.size} changes that the checkpoint of {signed.origin} is signed for")


def _verify_bundle(file: Path, key: str | None) -> None:
    found = offline.bundle_faults(file, key)
    for fault in found:
        say(fault)
    if found:
        sys.exit(f"{len(found)} faults in {file}")
    say(f"{file} is whole: signed, and all that it says follows from changes that are in the log")
    withheld, erased = offline.left_out(file)
    say(f"{withheld} values are withheld in it, and {erased} erased")


@contextmanager
def current_base() -> Iterator[tuple[Settings, Database]]:
    """Yield the base of the settings, if its schema and projections are this version's. Raises ValueError."""
    with base(whole=True) as (settings, db):
        if fault := staleness(db):
            raise ValueError(fault)
        yield settings, db


def staleness(db: Database) -> str | None:
    """Return what `migrate` has to do with the schema or the projections, or None. Raises Unavailable."""
    if fault := schema.staleness(db):
        return fault
    with db.read() as session:
        return projections.staleness(session)


def _remind(settings: Settings) -> None:
    kept = "RECORD_SECRET" if settings.secret else secret_file(settings) or "RECORD_SECRET"
    say(f"API keys count only under the secret, which is in no backup: keep {kept} too", err=True)
