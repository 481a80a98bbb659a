"""Claims with their appearances, anchors and figures: the tables, and the words that they take."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, Date, Float, ForeignKeyConstraint, Index, Text
from sqlmodel import Field

from app.base.times import UNDATED
from app.base.types import (
    Exact,
    Id,
    Instant,
    Json,
    one_of,
)
from app.changes.model import Part, Record
from app.claims.amounts import ends
from app.claims.anchors import AnchorState

Mode = Literal["direct_quote", "partial_quote", "paraphrase", "own_voice"]
ClaimKind = Literal["fact", "prediction", "promise", "opinion", "position"]
Comparator = Literal["eq", "ge", "gt", "le", "lt", "approx", "range"]
FigureKind = Literal["reported", "estimated", "promised", "forecast", "target", "capacity"]

Status = Literal["unverified", "in_review", "pending_approval", "reviewed", "withdrawn"]
Verdict = Literal[
    "true",
    "mostly_true",
    "half_true",
    "mostly_false",
    "false",
    "misleading",
    "unsupported",
    "outdated",
    "disputed",
    "satire",
    "not_checkable",
]
Attribution = Literal[
    "unconfirmed", "confirmed", "misquoted", "misattributed", "fabricated", "out_of_context"
]
Agreement = Literal["single", "unanimous", "split"]
CorrectionKind = Literal["correction", "withdrawal", "reinstatement"]


# --- tables ------------------------------------------------------------------------------------


class ClaimSpeaker(Part, table=True):
    """Who makes the claim, in order, with the title held then."""

    __tablename__ = "claim_speakers"
    owner: ClassVar[str] = "claim_id"

    claim_id: str = Field(primary_key=True, sa_type=Id, foreign_key="claims.id")
    position: int = Field(primary_key=True)
    entity_id: str = Field(sa_type=Id, foreign_key="entities.id", index=True)
    title: str | None = Field(default=None, sa_type=Text)


class ClaimAbout(Part, table=True):
    """Whom or what the claim is about."""

    __tablename__ = "claim_about"
    owner: ClassVar[str] = "claim_id"

    claim_id: str = Field(primary_key=True, sa_type=Id, foreign_key="claims.id")
    position: int = Field(primary_key=True)
    entity_id: str = Field(sa_type=Id, foreign_key="entities.id", index=True)


class ClaimTopic(Part, table=True):
    """A topic of the claim."""

    __tablename__ = "claim_topics"
    owner: ClassVar[str] = "claim_id"

    claim_id: str = Field(primary_key=True, sa_type=Id, foreign_key="claims.id")
    position: int = Field(primary_key=True)
    topic: str = Field(sa_type=Id, index=True)


class Appearance(Part, table=True):
    """A source that prints the claim, and the snapshot that its quotes were looked for in."""

    __tablename__ = "appearances"
    owner: ClassVar[str] = "claim_id"

    claim_id: str = Field(primary_key=True, sa_type=Id, foreign_key="claims.id")
    position: int = Field(primary_key=True)
    source_id: str = Field(sa_type=Id, foreign_key="sources.id", index=True)
    snapshot_id: str | None = Field(default=None, sa_type=Id, foreign_key="snapshots.id")


class Anchor(Part, table=True):
    """One segment of a quote in a source: a W3C text quote and text position selector. If an orphaned one is
    in an earlier snapshot, `last_found_in` names that, and the position is the one there.
    """

    __tablename__ = "anchors"
    __table_args__ = (
        ForeignKeyConstraint(["claim_id", "appearance"], ["appearances.claim_id", "appearances.position"]),
        one_of("state", get_args(AnchorState)),
    )
    owner: ClassVar[str] = "claim_id"
    where_given: ClassVar[frozenset[str]] = frozenset({"last_found_in"})

    claim_id: str = Field(primary_key=True, sa_type=Id)
    appearance: int = Field(primary_key=True)
    position: int = Field(primary_key=True)
    exact: str = Field(sa_type=Text)
    prefix: str | None = Field(default=None, sa_type=Text)
    suffix: str | None = Field(default=None, sa_type=Text)
    start: int | None = Field(default=None, sa_type=BigInteger)
    end: int | None = Field(default=None, sa_type=BigInteger)
    state: str = Field(sa_type=Text)
    score: Decimal | None = Field(default=None, sa_type=Exact)
    last_found_in: str | None = Field(default=None, sa_type=Id, foreign_key="snapshots.id")


class Figure(Part, table=True):
    """A number inside the claim, in its plain unit. `value_number` is for arithmetic; `lowest` and `highest`
    are the ends of what it states (`amounts.ends`), in one order for all units of a dimension.
    """

    __tablename__ = "figures"
    __table_args__ = (
        one_of("comparator", get_args(Comparator)),
        one_of("kind", get_args(FigureKind)),
        CheckConstraint(
            "value IS NOT NULL OR (comparator = 'range' AND lower IS NOT NULL AND upper IS NOT NULL)",
            name="has_a_number",
        ),
        Index(None, "unit", "lowest", "highest"),
        Index(None, "unit", "highest", "lowest"),
        Index(None, "measure", "unit", "highest"),
        Index(None, "measure", "period_earliest", "period_latest", "claim_id"),
    )
    owner: ClassVar[str] = "claim_id"
    off_ledger: ClassVar[frozenset[str]] = frozenset({"lowest", "highest"})

    claim_id: str = Field(primary_key=True, sa_type=Id, foreign_key="claims.id")
    position: int = Field(primary_key=True)
    id: str = Field(sa_type=Id, unique=True)
    measure: str = Field(sa_type=Text)
    value: Decimal | None = Field(default=None, sa_type=Exact)
    lower: Decimal | None = Field(default=None, sa_type=Exact)
    upper: Decimal | None = Field(default=None, sa_type=Exact)
    value_number: float | None = Field(default=None, sa_type=Float)
    comparator: str = Field(sa_type=Text)
    unit: str = Field(sa_type=Id)
    display: str | None = Field(default=None, sa_type=Text)
    kind: str = Field(sa_type=Text)
    is_record: bool
    period: str | None = Field(default=None, sa_type=Text)
    period_earliest: date = Field(default=UNDATED, sa_type=Date)
    period_latest: date = Field(default=UNDATED, sa_type=Date)
    condition: str | None = Field(default=None, sa_type=Text)
    lowest: str = Field(sa_type=Id)
    highest: str = Field(sa_type=Id)

    @classmethod
    def untold(cls, row: Mapping[str, Any]) -> dict[str, Any]:
        """Where it stands in order."""
        low, high = ends(row["comparator"], row["unit"], row["value"], row["lower"], row["upper"])
        return {"lowest": low, "highest": high}


class FigureAbout(Part, table=True):
    """Whom or what the figure measures."""

    __tablename__ = "figure_about"
    __table_args__ = (ForeignKeyConstraint(["claim_id", "figure"], ["figures.claim_id", "figures.position"]),)
    owner: ClassVar[str] = "claim_id"

    claim_id: str = Field(primary_key=True, sa_type=Id)
    figure: int = Field(primary_key=True)
    position: int = Field(primary_key=True)
    entity_id: str = Field(sa_type=Id, foreign_key="entities.id", index=True)


class Claim(Record, table=True):
    """One assertion by one or more speakers on one occasion, with its standing."""

    __tablename__ = "claims"
    __table_args__ = (
        one_of("mode", get_args(Mode)),
        one_of("kind", get_args(ClaimKind)),
        one_of("status", get_args(Status)),
        one_of("verdict", get_args(Verdict)),
        one_of("attribution", get_args(Attribution)),
        one_of("agreement", get_args(Agreement)),
        one_of("attribution_agreement", get_args(Agreement)),
        CheckConstraint("repeats_id <> id", name="repeats_another"),
        Index(None, "said_latest", "id"),
        Index(None, "status", "said_latest", "id"),
    )
    noun: ClassVar[str] = "claim"
    parts: ClassVar[Mapping[str, type[Part]]] = {
        "speakers": ClaimSpeaker,
        "about": ClaimAbout,
        "topics": ClaimTopic,
        "appearances": Appearance,
        "anchors": Anchor,
        "figures": Figure,
        "figure_about": FigureAbout,
    }

    text: str = Field(sa_type=Text)
    mode: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    language: str | None = Field(default=None, sa_type=Text)
    original_text: str | None = Field(default=None, sa_type=Text)
    original_language: str | None = Field(default=None, sa_type=Text)
    relayed_by_id: str | None = Field(default=None, sa_type=Id, foreign_key="entities.id")
    said: str | None = Field(default=None, sa_type=Text)
    said_earliest: date = Field(default=UNDATED, sa_type=Date)
    said_latest: date = Field(default=UNDATED, sa_type=Date)
    occasion: str | None = Field(default=None, sa_type=Text)
    place: str | None = Field(default=None, sa_type=Text)
    context: str | None = Field(default=None, sa_type=Text)
    repeats_id: str | None = Field(default=None, sa_type=Id, foreign_key="claims.id", index=True)
    due: date | None = Field(default=None, sa_type=Date, index=True)

    status: str = Field(default="unverified", sa_type=Text)
    verdict: str | None = Field(default=None, sa_type=Text)
    attribution: str = Field(default="unconfirmed", sa_type=Text)
    agreement: str | None = Field(default=None, sa_type=Text)
    assignee_id: str | None = Field(default=None, sa_type=Id, foreign_key="people.id", index=True)
    lease_expires_at: datetime | None = Field(default=None, sa_type=Instant)
    reviewed_at: datetime | None = Field(default=None, sa_type=Instant)
    public_note: str | None = Field(default=None, sa_type=Text)
    attribution_agreement: str | None = Field(default=None, sa_type=Text)
    proposer_id: str | None = Field(default=None, sa_type=Id, foreign_key="people.id")
    correction: dict[str, Any] | None = Field(default=None, sa_type=Json)
    erased: dict[str, Any] | None = Field(default=None, sa_type=Json)
    visibility: str | None = Field(default=None, sa_type=Text)
    embargoed_until: datetime | None = Field(default=None, sa_type=Instant, index=True)
    publication: dict[str, Any] | None = Field(default=None, sa_type=Json)


STANDING = ("status", "verdict", "agreement", "assignee_id", "lease_expires_at", "reviewed_at",
            "public_note", "proposer_id")  # fmt: skip
"""What a claim that repeats another carries of that one's verification, besides its latest correction.
Whether its own speaker said it (`attribution`) stays its own.
"""
