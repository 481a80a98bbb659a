"""The error tree: every refusal is a Problem, and every Problem has one wire form (RFC 9457).

Problem
├── Malformed             400  the request cannot be read
├── Unauthorized          401  no key, or one that does not count
├── Forbidden             403  the key's role does not reach
├── NotFound              404  no such record or address
├── MethodNotAllowed      405  with Allow
├── NotAcceptable         406  no representation that the client takes
├── RequestTimeout        408  the request did not arrive in time
├── Conflict              409  against a rule of the base, such as a taken name
│   ├── IllegalMove       409  names the moves that are legal
│   └── LedgerReset       409  the ledger is not the one that was followed; with its head
├── PreconditionFailed    412  a condition of the request does not hold
│   └── Stale             412  the record changed since it was read
├── TooLarge              413  the body is over the limit
├── TargetTooLong         414  the address is over the limit
├── UnsupportedMediaType  415  not JSON
├── RangeNotSatisfiable   416  a range beyond the file's end
├── Invalid               422  a value that cannot be; says which, by JSON pointer
├── PreconditionRequired  428  If-Match is missing
├── TooManyRequests       429  more than one client may ask; with Retry-After
├── HeadersTooLarge       431  the headers are over the limit
├── Internal              500  our fault
├── Unavailable           503  the database is away; with Retry-After
│   ├── StorageFull       503  a disk is full, or the directory for temporary files
│   ├── QueryTimeout      503  the question takes the database too long
│   ├── Busy              503  others have what it takes to answer
│   └── Stopping          503  this server is ending, perhaps to come back
└── Full                  503  no more streams can be open; with Retry-After
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypedDict

from rapidfuzz import process
from rapidfuzz.distance import OSA

MOST_ERRORS, MOST_SUGGESTIONS = 20, 3
"""Wrong values that one refusal lists, and those of them for which the nearest known name is looked up."""
_LIKENESS, _LONGEST_NAME = 0.7, 100
"""How alike two names must be for one to be suggested (0 to 1: a letter in four may differ), and how long."""


class Fault(TypedDict):
    """One wrong value: an RFC 6901 pointer into the body, or a parameter's name, and what is wrong."""

    pointer: str
    detail: str


class Problem(Exception):
    """A refusal. `extra` become members of their own in the answer."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong here"

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.extra = extra

    @property
    def told(self) -> str:
        """What is said to whoever runs the server, who may know more than a client."""
        return self.detail

    def document(self, request_id: str | None) -> dict[str, Any]:
        """The `application/problem+json` body."""
        body: dict[str, Any] = {
            "type": f"/problems#{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.errors:
            body["errors"] = self.errors
        return body | self.extra


class Malformed(Problem):
    """The request could not be read: broken JSON, a cursor that is not ours, a bad header."""

    status, slug, title = 400, "malformed", "The request cannot be read"


class Unauthorized(Problem):
    """No API key was sent where one is needed, or the key is unknown, expired or revoked."""

    status, slug, title = 401, "unauthorized", "A valid key is needed"

    def __init__(self, detail: str) -> None:
        # RFC 6750 wants a parameter; httplib2 fails on a scheme alone, and its users never see the 401.
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="On the Record"'})


class Forbidden(Problem):
    """The key is good, but its role does not reach this far."""

    status, slug, title = 403, "forbidden", "This key may not do that"


class NotFound(Problem):
    """Nothing is kept under that id, slug or address."""

    status, slug, title = 404, "not-found", "There is no such thing here"


class MethodNotAllowed(Problem):
    """The address exists, but not with that method; `Allow` lists those that do."""

    status, slug, title = 405, "method-not-allowed", "Not with that method"


class NotAcceptable(Problem):
    """The client accepts none of the forms that this address has."""

    status, slug, title = 406, "not-acceptable", "No form of it that you accept"


class RequestTimeout(Problem):
    """The client sent nothing more of its request, or too slowly. The connection is closed."""

    status, slug, title = 408, "request-timeout", "The request did not arrive in time"


class Conflict(Problem):
    """The request goes against a rule of the base: a slug or URL that is taken, a merge that loops."""

    status, slug, title = 409, "conflict", "Against what the base holds"


class IllegalMove(Conflict):
    """The claim's standing does not allow that move; `legal_moves` lists those it does."""

    slug, title = "illegal-move", "Not a legal move now"


class LedgerReset(Conflict):
    """You are ahead of the ledger, or have followed another one: a backup was restored. `head` has the `seq`
    and `hash` of the last entry that there is. Undo what you took from entries that are gone, or begin anew.
    """

    slug, title = "ledger-reset", "The ledger is not the one that you followed"

    def __init__(self, detail: str, head: Mapping[str, Any]) -> None:
        super().__init__(detail, head=head)


class PreconditionFailed(Problem):
    """A condition of the request does not hold: what is here is not what `If-Match` names, or is what
    `If-None-Match` names.
    """

    status, slug, title = 412, "precondition-failed", "Precondition Failed"


class Stale(PreconditionFailed):
    """The record has another version than the one in If-Match: read it again, then decide."""

    status, slug, title = 412, "stale", "The record has changed since you read it"


class TooLarge(Problem):
    """The body is larger than this server reads."""

    status, slug, title = 413, "too-large", "The body is too large"


class TargetTooLong(Problem):
    """The address, with its query, is longer than this server reads."""

    status, slug, title = 414, "uri-too-long", "URI Too Long"


class UnsupportedMediaType(Problem):
    """Bodies are `application/json`, or `application/merge-patch+json` in a PATCH."""

    status, slug, title = 415, "unsupported-media-type", "Not a type that is read here"


class RangeNotSatisfiable(Problem):
    """The range begins where the file has ended; `size` is how many bytes it has."""

    status, slug, title = 416, "range-not-satisfiable", "Beyond the end of the file"

    def __init__(self, detail: str, *, size: int) -> None:
        super().__init__(detail, headers={"Content-Range": f"bytes */{size}"}, size=size)


class Invalid(Problem):
    """A value is wrong; `errors` names each by its pointer, the first 20 of them, and `more_errors` says how
    many more there are.
    """

    status, slug, title = 422, "invalid", "A value is wrong"

    @classmethod
    def at(cls, pointer: str, detail: str, **extra: Any) -> "Invalid":
        """One wrong value at one place."""
        where = pointer or "The body"
        return cls(f"{where}: {detail}", errors=[{"pointer": pointer, "detail": detail}], **extra)

    @classmethod
    def of(cls, errors: Sequence[Fault], total: int) -> "Invalid":
        """Return the refusal of several wrong values, of which `errors` has the first. `total` is how many
        there are in all.
        """
        first = errors[0]
        more = f" ({total - 1} more)" if total > 1 else ""
        left_out: dict[str, Any] = {"more_errors": total - MOST_ERRORS} if total > MOST_ERRORS else {}
        where = first["pointer"] or "The body"
        return cls(f"{where}: {first['detail']}{more}", errors=errors[:MOST_ERRORS], **left_out)

    @classmethod
    def under(cls, place: str, fault: Problem) -> "Invalid":
        """Return the refusal of a part, told of the whole: `place`, a pointer, is where that part is."""
        errors: list[Fault] = [{**each, "pointer": place + each["pointer"]} for each in fault.errors]
        if not errors:
            return cls(fault.detail)
        return cls.of(errors, len(errors) + fault.extra.get("more_errors", 0))


class PreconditionRequired(Problem):
    """A change needs If-Match with the ETag of the version it is based on."""

    status, slug, title = 428, "precondition-required", "If-Match is missing"


class TooManyRequests(Problem):
    """One client asked for more than it may: try again after `Retry-After` seconds. `RateLimit-Policy` says
    how much it may ask.
    """

    status, slug, title = 429, "too-many-requests", "You ask too much at once"

    def __init__(
        self, detail: str, retry_after: int, policies: Sequence[str], headers: Mapping[str, str]
    ) -> None:
        more: dict[str, Any] = {"violated-policies": policies}
        super().__init__(detail, headers={**headers, "Retry-After": str(retry_after)}, **more)


class HeadersTooLarge(Problem):
    """The request's line and headers are larger than this server reads."""

    status, slug, title = 431, "headers-too-large", "The headers are too large"


class Internal(Problem):
    """A fault of this server. Nothing was written. The request id finds it in the log."""

    status, slug, title = 500, "internal", "Something went wrong here"


class Unavailable(Problem):
    """The database cannot be reached. Nothing was written, unless `detail` says that this is not known. Try
    again after `Retry-After` seconds.
    """

    status, slug, title = 503, "unavailable", "The database is away"

    def __init__(self, detail: str, retry_after: int = 2, *, cause: str = "") -> None:
        """`cause` is for the log and the command line alone."""
        super().__init__(detail, headers={"Retry-After": str(retry_after)})
        self.cause = cause

    @property
    def told(self) -> str:
        """The detail and the cause."""
        return f"{self.detail.rstrip('.')}: {self.cause}" if self.cause else self.detail


class StorageFull(Unavailable):
    """A disk of this server is full, or its directory for temporary files. Nothing was written. Try again
    after `Retry-After` seconds.
    """

    slug, title = "storage-full", "Service Unavailable"

    def __init__(self, detail: str, retry_after: int = 10, *, cause: str = "") -> None:
        super().__init__(detail, retry_after, cause=cause)


class QueryTimeout(Unavailable):
    """To answer would keep the database for longer than one request may have it. `detail` says what to
    narrow; the same request again will most likely end the same way.
    """

    slug, title = "query-timeout", "The query takes too long"

    def __init__(self, detail: str, retry_after: int = 30) -> None:
        super().__init__(detail, retry_after)


class Busy(Unavailable):
    """Other requests have all of what this one needs. Nothing was written. Try again after `Retry-After`
    seconds.
    """

    slug, title = "busy", "The server is busy"


class Stopping(Unavailable):
    """This server was told to stop, and ended before the answer. Whether anything was written is not known:
    with the same `Idempotency-Key` it is safe to send the request again.
    """

    slug, title = "stopping", "This server is stopping"


class Full(Problem):
    """As many streams are open as this server keeps. Try again after `Retry-After` seconds, or ask
    `/v1/changes` from time to time.
    """

    status, slug, title = 503, "full", "Too many streams are open"

    def __init__(self, detail: str, retry_after: int = 10) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


def tree(root: type[Problem] = Problem) -> Iterator[type[Problem]]:
    """Every kind of problem, most general first."""
    for kind in root.__subclasses__():
        yield kind
        yield from tree(kind)


def pointer(path: Iterable[str | int]) -> str:
    """Return an RFC 6901 JSON pointer. Of a name that is too long to be told back, it has the beginning."""
    return "".join("/" + short(str(step)).replace("~", "~0").replace("/", "~1") for step in path)


def short(name: str) -> str:
    """Return what was sent as a name, at most 100 characters of it."""
    return name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "…"


_RENAMED = {"noun": "type"}
"""Names of before, and what each is called now."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'speaker'?`, or the list of what is known."""
    known = sorted(known)
    if (now := _RENAMED.get(name)) in known:
        return f"; it is now called {now!r}"
    if (close := closest(name, known)) is not None:
        return f"; did you mean {close!r}?"
    return f"; known here: {', '.join(known)}" if known else "; none is known here"


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` most likely misspells, in any case, or None if none is like it."""
    if len(name) > _LONGEST_NAME:
        return None
    found = process.extractOne(
        name, list(known), scorer=OSA.normalized_similarity, processor=str.casefold, score_cutoff=_LIKENESS
    )
    return found[0] if found else None
