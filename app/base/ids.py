"""Record ids: a prefix that tells the noun, then a time-ordered UUIDv7 in base32 (TypeID 0.3)."""

import re
from contextvars import ContextVar

from typeid import TypeID

NOUNS = {
    "clm": "claim",
    "ent": "entity",
    "src": "source",
    "snp": "snapshot",
    "fig": "figure",
    "evd": "evidence",
    "rev": "review",
    "dec": "decision",
    "lnk": "link",
    "per": "person",
    "key": "key",
    "whk": "webhook",
}
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being answered, if one is."""

_SHAPE = re.compile(r"(?P<prefix>[a-z]{3})_[0-7][0-9a-hjkmnp-tv-z]{25}")


def new_id(prefix: str) -> str:
    """A fresh id, safe to make on any node: `new_id("clm")` is `clm_01m8…`."""
    return str(TypeID(prefix))


def noun_of(text: str) -> str | None:
    """The noun that an id belongs to, or None if `text` is not an id."""
    match = _SHAPE.fullmatch(text)
    return NOUNS.get(match["prefix"]) if match else None
