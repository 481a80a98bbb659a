"""The conditions of requests that write (RFC 9110, section 13)."""

from collections.abc import Mapping

from app.base.errors import PreconditionFailed, PreconditionRequired, Stale
from app.base.fields import entity_tags
from app.base.http import versions_in


def hold_to_version(headers: Mapping[str, str], version: int, *, needed: bool) -> None:
    """Hold a change to the version that a record has. Raise Stale if If-Match names another,
    PreconditionFailed if If-None-Match names it, and PreconditionRequired without If-Match where that is
    needed.
    """
    if_match, unless = headers.get("if-match"), headers.get("if-none-match")
    wanted = None if if_match is None else versions_in(if_match)
    if wanted is not None and version not in wanted:
        raise Stale(f"It is at version {version} now: read it again.", version=version)
    unwanted = set() if unless is None else versions_in(unless, weak=True)
    if unwanted is None or version in unwanted:
        raise PreconditionFailed(f"It is there, at version {version}: If-None-Match forbids that.")
    if if_match is None and needed:
        raise PreconditionRequired("Send If-Match with the ETag of the version that you have read.")


def hold_to_presence(headers: Mapping[str, str]) -> None:
    """Hold a change that is based on no version to there being something. Raise PreconditionFailed."""
    if_match, unless = headers.get("if-match"), headers.get("if-none-match")
    if if_match is not None and entity_tags(if_match) is not None:
        raise PreconditionFailed("No version can be held to here: leave out If-Match, or send `*`.")
    if unless is not None and entity_tags(unless) is None:
        raise PreconditionFailed("It is there: If-None-Match forbids that.")
