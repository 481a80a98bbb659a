"""Runs the migrations on the base that `app.base.schema` names."""

from alembic import context
from sqlmodel import SQLModel

import app.main  # noqa: F401 (its imports register every table)
from app.base.db import Database
from app.changes.grants import check_owner, grant
from app.projections import note_of_empty

config = context.config


def migrate() -> None:
    """One transaction for all of it, the grants on new tables too. SQLite rebuilds tables to alter them, and
    a dropped table would take the rows that refer to it along, so its foreign keys are off meanwhile and
    checked before the commit.
    """
    db = Database(str(config.get_main_option("sqlalchemy.url")))
    try:
        with db.schema_change() as connection:
            check_owner(connection)
            context.configure(
                connection=connection, target_metadata=SQLModel.metadata, render_as_batch=db.sqlite
            )
            context.run_migrations()
            note_of_empty(connection)
            grant(connection)
    finally:
        db.dispose()


migrate()
