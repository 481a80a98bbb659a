"""Webhooks: the tables and the shapes of input and output."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, field_validator
from pydantic import Field as Describe
from sqlalchemy import BigInteger, Text
from sqlmodel import Field, SQLModel

from app.base.types import EACH_ONCE, Count, Flag, Id, Instant, Line, Shape, TextList, Url, example
from app.changes.model import Record

EventType = Literal[
    "entity", "entity.create", "entity.revise", "entity.merge", "entity.merge.follow", "entity.part",
    "entity.part.follow", "entity.erase", "entity.erase.follow",
    "source", "source.create", "source.revise", "source.publish", "source.unpublish", "source.embargo",
    "source.erase",
    "snapshot", "snapshot.archive", "snapshot.supply", "snapshot.erase", "snapshot.erase.follow",
    "claim", "claim.state", "claim.revise", "claim.carry", "claim.anchor", "claim.take", "claim.release",
    "claim.propose", "claim.review", "claim.attribute", "claim.approve", "claim.return", "claim.correct",
    "claim.withdraw", "claim.reinstate", "claim.publish", "claim.unpublish", "claim.embargo",
    "claim.erase", "claim.erase.follow",
    "evidence", "evidence.gather", "evidence.anchor", "evidence.publish",
    "evidence.erase", "evidence.erase.follow",
    "review", "review.give", "review.erase", "review.erase.follow",
    "decision", "review.approved", "review.returned", "decision.erase.follow",
    "link", "link.judge", "link.rejudge", "link.erase.follow",
    "person", "person.create", "person.revise", "person.end", "person.erase",
    "key", "key.create", "key.revoke", "key.erase.follow",
    "webhook", "webhook.create", "webhook.revise", "webhook.rotate", "webhook.disable", "webhook.remove",
]  # fmt: skip
"""What a webhook can be told of: the nouns of the ledger, each for all that is done to one, and actions."""


MOST_IN_A_BATCH = 500
"""Entries in one message to a webhook that takes batches."""


# --- tables ------------------------------------------------------------------------------------


class Webhook(Record, table=True):
    """An address that is told of changes. Its secret is nowhere kept: it is made of the house's, the id and
    the number of the rotation.
    """

    __tablename__ = "webhooks"
    noun: ClassVar[str] = "webhook"

    url: str = Field(sa_type=Text)
    types: list[str] = Field(default=[], sa_type=TextList)
    note: str | None = Field(default=None, sa_type=Text)
    enabled: bool
    disabled_because: str | None = Field(default=None, sa_type=Text)
    rotation: int = Field(default=1, sa_type=BigInteger)
    rotated_at: datetime | None = Field(default=None, sa_type=Instant)
    removed_at: datetime | None = Field(default=None, sa_type=Instant)
    batch: int | None = Field(default=None, sa_type=BigInteger)


class Progress(SQLModel, table=True):
    """How far the deliveries of a webhook are. `turn` is raised by whatever a run of deliveries that is under
    way must not go past, such as a replay. `position_hash` is the hash of the entry at `position`, by which
    the ledger of a backup is told from the one that was delivered. `reset_at` is when a restore was noticed,
    until the target has taken the message about it. `batch_end` is the last entry of a batch that was sent
    and not taken yet: it is sent again as it was.
    """

    __tablename__ = "webhook_progress"

    webhook_id: str = Field(primary_key=True, sa_type=Id, foreign_key="webhooks.id")
    position: int = Field(sa_type=BigInteger)
    turn: int = Field(default=0, sa_type=BigInteger)
    attempts: int = Field(default=0, sa_type=BigInteger)
    failing_since: datetime | None = Field(default=None, sa_type=Instant)
    next_at: datetime | None = Field(default=None, sa_type=Instant)
    last_at: datetime | None = Field(default=None, sa_type=Instant)
    last_status: int | None = Field(default=None, sa_type=BigInteger)
    last_error: str | None = Field(default=None, sa_type=Text)
    leased_by: str | None = Field(default=None, sa_type=Id)
    leased_until: datetime | None = Field(default=None, sa_type=Instant)
    position_hash: str | None = Field(default=None, sa_type=Text)
    batch_end: int | None = Field(default=None, sa_type=BigInteger)
    reset_at: datetime | None = Field(default=None, sa_type=Instant)


# --- in ----------------------------------------------------------------------------------------


class WebhookIn(Shape):
    """Where to send what. Without `types` it is everything that the ledger has."""

    model_config = example(
        {
            "url": "https://dashboard.example/hooks/record",
            "types": ["claim.review", "claim.correct", "claim.withdraw"],
            "note": "The dashboard of verdicts",
        }
    )

    url: Annotated[
        Url,
        Describe(
            description="An https address with no user and no fragment, whose name leads to public addresses "
            "only. Where the server allows networks besides, it may be in one of them, and http."
        ),
    ]
    types: Annotated[
        list[EventType],
        Describe(
            max_length=100,
            json_schema_extra=EACH_ONCE,
            description="A noun, such as `claim`, is all that is done to one; `claim.review` is one action.",
        ),
    ] = []
    note: Line | None = None
    batch: Annotated[
        Count | None,
        Describe(
            ge=1,
            le=MOST_IN_A_BATCH,
            description="Entries in one message at most, which is of type `ledger.batch`; null sends each "
            "entry in a message of its own.",
        ),
    ] = None
    enabled: Flag = True

    @field_validator("types")
    @classmethod
    def _each_once(cls, types: list[str]) -> list[str]:
        if len(set(types)) < len(types):
            raise ValueError("has the same one twice")
        return types


class ReplayIn(Shape):
    """From where on."""

    model_config = example({"after": 0})

    after: Annotated[Count, Describe(description="The `seq` of the last entry that is not told again.")]


# --- out ---------------------------------------------------------------------------------------


class LagOut(BaseModel):
    """What is yet to be told: how many entries at most, and when the first of them was written."""

    entries: int
    since: datetime | None


class DeliveriesOut(BaseModel):
    """How deliveries stand. All that was to be told up to the entry `delivered` has been taken; after a
    failure, `next_at` is when the next entry is sent again. `reset_at` is when the restore of a backup was
    noticed, until the target has taken the message about it.
    """

    delivered: int
    lag: LagOut
    reset_at: datetime | None
    failing_since: datetime | None
    attempts: int
    next_at: datetime | None
    last_at: datetime | None
    last_status: int | None
    last_error: str | None


class WebhookOut(BaseModel):
    """A webhook, without its secret. `disabled_because` says why the house has disabled it."""

    id: str
    url: str
    types: list[EventType]
    note: str | None
    batch: int | None
    enabled: bool
    disabled_because: str | None
    rotated_at: datetime | None
    removed_at: datetime | None
    deliveries: DeliveriesOut
    version: int
    created_at: datetime
    updated_at: datetime


class NewSecret(WebhookOut):
    """A webhook with a new `secret`, which is shown this once; it is null if this answer is given again."""

    secret: str | None


class PingOut(BaseModel):
    """The outcome of a ping: the status that the target answered, or why there is none."""

    delivered: bool
    status: int | None
    error: str | None
    seconds: float
