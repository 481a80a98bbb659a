"""Sources and snapshots: tables and the shapes of input and output."""

from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, StringConstraints
from pydantic import Field as Describe
from sqlalchemy import BigInteger, Date, Text, UniqueConstraint
from sqlmodel import Field

from app.base.moments import PastMoment
from app.base.page import Question, Words
from app.base.times import UNDATED
from app.base.types import (
    Count,
    Document,
    Edtf,
    Flag,
    Id,
    Instant,
    Json,
    Language,
    Line,
    Sha256,
    Shape,
    TextList,
    Url,
    example,
    one_of,
)
from app.changes.hidden import ShownVisibility, Visibility
from app.changes.model import Record
from app.entities.model import EntityBrief, Ref
from app.words.explain import MatchOut

SourceKind = Literal[
    "article",
    "transcript",
    "statement",
    "speech",
    "interview",
    "press_conference",
    "social_post",
    "broadcast",
    "official_text",
    "dataset",
    "report",
]

SourceRef = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000),
    Describe(description="A source's id or URL, in any of its spellings."),
]


class Source(Record, table=True):
    """A published document. `canonical_url` is its URL in the one spelling that is unique."""

    __tablename__ = "sources"
    __table_args__ = (one_of("kind", get_args(SourceKind)),)
    noun: ClassVar[str] = "source"

    url: str = Field(sa_type=Text)
    canonical_url: str = Field(sa_type=Id, unique=True)
    title: str = Field(sa_type=Text)
    publisher_id: str | None = Field(default=None, sa_type=Id, foreign_key="entities.id", index=True)
    authors: list[str] = Field(default=[], sa_type=TextList)
    published: str | None = Field(default=None, sa_type=Text)
    published_latest: date = Field(default=UNDATED, sa_type=Date, index=True)
    language: str | None = Field(default=None, sa_type=Text)
    kind: str = Field(sa_type=Text)
    archive_url: str | None = Field(default=None, sa_type=Text)
    erased: dict[str, Any] | None = Field(default=None, sa_type=Json)
    visibility: str | None = Field(default=None, sa_type=Text)
    embargoed_until: datetime | None = Field(default=None, sa_type=Instant, index=True)
    publication: dict[str, Any] | None = Field(default=None, sa_type=Json)


class Snapshot(Record, table=True):
    """The text of a source at one moment: NFC, LF. Its hash never changes; the text may be missing, or at
    hand to check quotes with but shown to checkers alone.
    """

    __tablename__ = "snapshots"
    __table_args__ = (UniqueConstraint("source_id", "sha256"),)
    noun: ClassVar[str] = "snapshot"
    off_ledger: ClassVar[frozenset[str]] = frozenset({"text"})

    source_id: str = Field(sa_type=Id, foreign_key="sources.id")
    sha256: str = Field(sa_type=Id)
    length: int = Field(sa_type=BigInteger)
    retrieved_at: datetime = Field(sa_type=Instant)
    text_withheld: bool
    text_at_hand: bool
    text: str | None = Field(default=None, sa_type=Text)
    erased: dict[str, Any] | None = Field(default=None, sa_type=Json)


class SnapshotIn(Shape):
    """A text, or only the hash and length of one that may not be kept. `sha256` is of the UTF-8 of the text
    in NFC with LF line ends, and `length` its code points; given with a text, they are checked.
    """

    model_config = example(
        {"text": "The parameters have been finalized.", "retrieved_at": "2023-03-22T09:30:00Z"}
    )

    text: Document | None = None
    sha256: Sha256 | None = None
    length: Count | None = None
    retrieved_at: Annotated[PastMoment | None, Describe(description="Not in the future.")] = None
    text_withheld: Annotated[
        Flag | None,
        Describe(description="True if the text is for checking quotes only and shown to checkers alone."),
    ] = None


class SourceIn(Shape):
    """A published document."""

    model_config = example(
        {
            "url": "https://example.org/2023/03/22/what-was-agreed",
            "title": "What was agreed",
            "publisher": "rfe-rl",
            "authors": ["Reid Standish"],
            "published": "2023-03-22",
            "language": "en",
            "kind": "article",
        }
    )

    url: Url
    title: Line
    publisher: Ref | None = None
    authors: Annotated[list[Line], Describe(max_length=100)] = []
    published: Edtf | None = None
    language: Language | None = None
    kind: SourceKind = "article"
    archive_url: Url | None = None


class NewSourceIn(SourceIn):
    """A published document, with a first snapshot of its text if there is one, and who may see that it is
    here.
    """

    snapshot: Annotated[
        SnapshotIn | None, Describe(description="A first snapshot, archived with it. PATCH has none.")
    ] = None
    visibility: Annotated[
        Visibility | None, Describe(description="By default what the server has set; PATCH leaves it.")
    ] = None


class SourceQuestion(Question):
    """Filters of the list of sources; a repeated one means any of its values."""

    q: Words = None
    url: Annotated[list[str], Describe(description="In any spelling.")] = []
    publisher: Annotated[list[Ref], Describe(description="Its id or slug.")] = []
    kind: Annotated[list[SourceKind], Describe(description="The kind of source.")] = []
    sort: Annotated[Literal["created", "published"], Describe(description="The order.")] = "created"


class SourceBrief(BaseModel):
    """A source as other records show it."""

    id: str
    title: str
    url: str
    publisher: EntityBrief | None


class SourceOut(SourceBrief):
    """One source."""

    authors: list[str]
    published: str | None
    language: str | None
    kind: SourceKind
    archive_url: str | None
    visibility: ShownVisibility = None
    embargoed_until: datetime | None = None
    version: int
    created_at: datetime
    updated_at: datetime


class SourceFound(SourceOut):
    """A source in a list; `match` if the list was searched."""

    match: MatchOut | None = None


class SnapshotOut(BaseModel):
    """A snapshot of a source."""

    id: str
    source: str
    sha256: str
    length: int
    retrieved_at: datetime
    text_withheld: bool
    has_text: Annotated[bool, Describe(description="Its text is kept, so that quotes can be checked in it.")]
    version: int
    created_at: datetime
    updated_at: datetime


class SnapshotText(SnapshotOut):
    """A snapshot with its text, which is null if it is not at hand, or withheld from the caller."""

    text: str | None
