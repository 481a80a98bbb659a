"""The ledger of changes, and what a row must be to be written through it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, partial
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Describe
from sqlalchemy import BigInteger, Index, Text, inspect, text
from sqlmodel import Field, SQLModel

from app.base.page import Question
from app.base.times import now
from app.base.types import MAX_INT, Id, Instant, Sort


class Part(SQLModel):
    """A row that belongs to a record and has no life of its own, such as one speaker of a claim.

    `owner` names the column with the record's id; the rest of the primary key gives the order.
    """

    owner: ClassVar[str]
    off_ledger: ClassVar[frozenset[str]] = frozenset()
    """Columns that the ledger need not hold, since they follow from the others."""
    where_given: ClassVar[frozenset[str]] = frozenset()
    """Columns that came after the first entries: an entry tells of one only where it is not null."""

    @classmethod
    def untold(cls, row: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG003 (for a part that has some)
        """Those columns, of the others."""
        return {}


class Record(SQLModel):
    """The first row of one thing in the base. `parts` are its other rows, parents before children."""

    noun: ClassVar[str]
    parts: ClassVar[Mapping[str, type[Part]]] = {}
    off_ledger: ClassVar[frozenset[str]] = frozenset()
    """Columns that the ledger must not hold: secrets, and texts that may have to be removed."""

    id: str = Field(primary_key=True, sa_type=Id)
    version: int = Field(default=0, sa_type=BigInteger)
    created_at: datetime = Field(default_factory=now, sa_type=Instant)
    updated_at: datetime = Field(default_factory=now, sa_type=Instant)


def columns_as_sent(kind: type[SQLModel], sent: type[BaseModel]) -> tuple[str, ...]:
    """Return the names of the columns that take the input's field of the same name as it is."""
    return tuple(name for name in sent.model_fields if name in kind.model_fields)


R = TypeVar("R", bound=SQLModel)


def fresh(kind: type[R], /, **values: Any) -> R:
    """A new row. The class itself tells SQLAlchemy of every column one by one, which takes many times as long
    and is of no use before the row is in a session.
    """
    empty, fixed, made = _blank(kind)
    row: R = empty()
    state = vars(row)
    state.update(fixed)
    for name, make in made.items():
        state[name] = make()
    state.update(values)
    return row


@cache
def _blank(kind: type[SQLModel]) -> tuple[Callable[[], Any], dict[str, Any], dict[str, Callable[[], Any]]]:
    """What makes an empty row, the values of the columns that need not be given, and what makes those that
    each row has its own of.
    """
    fixed: dict[str, Any] = {}
    made: dict[str, Callable[[], Any]] = {}
    for name, field in kind.model_fields.items():
        if field.default_factory is not None:
            made[name] = partial(field.get_default, call_default_factory=True)
        elif isinstance(field.default, list):
            made[name] = field.default.copy
        elif not field.is_required():
            fixed[name] = field.default
    if issubclass(kind, Record):
        made.update(created_at=now, updated_at=now)
    return inspect(kind).class_manager.new_instance, fixed, made


CORRECTIONS = "action IN ('claim.correct', 'claim.withdraw', 'claim.reinstate')"
"""Which entries are told of as corrections. A query has to say it in these words to go by their index."""


RULINGS = (
    "action IN ('claim.review', 'claim.attribute', 'claim.approve', 'claim.correct', 'claim.withdraw', "
    "'claim.reinstate')"
)
"""Which entries are told of as verdicts, in the words of their index."""


ERASURES = (
    "action IN ('claim.erase', 'entity.erase', 'source.erase', 'snapshot.erase', 'review.erase', "
    "'evidence.erase', 'person.erase')"
)
"""Which entries are the list of erasures, in the words of their index."""


class Change(SQLModel, table=True):
    """One write to one record: who, when, why and what differs. Never changed, never removed. Entries of the
    first form (`form`) have all their values here; later ones have in ChangeValues what may have to be
    withheld or erased.
    """

    __tablename__ = "changes"
    __table_args__ = (
        Index(None, "resource", "resource_id", "seq"),
        Index(None, "at", "seq"),
        Index(None, "seq", sqlite_where=text(CORRECTIONS), postgresql_where=text(CORRECTIONS)),
        Index(None, "seq", "action", sqlite_where=text(RULINGS), postgresql_where=text(RULINGS)),
        Index(None, "seq", "resource", sqlite_where=text(ERASURES), postgresql_where=text(ERASURES)),
    )

    seq: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    at: datetime = Field(sa_type=Instant)
    actor: str = Field(sa_type=Text)
    actor_name: str | None = Field(default=None, sa_type=Text)
    action: str = Field(sa_type=Text)
    resource: str = Field(sa_type=Text)
    resource_id: str = Field(sa_type=Id)
    version: int = Field(sa_type=BigInteger)
    difference: str | None = Field(default=None, sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    request_id: str | None = Field(default=None, sa_type=Text)
    previous_hash: str = Field(sa_type=Text)
    hash: str = Field(sa_type=Text)
    form: int = Field(sa_type=BigInteger)


class ChangeValues(SQLModel, table=True):
    """Values of an entry that its hash covers by commitments (see `entry.py`), and their salt: one for the
    whole entry, or, where some of its values were erased, one for each that is left, and the commitments to
    the others. An entry of the first form has a row here once something of it was erased; this row counts
    then, whatever is left in `changes`. `remains` is what rows are made of in place of erased values.
    """

    __tablename__ = "change_values"

    seq: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    actor_name: str | None = Field(default=None, sa_type=Text)
    difference: str | None = Field(default=None, sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    request_id: str | None = Field(default=None, sa_type=Text)
    salt: str | None = Field(default=None, sa_type=Text)
    salts: str | None = Field(default=None, sa_type=Text)
    commitments: str | None = Field(default=None, sa_type=Text)
    remains: str | None = Field(default=None, sa_type=Text)


class ChangeFilters(BaseModel):
    """Filters of the ledger; `after` takes it up where a reader left off."""

    model_config = ConfigDict(frozen=True)

    after: Annotated[int | None, Describe(ge=0, le=MAX_INT, description="Only entries after this `seq`.")] = (
        None
    )
    after_hash: Annotated[
        str | None,
        Describe(
            pattern="^[0-9a-f]{64}$",
            description="The `hash` of the entry at `after`: where it has another one, the ledger is not the "
            "one that was followed.",
        ),
    ] = None
    resource: Annotated[list[str], Describe(description="A noun, such as claim.")] = []
    resource_id: Annotated[list[str], Describe(description="The ids of the records, such as `clm_…`.")] = []
    actor: Annotated[
        list[str],
        Describe(description="A person's id. It finds what was written with a key of before people, too."),
    ] = []


class ChangeQuestion(ChangeFilters, Question):
    """A page of the ledger, which is read oldest first."""

    order: Annotated[Sort, Describe(description="Oldest first (`asc`) or newest first.")] = "asc"


class StreamQuestion(ChangeFilters):
    """A part of the ledger as it grows."""

    until: Annotated[
        int | None,
        Describe(
            ge=0,
            le=MAX_INT,
            description="End once everything up to this `seq` was told, such as a write's `Record-Position`.",
        ),
    ] = None


class Difference(BaseModel):
    """A field before and after."""

    old: Any = None
    new: Any = None


class ChangeOut(BaseModel):
    """One entry of the ledger. `difference` maps each field that changed to its old and new value. `hash`
    covers the whole entry, and `previous_hash` is that of the entry before.

    In an entry without `form`, `hash` is the SHA-256 of the entry's RFC 8785 JSON without `hash` itself;
    where only an admin may see what was changed (keys, people, webhooks), `difference` and `reason` are null,
    to the public `actor`, `actor_name` and `request_id` of a person are, and the hash cannot be made anew.
    In an entry of form 2 the values enter it by commitments, so that some can be withheld and the hash still
    be checked: see `salt`, `salts` and `commitments`, and docs/trust.md.
    """

    form: Annotated[Literal[2], Describe(description="The form of the entry; none is the first.")] = 2
    seq: int
    at: datetime
    actor: str | None
    actor_name: str | None
    action: str | None
    resource: str | None
    resource_id: str | None
    version: int | None
    difference: dict[str, Difference] | None
    reason: str | None
    request_id: Annotated[str | None, Describe(description="Null to the public.")]
    organisation: Annotated[
        str | None,
        Describe(
            description="To the public alone: the id of the organisation of whoever has written the "
            "entry, if they belong to one. It is no part of the hash."
        ),
    ] = None
    previous_hash: str
    hash: str
    salt: Annotated[
        str | None,
        Describe(
            description="Of an entry that is shown whole: 16 bytes as base64url, of which each value's salt "
            "is derived."
        ),
    ] = None
    salts: Annotated[
        dict[str, str] | None,
        Describe(
            description="Of an entry of which some is withheld: the salt of each value that is shown, by its "
            "name, such as `actor` or `difference.text`."
        ),
    ] = None
    commitments: Annotated[
        dict[str, str] | None,
        Describe(
            description="The commitment to each value that is withheld, by its name: SHA-256 over its "
            "salt and its RFC 8785 JSON."
        ),
    ] = None
