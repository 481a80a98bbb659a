"""The command line: the same store functions as the routes, for whoever runs the base."""

import gc
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.progress import open as open_with_progress
from sqlalchemy.exc import DatabaseError
from sqlmodel import col

from app import projections
from app.access import store as keys
from app.access.model import Key, KeyIn, Role, RoleName
from app.access.secret import hold_to, make_secret, secret_of
from app.base import schema
from app.base.body import MAX_LINE
from app.base.db import Database
from app.base.errors import Problem, Unavailable
from app.base.files import replacing
from app.base.logs import log_config, printable
from app.base.memory import keep_memory_small
from app.base.pools import SQLITE
from app.base.problems import checked
from app.base.protocol import MAX_UNSENT, MOST_CONNECTIONS, Connections, protocol_of, raise_file_limit
from app.changes.store import By
from app.entities.model import EntityKind
from app.exchange.dump import FIRST, MAX_EXPORTED, export, restore
from app.exchange.lines import of_file
from app.exchange.records import SEED as SEED_FILES
from app.exchange.records import Form, KeepNothing, bring_in, bringing_in
from app.exchange.shapes import ImportQuestion, Mode, Noun
from app.main import create_app, unfitness
from app.operations.commands import base, operations, say
from app.operations.people import person
from app.operations.secrets import secret
from app.operations.startup import announce
from app.reviews.quoted import archive_text
from app.settings import Settings
from app.sources import store as sources
from app.sources.model import SnapshotIn

SEED = schema.ROOT / "seed"
STOP_SECONDS = 8
"""What is under way when the server is told to stop is waited for so long."""
_BACKLOG = 2048
"""How many connections the system keeps that are not accepted yet."""
Check = Callable[[Database], str | None]

cli = typer.Typer(
    help="On the Record: who said what, where it is printed, and whether it holds.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
key = typer.Typer(help="API keys.", no_args_is_help=True)
source = typer.Typer(help="Published documents.", no_args_is_help=True)
cli.add_typer(operations)
cli.add_typer(key, name="key")
cli.add_typer(person, name="person")
cli.add_typer(secret, name="secret")
cli.add_typer(source, name="source")


def main() -> None:
    """Runs a command; what is refused is said in a line, with exit status 1."""
    # Rows by the thousand make the collector run in vain, which takes a third of an import's time.
    gc.set_threshold(50_000, 20, 50)
    try:
        cli()
    except Problem as refused:
        sys.exit(printable(f"{refused.title}: {refused.told}"))
    except ValidationError as fault:
        sys.exit("\n".join(f"RECORD_{str(e['loc'][0]).upper()}: {e['msg']}" for e in fault.errors()))
    except SettingsError as fault:
        sys.exit(f'{fault}: a list is written as JSON, such as ["https://example.org"]')
    except (ValueError, OSError, SQLITE.Error) as fault:
        sys.exit(printable(str(fault)))
    except DatabaseError as fault:
        if type(fault.orig) is not SQLITE.DatabaseError:  # what else it says is a fault of the application's
            raise
        sys.exit(f"The database cannot be read: {fault.orig}")


@contextmanager
def _base(check: Check = unfitness, *, whole: bool = False) -> Iterator[tuple[Settings, Database]]:
    with base(whole=whole) as (settings, db):
        if fault := check(db):
            raise ValueError(fault)
        yield settings, db


# --- serving -----------------------------------------------------------------------------------


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 picks a free one.", min=0, max=65535)] = 8000,
    migrate: Annotated[bool, typer.Option("--migrate", help="Bring the schema up to date first.")] = False,
    seed: Annotated[bool, typer.Option("--seed", help="Bring in the seed's records first.")] = False,
) -> None:
    """Serves the API."""
    with base() as (settings, db):
        _make_ready(settings, db, migrate=migrate, seed=seed)
    app = create_app(settings)
    keep_memory_small()
    files = raise_file_limit()
    connections = Connections(min(files // 2, MOST_CONNECTIONS), settings.trusted_proxies)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol_of(settings.client_seconds, connections),
        ws="none",
        forwarded_allow_ips=settings.trusted_proxies,
        log_config=log_config(settings.log_level, settings.log_format),
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        backlog=min(_BACKLOG, files // 16),  # as many are accepted in a row, before one can be refused
    )
    server = _Server(config)
    try:
        listening = config.bind_socket()
    except SystemExit:  # the reason is logged
        sys.exit(f"Nothing can listen on {host}, port {port}: choose another with --host or --port.")
    # asyncio does not set it on a socket that uvicorn has bound: an answer in parts would wait for an ACK.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # or the system takes megabytes that a client does not take
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT)
    at = listening.getsockname()
    announce(at[0], at[1], settings, app.state.house.db)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopped)
    server.run(sockets=[listening])
    if not server.started:
        sys.exit(3)


def _make_ready(settings: Settings, db: Database, *, migrate: bool, seed: bool) -> None:
    """Prepare the database and say each step, but where the log is JSON. Raises ValueError if it is unfit."""
    told = settings.log_format != "json"
    held = secret_of(settings, db)  # made while the database is empty, so before the seed
    if migrate:
        if told:
            say("Running the migrations", err=True)
        _upgrade(settings.database_url)
    if seed:
        if told:
            say("Loading the sample data", err=True)
        _seed(SEED)
    with suppress(Unavailable):  # what is wrong ends it here, in a line; what is away may come back
        if fault := unfitness(db, held):
            raise ValueError(fault)


class _Server(uvicorn.Server):
    """A server that waits for no stream to end by itself when it is told to stop. It accepts few connections
    in a row, and has the system keep more.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(_BACKLOG)  # asyncio takes one number for both

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.house.streams.end()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def _stopped(_signal: int, _frame: object) -> None:
    # uvicorn hands the signal on once every request is answered; dying of it would look like a crash. A
    # thread that still writes could not be ended otherwise, and its change is nobody's any more.
    sys.stdout.flush()
    os._exit(0)


@cli.command()
def migrate(
    revision: Annotated[str, typer.Argument(help="`head` for the newest, `base` for none.")] = "head",
    down: Annotated[bool, typer.Option("--down", help="Go back to the revision.")] = False,
) -> None:
    """Brings the schema up to date, or back to an older revision."""
    if down and revision == "head":
        raise typer.BadParameter("--down needs the revision to go back to, such as base")
    with base() as (settings, db):
        if down:
            schema.downgrade(settings.database_url, revision)
        else:
            make_secret(settings, db)
            _upgrade(settings.database_url, revision)


def _upgrade(url: str, revision: str = "head") -> None:
    projections.migrate(url, revision, lambda line: say(line, err=True))


@cli.command()
def reindex() -> None:
    """Makes all that is derived from the records anew: what claims are listed, counted and shown by, the
    index of words, and the order of figures.
    """
    with _base(schema.staleness, whole=True) as (_, db), db.write() as session:
        projections.rebuild_at_once(session)


@cli.command()
def seed(
    directory: Annotated[Path, typer.Argument(help="Where the records are.")] = SEED,
) -> None:
    """Brings in the example records. What is here already stays as it is."""
    _seed(directory)


def _seed(directory: Path) -> None:
    with _base() as (settings, db), db.write() as session:
        done = bring_in(session, directory, by=By("seed", "seed"), four_eyes=settings.four_eyes)
    for name, noun in SEED_FILES.items():
        say(f"{name:<9} {done[noun, 'created']:>4} new, {done[noun, 'unchanged']} here already")


# --- files -------------------------------------------------------------------------------------


_FORMS: Mapping[str, Form] = {".csv": "csv", ".jsonld": "jsonld", ".html": "html", ".htm": "html"}
"""What a file is, by the end of its name."""


@cli.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="The file, or - for standard input.")],
    csv: Annotated[bool, typer.Option("--csv", help="It is CSV, whatever its name.")] = False,
    type_: Annotated[Noun | None, typer.Option("--type", help="What a line is that does not say so.")] = None,
    mode: Annotated[Mode, typer.Option(help="`all` or nothing, or the `good` rows.")] = "all",
    new_entities: Annotated[
        EntityKind | None, typer.Option(help="The kind of entities that are named and not here.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, keep nothing.")] = False,
) -> None:
    """Brings in claims, entities, sources and texts from NDJSON or CSV, and reviews of other desks from pages
    (.html) and files (.jsonld) with ClaimReviews. What is here already stays as it is. Exit status 1 if a row
    was refused.
    """
    ask = ImportQuestion(mode=mode, dry_run=dry_run, type=type_, new_entities=new_entities)
    form: Form = "csv" if csv else _FORMS.get(file.suffix.lower(), "ndjson")
    with _base(whole=True) as (settings, db), _opened(file) as opened:
        first = opened.readline(MAX_LINE + 2)
        if first.startswith(FIRST):
            _restore(db, chain([first], of_file(opened, most=MAX_EXPORTED)), dry_run=dry_run)
        else:
            _bring_in(db, chain([first] if first else [], of_file(opened)), form, ask, settings)


def _bring_in(
    db: Database, lines: Iterable[bytes], form: Form, ask: ImportQuestion, settings: Settings
) -> None:
    by = By("cli", "command line")
    with bringing_in(db, lines, form, ask, by=by, settings=settings) as results:
        for result in results:
            for fault in result.errors:
                place = fault["pointer"] and f"{fault['pointer']}: "
                say(f"line {result.line}: {place}{fault['detail']}", err=True)
    counts = results.counts
    said = f"{counts['created']} created, {counts['unchanged']} here already, {counts['refused']} refused"
    say(said if results.kept else f"{said}; nothing was kept")
    if counts["refused"]:
        raise typer.Exit(1)


def _restore(db: Database, lines: Iterable[bytes], *, dry_run: bool) -> None:
    with suppress(KeepNothing), db.write() as session:
        added, told = restore(session, lines)
        if dry_run:
            raise KeepNothing
    say(f"{added} of {told} changes added" + ("; nothing was kept" if dry_run else ""))


@cli.command("export")
def export_file(
    file: Annotated[Path, typer.Argument(help="The file, or - for standard output.")] = Path("-"),
) -> None:
    """Writes the whole base into one file, from which `import` makes the same base, on any database."""
    with _base(whole=True) as (_, db), db.read() as session:
        if str(file) == "-":
            sys.stdout.buffer.writelines(export(session))
            return
        with replacing(file) as unfinished, unfinished.open("wb") as opened:
            opened.writelines(export(session))


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    console = Console(stderr=True)
    with open_with_progress(file, "rb", console=console, disable=not console.is_terminal) as opened:
        yield opened


# --- keys --------------------------------------------------------------------------------------


@key.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What it is called, such as whose it is.")],
    role: Annotated[RoleName, typer.Option(help="What it may do; each includes the one before.")],
    expires: Annotated[str | None, typer.Option(help="Until when, such as 2030-01-01T00:00:00Z.")] = None,
    person: Annotated[
        str | None,
        typer.Option(help="Whose it is: an id or a name. By default a new person's, of this name."),
    ] = None,
) -> None:
    """Makes a key and prints it. It is shown this once."""
    wish = checked(KeyIn, {"name": name, "role": role, "expires_at": expires, "person": person})
    with _base() as (settings, db):
        held = secret_of(settings, db)
        if fault := hold_to(db, held):
            raise ValueError(fault)
        with db.write() as session:
            made, token = keys.create(session, held, wish, by=By("cli", "command line"))
    say(f"{made.id} ({role}); the key is shown this once:", err=True)
    say(token)


@key.command("list")
def list_keys() -> None:
    """Lists the keys, newest first."""
    with _base() as (_, db), db.read() as session:
        for row in session.execute(keys.find().order_by(col(Key.id).desc())):
            whose = "" if row.person_name == row.name else f" ({row.person_name})"
            say(f"{row.id}  {keys.role_of(row).name:<8}  {keys.state(row):<9}  {row.name}{whose}")


@key.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="The key's id (`key list`).")]) -> None:
    """Ends a key at once."""
    with _base() as (_, db), db.write() as session:
        keys.revoke(session, key_id, by=By("cli", "command line"))
    say(f"{key_id} is revoked")


# --- sources -----------------------------------------------------------------------------------


@source.command("archive")
def archive_source(
    ref: Annotated[str, typer.Argument(metavar="SOURCE", help="The source's id or URL.")],
    text: Annotated[Path, typer.Option(help="The file with its text, UTF-8.", exists=True, dir_okay=False)],
    new: Annotated[bool, typer.Option("--new", help="Keep a text that is not a recorded one.")] = False,
    withhold: Annotated[
        bool | None, typer.Option("--withhold/--publish", help="Whether the text is shown to checkers alone.")
    ] = None,
) -> None:
    """Supplies the text of a source, checks it against the hash on record, and looks up every quote in it."""
    content = text.read_bytes().decode("utf-8-sig")
    with _base() as (_, db), db.write() as session:
        record = sources.row(session, ref)
        snapshot = checked(SnapshotIn, {"text": content, "text_withheld": withhold})
        if not new:
            snapshot = sources.as_recorded(session, record.id, snapshot)
        kept, checks = archive_text(session, record, snapshot, by=By("cli", "command line"), role=Role.admin)
    say(f"{kept.id} of {record.title}: {kept.length} characters, sha256 {kept.sha256}")
    counts = Counter(each.state for each in checks)
    found = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
    say(f"Quotes looked up: {found or 'none, the text was at hand already'}")
    for each in checks:
        if each.state == "orphaned":
            say(f"Not there: {each.evidence or each.claim}: {each.exact}")
