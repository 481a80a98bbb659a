"""Search over HTTP."""

from typing import Annotated

from fastapi import Query, Response

from app.access.requests import Read, Reading
from app.base.http import at_once, v1
from app.base.openapi import listed
from app.search import store
from app.search.model import HitOut, SearchQuestion

router = v1("search")


def _search_at_once(read: Read) -> Response:
    return read.page_at_once(SearchQuestion, store.find_at_once)


@router.get("/search", responses=listed(HitOut), operation_id="search")
@at_once(_search_at_once)
def search(ask: Annotated[SearchQuestion, Query()], read: Reading) -> Response:
    """Claims, entities, sources and figures by words and names in any script, the best match first, with
    where the words stand and why each was found.
    """
    with read as session:
        found = store.find(session, ask, read.after(ask))
        return read.page(ask, found.rows, found.last)
