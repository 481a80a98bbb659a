"""Header fields as RFC 9110 has them read: lists however many lines they come in, weights and entity tags.

Nothing here knows a route.
"""

import re
from collections.abc import Mapping, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from app.base.errors import Malformed

Header = tuple[bytes, bytes]

LISTS = frozenset(
    b"accept accept-encoding accept-language cache-control content-encoding forwarded if-match if-none-match"
    b" prefer x-forwarded-for".split()
)
"""Fields whose lines are one list, wherever it was cut (RFC 9110, section 5.3)."""

SINGLE = frozenset(
    b"authorization content-type idempotency-key if-range last-event-id range record-position x-api-key"
    b" x-http-method-override".split()
)
"""Fields that have one value: two lines that differ would mean one thing here and another to a proxy."""

MOST_MEMBERS = 100
"""How many members of a list are read."""

CODINGS = ("zstd", "br", "gzip")
"""The content codings of answers, the best first."""

COMPRESSED_FROM = 500
"""The size in bytes from which an answer is compressed."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\(?:.|$))*(?:"|$)', re.DOTALL)
_WEIGHT = re.compile(r"q=([01](?:\.\d*)?)")
_TAG = re.compile(r'[ \t]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,[ \t,]*|$)')
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)(/.*)?", re.IGNORECASE | re.DOTALL)


class Received:
    """Pure ASGI, around all else: brings a request into one form. The lines of a list are joined, and a
    target in absolute form (RFC 9112, section 3.2.2) becomes a path on the host that it names.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the request."""
        if scope["type"] == "http":
            scope["headers"] = joined(scope["headers"])
            if not scope["path"].startswith("/"):
                scope.update(_relative(scope))
        await self.app(scope, receive, send)


def joined(headers: Sequence[Header]) -> list[Header]:
    """Return the header with one line for each list."""
    found: dict[bytes, list[bytes]] = {}
    rest = []
    for name, value in headers:
        if name in LISTS:
            found.setdefault(name, []).append(value)
        else:
            rest.append((name, value))
    return [*rest, *((name, b", ".join(lines)) for name, lines in found.items())]


def _relative(scope: Scope) -> Mapping[str, object]:
    """Return what a request says with its target in origin form; nothing if it has no such form."""
    found = _ABSOLUTE.fullmatch(scope["raw_path"])
    if found is None:
        return {}
    raw = found[2] or (b"*" if scope["method"] == "OPTIONS" else b"/")
    path = scope["path"].partition("://")[2].partition("/")[2]
    host = [(b"host", found[1]), *(each for each in scope["headers"] if each[0] != b"host")]
    return {"raw_path": raw, "path": f"/{path}" if raw != b"*" else "*", "headers": host}


def check_single(headers: Sequence[Header]) -> None:
    """Raise Malformed for a field that has one value and came with two."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in SINGLE and found.setdefault(name, value) != value:
            raise Malformed(f"{name.decode().title()} was sent twice, with different values.")


def weights(field: str) -> dict[str, float]:
    """Return the weight of each member of a list such as Accept (RFC 9110, section 12.4.2), by its name in
    lower case. Other parameters are not looked at; of a member named twice, the larger weight counts.
    """
    if '"' in field:
        field = _QUOTED.sub('""', field)
    found: dict[str, float] = {}
    for member in field.lower().split(",", MOST_MEMBERS)[:MOST_MEMBERS]:
        name, *parameters = (piece.strip() for piece in member.split(";"))
        weight = next((float(w[1]) for each in parameters if (w := _WEIGHT.fullmatch(each))), 1.0)
        if name:
            found[name] = max(found.get(name, 0.0), min(weight, 1.0))
    return found


def accepts(accept: str, media: str) -> bool:
    """Return whether a client takes a media type (RFC 9110, section 12.5.1): the most specific range decides.
    `application/json` stands for every type that is JSON (RFC 6839).
    """
    named = weights(accept)
    json = ("application/json",) if media.endswith("+json") else ()
    ranges = (media, *json, f"{media.partition('/')[0]}/*", "*/*")
    return not named or next((named[each] for each in ranges if each in named), 0.0) > 0


def chosen_coding(accept_encoding: str, offered: Sequence[str] = CODINGS) -> str | None:
    """Return the content coding that a client likes best (RFC 9110, section 12.5.3); None for none."""
    named = weights(accept_encoding)
    liked = {each: named.get(each, named.get(f"x-{each}", named.get("*", 0.0))) for each in offered}
    best = max(offered, key=lambda each: liked[each])
    return best if liked[best] > 0 and liked[best] >= named.get("identity", 0.0) else None


def coded(tag: str, coding: str | None) -> str:
    """Return the entity tag of an answer in a content coding: each coding has its own (RFC 9110, section
    8.8.3.3).
    """
    return f'{tag[:-1]}-{coding}"' if coding else tag


def entity_tags(field: str) -> list[tuple[bool, str]] | None:
    """Return the tags of If-Match or If-None-Match, each with whether it is weak, and in its quotes; None for
    `*`. Raise Malformed for anything else.
    """
    field = field.strip(" \t,")
    if field == "*":
        return None
    found: list[tuple[bool, str]] = []
    at = 0
    while at < len(field) or not found:
        match = _TAG.match(field, at)
        if match is None or len(found) == MOST_MEMBERS:
            raise Malformed(
                'The condition is a list of ETags in double quotes, as answers gave them, or "*".'
            )
        found.append((match[1] is not None, f'"{match[2]}"'))
        at = match.end()
    return found
