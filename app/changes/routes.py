"""The ledger over HTTP."""

from typing import Annotated

from fastapi import Query, Response

from app.access.model import Role
from app.access.requests import Reading
from app.base.http import v1
from app.base.openapi import listed
from app.changes.model import ChangeOut, ChangeQuestion
from app.changes.store import since

router = v1("changes")


@router.get("/changes", responses=listed(ChangeOut), operation_id="list_changes")
def list_changes(ask: Annotated[ChangeQuestion, Query()], read: Reading) -> Response:
    """Every change since `after`, oldest first, with no gap in `seq`: keep the last `seq` that you have
    seen and ask again with it.
    """
    with read as session:
        found = since(session, ask, read.after(ask), secrets=read.role == Role.admin)
        return read.page(ask, found.rows, found.last)
