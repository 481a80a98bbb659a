"""What the service is compared with, each a server of its own: `python -m bench.rivals starlette FILES`,
`fastapi FILES`, `afternoon URL`. It prints its port and serves on the loopback address.

Datasette is a rival too; it is started by its own command.
"""

import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi import Response as FastAPIResponse
from sqlalchemy.orm import registry, selectinload
from sqlmodel import Field, Relationship, Session, SQLModel, col, create_engine, select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

JSON = "application/json"

# --- the limit: the same bytes, made beforehand -------------------------------------------------


def bare_starlette(directory: Path) -> Starlette:
    """Routes that look at nothing and answer with the bytes of a file."""
    one, many = ((directory / name).read_bytes() for name in ("claim", "page"))

    async def claim(_request: Request) -> Response:
        return Response(one, media_type=JSON)

    async def page(_request: Request) -> Response:
        return Response(many, media_type=JSON)

    return Starlette(routes=[Route("/v1/claims/{claim_id}", claim), Route("/v1/claims", page)])


def bare_fastapi(directory: Path) -> FastAPI:
    """The same in FastAPI."""
    one, many = ((directory / name).read_bytes() for name in ("claim", "page"))
    app = FastAPI()

    @app.get("/v1/claims/{claim_id}")
    async def claim(claim_id: str) -> FastAPIResponse:  # noqa: ARG001 (the path's)
        return FastAPIResponse(one, media_type=JSON)

    @app.get("/v1/claims")
    async def page() -> FastAPIResponse:
        return FastAPIResponse(many, media_type=JSON)

    return app


# --- the afternoon's work: FastAPI and SQLModel as their tutorials have it ----------------------


class Base(SQLModel, registry=registry()):
    """Has a registry of its own, so that the service's schema knows nothing of these tables."""


class ClaimSpeaker(Base, table=True):
    """Who makes a claim."""

    __tablename__ = "afternoon_claim_speaker"
    claim_id: str = Field(primary_key=True, foreign_key="afternoon_claim.id")
    entity_id: str = Field(primary_key=True, foreign_key="afternoon_entity.id", index=True)


class EntityBase(Base):
    """An entity's fields."""

    slug: str = Field(index=True, unique=True)
    name: str


class Entity(EntityBase, table=True):
    """An entity."""

    __tablename__ = "afternoon_entity"
    id: str = Field(primary_key=True)
    claims: list["Claim"] = Relationship(back_populates="speakers", link_model=ClaimSpeaker)


class SourceBase(Base):
    """A source's fields."""

    url: str
    title: str


class Source(SourceBase, table=True):
    """A source."""

    __tablename__ = "afternoon_source"
    id: str = Field(primary_key=True)
    publisher_id: str | None = Field(foreign_key="afternoon_entity.id", index=True)
    publisher: Entity | None = Relationship()


class FigureBase(Base):
    """A figure's fields."""

    measure: str
    value: float
    unit: str
    comparator: str
    kind: str
    period: str | None


class Figure(FigureBase, table=True):
    """A figure."""

    __tablename__ = "afternoon_figure"
    id: str = Field(primary_key=True)
    claim_id: str = Field(foreign_key="afternoon_claim.id", index=True)
    claim: "Claim" = Relationship(back_populates="figures")


class ClaimBase(Base):
    """A claim's fields."""

    text: str
    mode: str
    kind: str
    language: str | None
    said: str | None = Field(index=True)
    status: str = Field(index=True)
    verdict: str | None
    attribution: str
    agreement: str | None
    reviewed_at: str | None
    version: int
    created_at: str
    updated_at: str


class Claim(ClaimBase, table=True):
    """A claim."""

    __tablename__ = "afternoon_claim"
    id: str = Field(primary_key=True)
    source_id: str | None = Field(foreign_key="afternoon_source.id", index=True)
    source: Source | None = Relationship()
    speakers: list[Entity] = Relationship(back_populates="claims", link_model=ClaimSpeaker)
    figures: list[Figure] = Relationship(back_populates="claim")


class EntityRead(EntityBase):
    """An entity as it is shown."""

    id: str


class SourceRead(SourceBase):
    """A source as it is shown."""

    id: str
    publisher: EntityRead | None


class FigureRead(FigureBase):
    """A figure as it is shown."""

    id: str


class ClaimRead(ClaimBase):
    """A claim as it is shown."""

    id: str
    speakers: list[EntityRead]
    source: SourceRead | None
    figures: list[FigureRead]


COPY = (
    "INSERT INTO afternoon_entity (id, slug, name) SELECT id, slug, name FROM entities",
    """INSERT INTO afternoon_source (id, url, title, publisher_id)
       SELECT id, url, title, publisher_id FROM sources""",
    """INSERT INTO afternoon_claim (id, text, mode, kind, language, said, status, verdict, attribution,
         agreement, reviewed_at, version, created_at, updated_at, source_id)
       SELECT id, text, mode, kind, language, said, status, verdict, attribution, agreement,
         CAST(reviewed_at AS TEXT), version, CAST(created_at AS TEXT), CAST(updated_at AS TEXT), source_id
       FROM claims LEFT JOIN appearances ON claim_id = id AND position = 0""",
    """INSERT INTO afternoon_claim_speaker (claim_id, entity_id)
       SELECT claim_id, entity_id FROM claim_speakers""",
    """INSERT INTO afternoon_figure (id, claim_id, measure, value, unit, comparator, kind, period)
       SELECT id, claim_id, measure, value_number, unit, comparator, kind, period FROM figures""",
)
"""Fills these tables from the service's, in the same database or in one that is attached to it."""


def afternoon(url: str) -> FastAPI:
    """One claim, and a page of claims by speaker and status, newest first."""
    sqlite = url.startswith("sqlite")
    engine = create_engine(url, connect_args={"check_same_thread": False} if sqlite else {})
    app = FastAPI()
    whole = (
        selectinload(Claim.speakers),  # type: ignore[arg-type]
        selectinload(Claim.source).selectinload(Source.publisher),  # type: ignore[arg-type]
        selectinload(Claim.figures),  # type: ignore[arg-type]
    )

    def get_session() -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    opened = Annotated[Session, Depends(get_session)]

    @app.get("/v1/claims/{claim_id}", response_model=ClaimRead)
    def get_claim(claim_id: str, session: opened) -> Claim:
        claim = session.exec(select(Claim).where(Claim.id == claim_id).options(*whole)).first()
        if claim is None:
            raise HTTPException(status_code=404, detail="Claim not found")
        return claim

    @app.get("/v1/claims", response_model=list[ClaimRead])
    def list_claims(
        session: opened, speaker: str, status: str, offset: int = 0, limit: int = 20
    ) -> Sequence[Claim]:
        query = (
            select(Claim)
            .join(ClaimSpeaker)
            .join(Entity)
            .where(Entity.slug == speaker, Claim.status == status)
            .order_by(col(Claim.said).desc(), col(Claim.id).desc())
        )
        return session.exec(query.options(*whole).offset(offset).limit(limit)).all()

    return app


# --- serving -----------------------------------------------------------------------------------


def serve(app: ASGIApp) -> None:
    """Serves as the service itself does, with its port on standard output."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", server_header=False)
    listening = config.bind_socket()
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listening])


def main() -> None:
    """Serves the rival that is named."""
    name, place = sys.argv[1:]
    match name:
        case "starlette":
            serve(bare_starlette(Path(place)))
        case "fastapi":
            serve(bare_fastapi(Path(place)))
        case "afternoon":
            serve(afternoon(place))
        case _:
            sys.exit(f"There is no rival {name}.")


if __name__ == "__main__":
    main()
