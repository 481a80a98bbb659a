"""What is derived from claims so that they are read fast: never the only place of anything, written in the
transaction of what it is derived from (`upkeep.py`), and made anew by `python -m app reindex`.
"""

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, SQLModel

from app.base.types import Id


class ClaimBody(SQLModel, table=True):
    """A claim's document as JSON, but for the names of what it refers to (see `references.py`), and the facts
    that it is listed and counted by, as JSON.
    """

    __tablename__ = "claim_bodies"

    claim_id: str = Field(primary_key=True, sa_type=Id, foreign_key="claims.id")
    body: str = Field(sa_type=Text)
    facts: str = Field(sa_type=Text)


class ClaimListing(SQLModel, table=True):
    """A claim under one thing that it can be asked for by, such as `speaker:ent_…`: the primary key is the
    order of the list, newest last, so that a page of any of them costs the same in a base of any size.
    """

    __tablename__ = "claim_listing"
    __table_args__ = {"sqlite_with_rowid": False}

    facet: str = Field(primary_key=True, sa_type=Id)
    status: str = Field(primary_key=True, sa_type=Id)
    said: str = Field(primary_key=True, sa_type=Id)
    claim_id: str = Field(primary_key=True, sa_type=Id)


class ClaimTally(SQLModel, table=True):
    """How many claims have a value of one dimension, or a pair of values of two; empty text where there is
    none. What is not paired stands with an empty second dimension.
    """

    __tablename__ = "claim_tallies"
    __table_args__ = {"sqlite_with_rowid": False}

    first: str = Field(primary_key=True, sa_type=Id)
    second: str = Field(primary_key=True, sa_type=Id)
    a: str = Field(primary_key=True, sa_type=Id)
    b: str = Field(primary_key=True, sa_type=Id)
    claims: int = Field(sa_type=BigInteger)


class ClaimRank(SQLModel, table=True):
    """How many claims repeat a claim and how often it was read, in order within each status. `reads` follows
    from nothing: it is counted off the ledger, and kept when all else is made anew.
    """

    __tablename__ = "claim_ranks"
    __table_args__ = (
        Index(None, "status", "repeats", "claim_id"),
        Index(None, "status", "reads", "claim_id"),
    )

    claim_id: str = Field(primary_key=True, sa_type=Id, foreign_key="claims.id")
    status: str = Field(sa_type=Id)
    repeats: int = Field(sa_type=BigInteger)
    reads: int = Field(sa_type=BigInteger)


class ReferenceEpoch(SQLModel, table=True):
    """One row, whose token is another whenever a name that claims show has changed."""

    __tablename__ = "reference_epoch"

    id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    token: str = Field(sa_type=Text)
