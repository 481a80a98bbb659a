"""The ledger over HTTP, and the proofs that it was only ever added to."""

import re
from collections.abc import Callable
from typing import Annotated

from fastapi import Header, Query, Response
from starlette.concurrency import run_in_threadpool

from app.access.caller import Caller
from app.access.model import Role
from app.access.requests import Read, ReadingNow
from app.base.errors import Conflict, Invalid, LedgerReset, Unauthorized
from app.base.http import EVENTS, produces, respond, v1
from app.base.openapi import answers, document_answers, listed, refused
from app.base.types import MAX_INT
from app.changes import log
from app.changes.ledger import head
from app.changes.log import ConsistencyOut, ConsistencyQuestion, InclusionOut, InclusionQuestion
from app.changes.model import ChangeFilters, ChangeOut, ChangeQuestion, StreamQuestion
from app.changes.reads import Place, places, since
from app.changes.replicas import Nearest
from app.changes.streams import Events, Told

router, of_log = v1("changes"), v1("log")
TEXT = "text/plain"


_SEEN = re.compile("([0-9]{1,16})(?::([0-9a-f]{64}))?")
"""A `Last-Event-ID`."""


@router.get(
    "/changes",
    responses={**listed(ChangeOut), **refused(LedgerReset)},
    operation_id="list_changes",
)
def list_changes(ask: Annotated[ChangeQuestion, Query()], read: ReadingNow) -> Response:
    """Every change since `after`, oldest first, with no gap in `seq`: keep the last `seq` and its `hash` that
    you have seen and ask again with both. Where the ledger does not have that entry, since a backup was
    restored, the answer is 409 with the ledger's `head`.
    """
    _check_hash(ask)
    _check_names(ask, read)
    if isinstance(read.base, Nearest):
        read.base.need(max((place.seq for place in places(ask, read.after(ask))), default=0))

    def answer() -> Response:
        with read as session:
            found = since(session, ask, read.after(ask), secrets=read.caller.has(Role.admin))
            return read.page(ask, found.rows, found.last)

    return _decided(read, answer)


def _decided(read: Read, answer: Callable[[], Response]) -> Response:
    """Return an answer. What a standby refuses is asked of the primary, which may be ahead of it."""
    try:
        return answer()
    except (Conflict, Invalid):
        if read.base == (primary := read.house.primary(public=not read.caller.inside)):
            raise
    read.request.state.base = primary
    return answer()


def _check_hash(ask: ChangeFilters) -> None:
    if ask.after_hash is not None and ask.after is None:
        raise Invalid.at("after_hash", "is the hash of the entry at `after`, which is missing")


def _check_names(ask: ChangeFilters, read: Read) -> None:
    """Refuse a filter that would tell the public who wrote what. Raises Unauthorized."""
    if ask.actor and not read.caller.inside:
        raise Unauthorized("Only holders of a key are told who wrote what: the filter `actor` needs one.")


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
        str | None,
        Header(
            alias="Last-Event-ID",
            pattern=f"^({_SEEN.pattern})?$",
            description="The `id` of the last event that was seen. Goes before `after`.",
        ),
    ] = None,
) -> Response:
    """Every change as it is made: Server-Sent Events. They go on after `Last-Event-ID`, else after `after`,
    else from now on; a first event, `position`, says where that is. Where the ledger does not have the entry
    that is gone on from, a last event, `reset`, says so.
    """
    _check_hash(ask)
    _check_names(ask, read)
    last_event_id = last_event_id or None  # a client that has seen none may send an empty one
    after = _place(ask, last_event_id)
    if after is None:
        after = await run_in_threadpool(_end, read)

    [gate] = read.request.scope["route"].gates

    async def admitted() -> Told:
        await gate.admit(read.request)  # its key may have ended by now
        caller: Caller = read.request.state.caller
        return Told(public=not caller.inside, secrets=caller.has(Role.admin))

    hashed = ask.after_hash is not None or ":" in (last_event_id or "")
    return Events(read.house.streams, read.client, ask, after, admitted, hashed=hashed)


def _place(ask: StreamQuestion, last_event_id: str | None) -> Place | None:
    """Where a stream goes on, if that was said. Raises Invalid."""
    if last_event_id is None:
        return None if ask.after is None else Place(ask.after, ask.after_hash)
    seen = _SEEN.fullmatch(last_event_id)
    if seen is None or int(seen[1]) > MAX_INT:
        raise Invalid.at("Last-Event-ID", "is no `id` of an event here")
    return Place(int(seen[1]), seen[2])


def _end(read: Read) -> Place:
    with read as session:
        return Place(*head(session))


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

    def answer() -> Response:
        with read as session:
            return read.answer(log.inclusion(session, read.house.signer, ask.seq, ask.size))

    return _decided(read, answer)


@of_log.get(
    "/log/consistency",
    responses={**answers(ConsistencyOut), **refused(LedgerReset)},
    operation_id="prove_consistency",
)
def prove_consistency(ask: Annotated[ConsistencyQuestion, Query()], read: ReadingNow) -> Response:
    """Proves that the log of today begins with that of an earlier day. A checkpoint that this server did not
    sign is refused (422), and one that it signed for another or a longer history too (409).
    """

    def answer() -> Response:
        with read as session:
            return read.answer(log.consistency(session, read.house.signer, ask))

    return _decided(read, answer)
