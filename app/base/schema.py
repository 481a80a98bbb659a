"""The schema's version: brought up to date by Alembic, and checked before anything is served."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from app.base.db import Database
from app.base.outages import check_reach

ROOT = Path(__file__).parents[2]


def config(url: str) -> Config:
    """Alembic's configuration for a base."""
    made = Config(ROOT / "alembic.ini")
    made.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return made


def upgrade(url: str, revision: str = "head") -> None:
    """Brings a base's schema to a revision, by default the newest. Raises ValueError if there is no such."""
    _move(command.upgrade, url, revision)


def downgrade(url: str, revision: str) -> None:
    """Takes a base's schema back to an older revision (`base` for none). Raises as upgrade does."""
    _move(command.downgrade, url, revision)


def _move(there: Callable[[Config, str], None], url: str, revision: str) -> None:
    try:
        there(config(url), revision)
    except CommandError as fault:
        raise ValueError(f"The schema cannot be brought to {revision}: {fault}") from fault


@cache
def newest() -> str | None:
    """The revision that this code is written for, whatever is installed in its place later."""
    return _scripts().get_current_head()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(ROOT / "migrations"))


def is_known(revision: str) -> bool:
    """Whether a revision is this code's newest or one before it."""
    return revision in {script.revision for script in _scripts().walk_revisions()}


def current(db: Database) -> str | None:
    """The revision that the base has; None before the first migration. Raises Unavailable."""
    if db.missing:
        check_reach(Path(str(db.url.database)))
        return None
    with db.read() as session:
        return MigrationContext.configure(session.connection()).get_current_revision()


def staleness(db: Database) -> str | None:
    """What is wrong with the base's schema, or None. Raises Unavailable."""
    has, needed = current(db), newest()
    if has == needed:
        return None
    return f"The base's schema is at {has or 'no revision'} and {needed} is needed: python -m app migrate"
