"""The ledger over HTTP, and the proofs that it was only ever added to."""

from typing import Annotated

from fastapi import Header, Query, Response
from starlette.concurrency import run_in_threadpool

from app.access.model import Role
from app.access.requests import Read, ReadingNow
from app.base.http import EVENTS, produces, respond, v1
from app.base.openapi import answers, document_answers, listed
from app.base.types import MAX_INT
from app.changes import log
from app.changes.log import ConsistencyOut, ConsistencyQuestion, InclusionOut, InclusionQuestion
from app.changes.model import ChangeOut, ChangeQuestion, StreamQuestion
from app.changes.reads import since
from app.changes.store import head
from app.changes.streams import Events

router, of_log = v1("changes"), v1("log")
TEXT = "text/plain"


@router.get("/changes", responses=listed(ChangeOut), operation_id="list_changes")
def list_changes(ask: Annotated[ChangeQuestion, Query()], read: ReadingNow) -> Response:
    """Every change since `after`, oldest first, with no gap in `seq`: keep the last `seq` that you have
    seen and ask again with it.
    """
    with read as session:
        found = since(session, ask, read.after(ask), secrets=read.role == Role.admin)
        return read.page(ask, found.rows, found.last)


@router.get(
    "/changes/stream",
    response_class=Response,
    responses=document_answers(
        EVENTS, "string", "`change` events, whose `id` is the entry's `seq` and whose `data` the entry."
    ),
    operation_id="follow_changes",
)
@produces(EVENTS)
async def follow_changes(
    ask: Annotated[StreamQuestion, Query()],
    read: ReadingNow,
    last_event_id: Annotated[
        int | None, Header(alias="Last-Event-ID", ge=0, le=MAX_INT, description="Goes before `after`.")
    ] = None,
) -> Response:
    """Every change as it is made: Server-Sent Events. They go on after `Last-Event-ID`, else after `after`,
    else from now on; a first event, `position`, says where that is.
    """
    after = ask.after if last_event_id is None else last_event_id
    if after is None:
        after = await run_in_threadpool(_end, read)

    [gate] = read.request.scope["route"].gates

    async def sees_keys() -> bool:
        await gate.admit(read.request)  # its key may have ended by now
        return bool(read.request.state.caller[1] == Role.admin)

    return Events(read.house.streams, read.client, ask, after, sees_keys)


def _end(read: Read) -> int:
    with read as session:
        return head(session)[0]


@of_log.get(
    "/log/checkpoint",
    response_class=Response,
    responses=document_answers(TEXT, "string", "A signed note (c2sp.org/tlog-checkpoint)."),
    operation_id="get_checkpoint",
)
@produces(TEXT)
def get_checkpoint(read: ReadingNow) -> Response:
    """A signed checkpoint: how many changes the ledger has now, and the root of their Merkle tree. Keep it:
    by it anyone can show later that none of them was altered, removed or moved.
    """
    with read as session:
        note = log.checkpoint(session, read.house.signer)
    return respond(read.request, note.encode(), headers=read.cache, media=TEXT)


@of_log.get(
    "/log/key",
    response_class=Response,
    responses=document_answers(TEXT, "string", "`name+hash+key` (c2sp.org/signed-note)."),
    operation_id="get_log_key",
)
@produces(TEXT)
def get_log_key(read: ReadingNow) -> Response:
    """The public key that checkpoints and bundles are signed with. Keep it from before you need it."""
    return respond(read.request, f"{read.house.signer.verifier}\n".encode(), headers=read.cache, media=TEXT)


@of_log.get("/log/inclusion", responses=answers(InclusionOut), operation_id="prove_inclusion")
def prove_inclusion(ask: Annotated[InclusionQuestion, Query()], read: ReadingNow) -> Response:
    """Proves that a change is in the log, and at its place."""
    with read as session:
        return read.answer(log.inclusion(session, read.house.signer, ask.seq, ask.size))


@of_log.get("/log/consistency", responses=answers(ConsistencyOut), operation_id="prove_consistency")
def prove_consistency(ask: Annotated[ConsistencyQuestion, Query()], read: ReadingNow) -> Response:
    """Proves that the log of today begins with that of an earlier day. A checkpoint that this server did not
    sign is refused (422), and one that it signed for another history too (409).
    """
    with read as session:
        return read.answer(log.consistency(session, read.house.signer, ask))
