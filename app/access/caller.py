"""The one value that says who asks: made once a request, of the key that was sent, and never changed."""

from dataclasses import dataclass

from app.access.model import Role
from app.base.errors import Forbidden
from app.changes.store import By


@dataclass(frozen=True)
class Caller:
    """A caller: inside, with a role, if they sent a valid key, and of the public otherwise."""

    by: By
    """The person, who is the actor of what they write."""
    role: Role | None = None
    key: str = "anonymous"
    """The id of the key that was sent: what a client has, such as limits and kept answers, goes by that."""

    @property
    def inside(self) -> bool:
        """Return whether a valid key was sent."""
        return self.role is not None

    def has(self, role: Role) -> bool:
        """Return whether the caller has a role, or one above it."""
        return self.role is not None and self.role >= role

    def must_have(self, role: Role) -> None:
        """Hold a caller with a key to a role. Raises Forbidden."""
        if self.inside and not self.has(role):
            own = (self.role or Role.reader).name
            told = f"This needs the role {role.name}; the key's is {own}."
            raise Forbidden(told, role=own, needed=role.name)


ANONYMOUS = Caller(By("anonymous", "anonymous"))
"""The public."""
