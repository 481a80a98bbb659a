"""Figures over HTTP."""

from typing import Annotated

from fastapi import Query, Response

from app.access.requests import Reading
from app.base.http import v1
from app.base.openapi import answers, listed
from app.figures import store
from app.figures.model import FigureFound, FigureInClaim, FigureQuestion

router = v1("figures")


@router.get("/figures", responses=listed(FigureFound), operation_id="list_figures")
def list_figures(ask: Annotated[FigureQuestion, Query()], read: Reading) -> Response:
    """Numbers inside claims, with who says them and how the claim stands, newest first."""
    with read as session:
        found = store.find(session, ask, read.after(ask))
        return read.page(ask, found.rows, found.last)


@router.get("/figures/{figure_id}", responses=answers(FigureInClaim), operation_id="get_figure")
def get_figure(figure_id: str, read: Reading) -> Response:
    """One figure."""
    with read as session:
        return read.answer(store.get(session, figure_id))
