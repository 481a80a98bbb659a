"""The words that an erasure leaves: quotes of a source are those of claims and of evidence that have them."""

from sqlmodel import col

from app.base.db import ReadSession
from app.base.sql import select
from app.claims.model import Appearance, Claim
from app.reviews.model import Evidence
from app.sources.model import Snapshot


def quoted_in(session: ReadSession, record_id: str) -> list[str]:
    """Return the claims and the pieces of evidence that have words of a source, or of one of its texts, as
    their own: quotes, passages, and all that a claim says that is printed in it. Of other records there are
    none.
    """
    text = session.get(Snapshot, record_id)
    source_id = record_id if text is None else text.source_id
    claims = select(Claim.id, col(Claim.erased)).join(Appearance, col(Appearance.claim_id) == col(Claim.id))
    passages = select(Evidence.id, col(Evidence.erased)).where(col(Evidence.exact).is_not(None))
    rows = [
        *session.execute(claims.where(col(Appearance.source_id) == source_id)),
        *session.execute(passages.where(col(Evidence.source_id) == source_id)),
    ]
    return sorted({row.id for row in rows if not (row.erased or {}).get("whole")})
