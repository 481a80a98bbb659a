"""Who sees a new record: what was asked for, or else the server's default."""

from app.access.model import Role
from app.access.requests import Write
from app.base.errors import Forbidden
from app.changes.hidden import INTERNAL, Visibility


def is_internal(write: Write, asked: Visibility | None) -> bool:
    """Return whether a new record is internal. Raise Forbidden where a reporter would have one be public that
    would not be by default: to publish is for checkers.
    """
    default = write.settings.default_visibility
    if asked == "public" != default and not write.caller.has(Role.checker):
        raise Forbidden("Here records are internal until a checker, or a role above, publishes them.")
    return (asked or default) == INTERNAL
