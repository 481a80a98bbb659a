"""How often claims are read: counted in memory, and kept every few seconds. A read waits for none of it; what
was counted since is lost with a process that is killed.
"""

from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from app.base.db import Database
from app.base.errors import Unavailable
from app.base.tally import Tally
from app.claims import ranks

EVERY_SECONDS = 10.0
_LAST_SECONDS = 2.0
"""So long a server that stops waits for its last counts to be kept."""


def keep(db: Database, tally: Tally) -> None:
    """Adds what was counted to the base, or leaves it counted if that takes no writes now."""
    counts = {} if db.missing else tally.take()
    if not counts:
        return
    try:
        with db.write() as session:
            ranks.add(session, "reads", counts)
    except (Unavailable, SQLAlchemyError):
        tally.give_back(counts)


class Keeper:
    """Keeps what is counted, in a thread of its own, until it is closed."""

    def __init__(self, db: Database, tally: Tally) -> None:
        self._db, self._tally = db, tally
        self._closed = Event()
        self._thread = Thread(target=self._run, name="reads", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(EVERY_SECONDS):
            keep(self._db, self._tally)
        keep(self._db, self._tally)

    def close(self) -> None:
        """Keeps the last of it, if the database answers soon."""
        self._closed.set()
        self._thread.join(_LAST_SECONDS)
