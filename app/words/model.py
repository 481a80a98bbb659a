"""The index: what is found, the words that are known, and which word is where with what weight."""

from sqlalchemy import BigInteger, Integer, SmallInteger, Text
from sqlmodel import Field, SQLModel

from app.base.types import Id


class Document(SQLModel, table=True):
    """A record that can be found. Its number tells its kind (`number % 4`), whether it is hidden
    (`number & 4`) and, within one kind, its age. `words` are its folded words in order, each between spaces,
    and `stems` the ids of all stems that it is found by.
    """

    __tablename__ = "documents"

    number: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    record_id: str = Field(sa_type=Id, unique=True)
    words: str = Field(sa_type=Text)
    stems: str = Field(sa_type=Text)


class Stem(SQLModel, table=True):
    """What is looked for, and how many documents have it, with how many `hidden` ones among them. The empty
    one stands for all documents.
    """

    __tablename__ = "stems"

    id: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    stem: str = Field(sa_type=Id, unique=True)
    documents: int = Field(sa_type=BigInteger)
    hidden: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})


class Form(SQLModel, table=True):
    """A word as it is written, folded, for searching by its beginning."""

    __tablename__ = "forms"
    __table_args__ = {"sqlite_with_rowid": False}

    form: str = Field(primary_key=True, sa_type=Id)
    stem_id: int = Field(sa_type=Integer)


class Posting(SQLModel, table=True):
    """A stem in a document, with its part of the score (see `index.weight`)."""

    __tablename__ = "postings"
    __table_args__ = {"sqlite_with_rowid": False}

    stem_id: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    document: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    weight: int = Field(sa_type=SmallInteger)
