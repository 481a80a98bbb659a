"""Entities: tables and the shapes of input and output."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, StringConstraints
from pydantic import Field as Describe
from sqlalchemy import Text, UniqueConstraint
from sqlmodel import Field

from app.base.page import Question, Words
from app.base.types import Edtf, Id, Json, Language, Line, Prose, Shape, Slug, example, one_of
from app.changes.model import Part, Record
from app.words.explain import MatchOut

EntityKind = Literal["person", "organization", "country", "place", "project", "document", "event", "concept"]
AliasKind = Literal["name", "transliteration", "abbreviation", "metonym", "former"]

Ref = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    Describe(description="An id or a slug.", examples=["vladimir-putin"]),
]


# --- tables ------------------------------------------------------------------------------------


class EntityAlias(Part, table=True):
    """Another name that the entity goes by."""

    __tablename__ = "entity_aliases"
    __table_args__ = (one_of("kind", get_args(AliasKind)),)
    owner: ClassVar[str] = "entity_id"

    entity_id: str = Field(primary_key=True, sa_type=Id, foreign_key="entities.id")
    position: int = Field(primary_key=True)
    name: str = Field(sa_type=Text, index=True)
    language: str | None = Field(default=None, sa_type=Text)
    kind: str = Field(sa_type=Text)


class EntityExternalId(Part, table=True):
    """The entity's id in another register."""

    __tablename__ = "entity_external_ids"
    __table_args__ = (UniqueConstraint("scheme", "value"),)
    owner: ClassVar[str] = "entity_id"

    entity_id: str = Field(primary_key=True, sa_type=Id, foreign_key="entities.id")
    position: int = Field(primary_key=True)
    scheme: str = Field(sa_type=Id)
    value: str = Field(sa_type=Id)


class Affiliation(Part, table=True):
    """A title that the entity holds at an organization over a period."""

    __tablename__ = "affiliations"
    owner: ClassVar[str] = "entity_id"

    entity_id: str = Field(primary_key=True, sa_type=Id, foreign_key="entities.id")
    position: int = Field(primary_key=True)
    organization_id: str = Field(sa_type=Id, foreign_key="entities.id", index=True)
    title: str = Field(sa_type=Text)
    period: str | None = Field(default=None, sa_type=Text)


class Entity(Record, table=True):
    """Who or what claims are made by and about. `canonical_id` is where its chain of merges ends: its
    own id, unless it was merged into another.
    """

    __tablename__ = "entities"
    __table_args__ = (one_of("kind", get_args(EntityKind)),)
    noun: ClassVar[str] = "entity"
    parts: ClassVar[Mapping[str, type[Part]]] = {
        "aliases": EntityAlias,
        "external_ids": EntityExternalId,
        "affiliations": Affiliation,
    }

    slug: str = Field(sa_type=Id, unique=True)
    kind: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text, index=True)
    description: str | None = Field(default=None, sa_type=Text)
    merged_into_id: str | None = Field(default=None, sa_type=Id, foreign_key="entities.id")
    canonical_id: str = Field(sa_type=Id, foreign_key="entities.id", index=True)
    erased: dict[str, Any] | None = Field(default=None, sa_type=Json)


# --- in ----------------------------------------------------------------------------------------


class AliasIn(Shape):
    """Another name, in any script."""

    name: Line
    language: Language | None = None
    kind: AliasKind = "name"


class ExternalIdIn(Shape):
    """An id in another register, such as `wikidata` `Q7747`."""

    scheme: Slug
    value: Line


class AffiliationIn(Shape):
    """A title held at an organization (an entity) over an EDTF period."""

    organization: Ref
    title: Line
    period: Edtf | None = None


class EntityIn(Shape):
    """An entity. Without a slug, one is made of its name."""

    model_config = example(
        {
            "kind": "person",
            "name": "Dmitry Medvedev",
            "description": "President of Russia from 2008 to 2012.",
            "aliases": [{"name": "Дмитрий Медведев", "language": "ru"}],
            "external_ids": [{"scheme": "wikidata", "value": "Q23530"}],
            "affiliations": [
                {"organization": "russia", "title": "President", "period": "2008-05-07/2012-05-07"}
            ],
        }
    )

    slug: Slug | None = None
    kind: EntityKind
    name: Line
    description: Prose | None = None
    aliases: Annotated[list[AliasIn], Describe(max_length=500)] = []
    external_ids: Annotated[list[ExternalIdIn], Describe(max_length=100)] = []
    affiliations: Annotated[list[AffiliationIn], Describe(max_length=100)] = []


class MergeIn(Shape):
    """The entity that this one is the same as."""

    model_config = example({"into": "vladimir-putin", "reason": "Two spellings of one name."})

    into: Ref
    reason: Prose | None = None


class EntityQuestion(Question):
    """Filters of the list of entities; a repeated one means any of its values."""

    q: Words = None
    kind: Annotated[list[EntityKind], Describe(description="The kind of entity.")] = []
    external_id: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+:.+$")]],
        Describe(description="`scheme:value`, such as `wikidata:Q7747`."),
    ] = []


# --- out ---------------------------------------------------------------------------------------


class EntityBrief(BaseModel):
    """An entity as other records show it."""

    id: str
    slug: str
    name: str


class AliasOut(BaseModel):
    """Another name; those of entities merged into this one are among them."""

    name: str
    language: str | None
    kind: AliasKind


class ExternalIdOut(BaseModel):
    """An id in another register."""

    scheme: str
    value: str


class AffiliationOut(BaseModel):
    """A title held at an organization."""

    organization: EntityBrief
    title: str
    period: str | None


class EntityOut(BaseModel):
    """One entity."""

    id: str
    slug: str
    kind: EntityKind
    name: str
    description: str | None
    aliases: list[AliasOut]
    external_ids: list[ExternalIdOut]
    affiliations: list[AffiliationOut]
    merged_into: EntityBrief | None
    version: int
    created_at: datetime
    updated_at: datetime


class EntityFound(EntityOut):
    """An entity in a list; `match` if the list was searched."""

    match: MatchOut | None = None
