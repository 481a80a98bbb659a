"""The commands on people."""

from typing import Annotated

import typer

from app.access import people as known
from app.access.model import Person
from app.base.sql import select
from app.changes.store import By
from app.operations.commands import current_base, say
from app.people import store

person = typer.Typer(help="The people of the newsroom.", no_args_is_help=True)


@person.command("list")
def list_people() -> None:
    """Lists the people, newest first."""
    with current_base() as (_, db), db.read() as session:
        rows = session.execute(select(Person.id, Person.name, Person.role, Person.ended_at))
        for row in sorted(rows, key=lambda each: str(each.id), reverse=True):
            say(f"{row.id}  {row.role:<8}  {'ended' if row.ended_at else 'active':<6}  {row.name}")


@person.command("end")
def end_person(
    who: Annotated[str, typer.Argument(metavar="PERSON", help="The person's id or name (`person list`).")],
) -> None:
    """Ends a person: revokes their keys, and frees the claims that they have taken, at once."""
    with current_base() as (_, db), db.write() as session:
        found = store.row(session, known.resolve(session, who, "person"))
        store.end(session, found, by=By("cli", "command line"))
        say(f"{found.id} has ended")
