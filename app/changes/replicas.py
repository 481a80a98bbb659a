"""Standbys that take reads, each only from who needs nothing newer than it has.

The base's position is the `seq` of its ledger's last entry, so a standby holds a position if its ledger
reaches it. That is looked at on the very connection that is then read from: no other one, of a server that
was started again since, say, can be further behind.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from time import monotonic
from typing import Any

from sqlalchemy import Engine, bindparam, column, func, table
from sqlalchemy.pool import PoolProxiedConnection
from sqlmodel import col

from app.base.db import Database, Readable, ReadSession
from app.base.errors import Unavailable
from app.base.pools import engine_url
from app.base.prepared import Prepared
from app.base.sql import select
from app.changes.ledger import last_position, last_seq
from app.changes.model import Change
from app.settings import Settings

log = logging.getLogger("on-the-record")

LOOKED_AT_EVERY = 0.5
"""Seconds between looks at a standby."""

PATIENCE = 2.0
"""Seconds that a look waits for the standby before it is left out: one that is frozen does not say so."""

_SEQ = last_seq().scalar_subquery()
_REVISION = select(column("version_num")).select_from(table("alembic_version")).scalar_subquery()
_LAST_HASH = select(Change.hash).order_by(col(Change.seq).desc()).limit(1).scalar_subquery()
_HASH_THERE = select(Change.hash).where(col(Change.seq) == bindparam("seq")).scalar_subquery()
_STANDING = Prepared(select(func.pg_is_in_recovery(), func.coalesce(_SEQ, 0), _LAST_HASH, _REVISION))
_COMPARED = Prepared(select(func.coalesce(_SEQ, 0), _HASH_THERE, _REVISION))


Rows = tuple[bool, Sequence[Any]]


class Replica(Database):
    """A standby. `fault` is what speaks against reading from it; `asked_at` is when a look began that has not
    been answered yet; `resets` is how often its ledger was found to be another than before.
    """

    def __init__(self, url: str, pool_size: int) -> None:
        super().__init__(url, pool_size)
        self.name = f"{self.url.host}:{self.url.port or 5432}"
        self.fault: str | None = "was not looked at yet"
        self.asked_at: float | None = None
        self.resets = 0

    @property
    def seen(self) -> tuple[str, int]:
        """The key under which a connection remembers the highest position that it has seen, in a ledger that
        was only added to.
        """
        return "position", self.resets

    @property
    def good(self) -> bool:
        """Whether it may be read from."""
        return self.fault is None and (self.asked_at is None or monotonic() < self.asked_at + PATIENCE)

    def found(self, fault: str | None) -> None:
        """Keeps what a look at it has found."""
        if fault != self.fault:
            log.warning("The standby %s %s", self.name, fault or "is read from")
        self.fault = fault

    def leave_out(self) -> None:
        """Keeps others from it until the next look."""
        self.fault = "has failed a reader"

    def ask_at(
        self, position: int, question: Prepared, given: Mapping[str, Any], *, public: bool
    ) -> Rows | None:
        """Whether it holds a position, and if so the rows. None if it does not answer."""

        def work(connection: PoolProxiedConnection) -> Rows:
            seen = self.seen
            if connection.info.get(seen, 0) < position:
                found = last_position().rows(connection, {}, sqlite=False)
                connection.info[seen] = found[0][0] if found else 0
                if connection.info[seen] < position:
                    return False, ()
            return True, question.rows(connection, given, sqlite=False)

        return self.promptly(work, public=public)

    def holds(self, session: ReadSession, position: int) -> bool:
        """Whether it holds a position, as a session with it shows."""
        known, seen = session.connection().connection.info, self.seen
        if known.get(seen, 0) < position:
            known[seen] = session.execute(last_seq()).scalar() or 0
        return bool(known.get(seen, 0) >= position)


class Nearest:
    """What one request reads from: a standby as long as that answers and holds the position, and from then on
    the primary.
    """

    def __init__(self, primary: Database, replica: Replica, position: int, *, public: bool) -> None:
        self.public = public
        self._primary = primary
        self._replica: Replica | None = replica
        self._position = position

    @property
    def reader(self) -> Engine:
        """The engine of the server that is read from now."""
        return (self._replica or self._primary).engines(public=self.public).read

    def ask(self, question: Prepared, given: Mapping[str, Any]) -> Sequence[Any] | None:
        """As `Database.ask`."""
        if self._replica is not None:
            answer = self._replica.ask_at(self._position, question, given, public=self.public)
            if answer is None:
                self.retreat()
            elif answer[0]:
                return answer[1]
            self._replica = None
        return self._primary.ask(question, given, public=self.public)

    @contextmanager
    def read(self, *, patiently: bool = False) -> Iterator[ReadSession]:
        """As `Database.read`."""
        with ExitStack() as stack:
            yield self._of_replica(stack, patiently) or stack.enter_context(
                self._primary.read(patiently=patiently, public=self.public)
            )

    def _of_replica(self, stack: ExitStack, patiently: bool) -> ReadSession | None:
        if self._replica is None:
            return None
        with ExitStack() as trying:
            try:
                session = trying.enter_context(self._replica.read(patiently=patiently, public=self.public))
                if self._replica.holds(session, self._position):
                    stack.push(trying.pop_all())
                    return session
            except Unavailable:
                self._replica.leave_out()
        self._replica = None
        return None

    def need(self, position: int) -> None:
        """Takes care that all up to a position is seen from now on."""
        self._position = max(self._position, position)

    def retreat(self) -> bool:
        """Goes over to the primary after a fault; False if that is where it was."""
        if self._replica is None:
            return False
        self._replica.leave_out()
        self._replica = None
        return True


class Watch(threading.Thread):
    """Looks at one standby again and again."""

    def __init__(self, primary: Database, replica: Replica, most_behind: float) -> None:
        super().__init__(name=f"watch of {replica.name}", daemon=True)
        self.primary = primary
        self.replica = replica
        self.most_behind = most_behind
        self.ended = threading.Event()
        self._ends: deque[tuple[float, int]] = deque()
        self._ahead: int | None = None

    def run(self) -> None:
        """Until it is ended."""
        while True:
            self.replica.found(self.look())
            if self.ended.wait(LOOKED_AT_EVERY):
                return

    def look(self) -> str | None:
        """What speaks against the standby now. While the primary is away, it is as good as it was."""
        self.replica.asked_at = at = monotonic()
        standing = self.replica.ask(_STANDING, {})
        self.replica.asked_at = None
        if not standing:
            return "does not answer"
        in_recovery, seq, digest, revision = standing[0]
        if not in_recovery:
            return "is no standby"
        if compared := self.primary.ask(_COMPARED, {"seq": seq}):
            last, there, needed = compared[0]
            if revision != needed:
                return "has another schema"
            same = self._same(seq, digest, last, there)
            if not same or (self._ends and last < self._ends[-1][1]):  # a backup was restored
                self.replica.resets += 1
            if not same:
                return "has another ledger"
            self._note(at, last)
        return f"is more than {self.most_behind:g} s behind" if self._behind(seq) else None

    def _same(self, seq: int, digest: str | None, last: int, there: str | None) -> bool:
        """Whether the standby's ledger is how that of the primary began. It may be ahead for a moment, by a
        commit that the primary has yet to hear of from it.
        """
        before, self._ahead = self._ahead, None
        if seq <= last:
            return digest == there
        self._ahead = seq
        return before is None or before <= last

    def _note(self, at: float, last: int) -> None:
        if self._ends and last < self._ends[-1][1]:
            self._ends.clear()
        self._ends.append((at, last))
        while self._ends[0][0] < at - self.most_behind:
            self._ends.popleft()

    def _behind(self, seq: int) -> bool:
        """Whether the standby lacks what the ledger had for longer than it may."""
        return not any(last <= seq for _, last in self._ends)


class Replicas:
    """The standbys of a base, which take turns."""

    def __init__(self, primary: Database, settings: Settings) -> None:
        """Raises ValueError for what is no single PostgreSQL server, or a primary that is none."""
        if settings.replica_urls and primary.sqlite:
            raise ValueError("RECORD_REPLICA_URLS: only PostgreSQL has standbys, and this base is SQLite")
        self.primary = primary
        self.replicas = [Replica(_one_server(url), settings.pool_size) for url in settings.replica_urls]
        self.most_behind = settings.replica_lag_seconds
        self._watches: list[Watch] = []
        self._turns = count()

    def at(self, position: int, *, public: bool = False) -> Readable:
        """What a request reads from that must see all that was written up to a position, as the public if it
        is asked by that.
        """
        good = [each for each in self.replicas if each.good]
        if not good:
            return self.primary.outside if public else self.primary
        replica = good[next(self._turns) % len(good)]
        return Nearest(self.primary, replica, position, public=public)

    def watch(self) -> None:
        """Begins to look at them."""
        self._watches = [Watch(self.primary, each, self.most_behind) for each in self.replicas]
        for watch in self._watches:
            watch.start()

    def close(self) -> None:
        """Ends that, and closes every connection."""
        for watch in self._watches:
            watch.ended.set()
        for replica in self.replicas:
            replica.dispose()


def _one_server(url: str) -> str:
    try:
        parsed = engine_url(url)
    except ValueError:
        parsed = None
    several = parsed is not None and "," in str(parsed.query.get("host", ""))
    if parsed is None or several or parsed.get_backend_name() != "postgresql":
        raise ValueError("RECORD_REPLICA_URLS: each is of one server: postgresql://user:password@host/name")
    return url
