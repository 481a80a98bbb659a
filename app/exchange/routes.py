"""Files over HTTP."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any

import orjson
from fastapi import Query, Response

from app.access.model import Role
from app.access.requests import Importing, Reading
from app.base.body import HTML, LINKED, media_type
from app.base.errors import Conflict, Fault, Forbidden, Invalid, UnsupportedMediaType
from app.base.http import produces, respond, v1
from app.base.openapi import answers, document_answers, refused
from app.exchange.bundle import bundle
from app.exchange.lines import of_file
from app.exchange.records import Form, KeepNothing, Results
from app.exchange.rows import Result
from app.exchange.shapes import ImportOut, ImportQuestion

router, of_claims = v1("files"), v1("claims")

MAX_ROWS, MAX_REFUSED_SHOWN = 50_000, 100

_FORMS: Mapping[str, Form] = {
    "application/x-ndjson": "ndjson",
    "text/csv": "csv",
    LINKED: "jsonld",
    HTML: "html",
}
_NDJSON = (
    '{"claim": {"text": "The parameters have been finalized.", "mode": "paraphrase", "speakers": ["Xi"]}}'
)
_CSV = "text,mode,speaker\nThe parameters have been finalized.,paraphrase,Xi Jinping"
_CLAIM_REVIEW: dict[str, Any] = {
    "@context": "https://schema.org",
    "@type": "ClaimReview",
    "url": "https://desk.example.org/checks/1",
    "author": {"@type": "Organization", "name": "The Desk"},
    "claimReviewed": "The parameters have been finalized.",
    "itemReviewed": {"@type": "Claim", "author": {"@type": "Person", "name": "Xi Jinping"}},
    "reviewRating": {"@type": "Rating", "alternateName": "Mostly false"},
}
_PAGE = f'<script type="application/ld+json">{orjson.dumps(_CLAIM_REVIEW).decode()}</script>'
FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {"schema": {"type": "string", "examples": [_NDJSON]}},
            "text/csv": {"schema": {"type": "string", "examples": [_CSV]}},
            LINKED: {"schema": {"examples": [_CLAIM_REVIEW]}},
            HTML: {"schema": {"type": "string", "examples": [_PAGE]}},
        },
    }
}


@router.post("/import", responses=answers(ImportOut), operation_id="import_file", openapi_extra=FILE)
def import_file(ask: Annotated[ImportQuestion, Query()], write: Importing) -> Response:
    """Brings in claims, entities, sources and texts from NDJSON or CSV, and says what became of each row.
    What is here already stays as it is. If a row is refused, nothing is kept (422), unless `mode` is `good`.
    Reviews of other desks come as ClaimReview, in JSON-LD or a page (role checker).
    """
    media = media_type(write.request.headers.get("content-type", ""))
    form = _FORMS.get(media, "ndjson")
    role = write.role or Role.reader
    if form in ("jsonld", "html") and role < Role.checker:
        raise Forbidden("What another desk has published is entered with the role checker, or one above.")
    results = Results(ask, write.settings, by=write.by, role=role)
    if not media:  # with its type, a file of no rows is a file; without, it was forgotten
        raise UnsupportedMediaType(f"Send a file, as {' or '.join(_FORMS)}.")
    results.read(of_file(write.file), form, MAX_ROWS)
    with suppress(KeepNothing), write as session:
        results.start(session)
        rows = list(results)
        if results.counts["refused"] and ask.mode == "all" and not ask.dry_run:
            raise _refused([row for row in rows if row.outcome == "refused"])
        answer = write.answer(_document(results, rows))
        if not results.kept:
            raise KeepNothing
    return answer


def _document(results: Results, rows: Sequence[Result]) -> dict[str, Any]:
    counts = {outcome: results.counts[outcome] for outcome in ("created", "unchanged", "refused")}
    return {
        "mode": results.ask.mode,
        "dry_run": results.ask.dry_run,
        **counts,
        "results": [_row(row) for row in rows],
    }


def _row(row: Result) -> dict[str, Any]:
    return {**asdict(row), "made": [made.model_dump() for made in row.made]}


def _refused(rows: Sequence[Result]) -> Invalid:
    shown = rows[:MAX_REFUSED_SHOWN]
    errors: list[Fault] = [
        {"pointer": fault["pointer"], "detail": f"line {row.line}: {fault['detail']}"}
        for row in shown
        for fault in row.errors
    ]
    count = "1 row is" if len(rows) == 1 else f"{len(rows)} rows are"
    detail = f"{count} refused, so that nothing was kept; the first is on line {rows[0].line}."
    return Invalid(detail, errors=errors, refused=len(rows), results=[_row(row) for row in shown])


@of_claims.get(
    "/claims/{claim_id}/bundle",
    response_class=Response,
    responses={**document_answers(LINKED, "object", "A signed JSON-LD document."), **refused(Conflict)},
    operation_id="get_claim_bundle",
)
@produces(LINKED)
def get_claim_bundle(claim_id: str, read: Reading) -> Response:
    """One claim as a signed file that proves itself: with its quotes, rulings and evidence, the changes that
    they follow from, and the proof that these are in the log. `python -m app verify` checks it offline.
    """
    with read as session:
        body = orjson.dumps(bundle(session, read.house.signer, claim_id))
    return respond(read.request, body, headers=read.cache, media=LINKED)
