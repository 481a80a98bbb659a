"""What other desks have published, brought in: each finds its claim, or adds it, and counts as theirs."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import col

from app.access.model import Role
from app.base.errors import Forbidden, Invalid, Problem
from app.base.sql import among, select
from app.base.types import canonical_url, dated, wire
from app.changes.store import part_documents
from app.claims.model import Claim, ClaimSpeaker
from app.entities import rows as entities
from app.entities.model import Entity, EntityExternalId, EntityIn, EntityKind, ExternalIdIn
from app.exchange.lines import faults_of
from app.exchange.rows import Batch, ClaimRows, Result, Shared, Staged
from app.exchange.shapes import ClaimRecord, MadeOut, NamedRecord, ReviewRecord
from app.reviews import desks, documents, store
from app.reviews.model import PublishedIn, Review

TAKEN_BACK = "The desk has withdrawn its review."

_WIKIDATA = "wikidata"


class ReviewRows(ClaimRows):
    """Reviews of other desks, with the claims that they are of."""

    def __init__(self, shared: Shared, batch: Batch, records: Sequence[ReviewRecord]) -> None:
        super().__init__(shared, batch, [record.claim for record in records])
        self.entities.look_up(record.publisher for record in records)
        self._items = _wikidata(shared, records)
        self._here = _reviews(shared, records)
        self._same = _claims(shared, records, self._items)
        self._named: Mapping[str, NamedRecord] = {}
        self._absent: set[str] = set()  # desks that have nobody here but who brings this in
        self._pending: list[tuple[ReviewRecord, str, str, Result]] = []

    def __call__(self, record: ReviewRecord) -> Result:
        if self.shared.who.role < Role.checker:
            raise Forbidden("To enter what another desk has published needs the role checker.")
        if known := next((each for each in record.known if each in self._here), None):
            return Result(0, None, "unchanged", known)
        self._named, staged = {each.name: each for each in record.named}, Staged()
        desk = self.entity(record.publisher, "organization", "/publisher", staged)
        people = [
            self.entity(each.entity, each.kind, f"/claim/speakers/{n}", staged)
            for n, each in enumerate(record.claim.speakers)
        ]
        claim_id = self._found(record.claim, people)
        if record.withdrawn and (claim_id is None or staged.entities):
            return Result(0, None, "unchanged")  # for there is nothing of it to take back
        if claim_id is None:
            claim_id = self._added(record, desk, people, staged)
            made = [*staged.made, MadeOut(type="claim", id=claim_id, name=record.claim.text)]
        else:
            staged = _only(staged, desk)
            self._must_be_open(record, claim_id, staged)
            self.keep(staged)
            made = staged.made
        result = Result(0, None, "created", made=made)
        self._pending.append((record, claim_id, desk, result))
        return result

    def _found(self, claim: ClaimRecord, people: Sequence[str]) -> str | None:
        """The claim here with these words of these speakers, and of no other day."""
        fitting = [
            (said != claim.said, repeats, claim_id)
            for claim_id, said, repeats, speakers in self._same.get(claim.text, ())
            if speakers == frozenset(people) and _may_be_one(said, claim.said)
        ]
        return min(fitting)[2] if fitting else None

    def _added(self, record: ReviewRecord, desk: str, people: Sequence[str], staged: Staged) -> str:
        store.must_be_rated(record.claim.kind, record.ruling())
        if desk not in self._absent:
            desks.must_be_absent(self.session, self.by.id, desk)
            self._absent.add(desk)
        new, gathered = self.composed(record.claim, staged)
        self.keep(staged)
        self.batch.claims.append(new)
        self.batch.evidence += gathered
        told = (new.record.id, record.claim.said, False, frozenset(people))
        self._same.setdefault(record.claim.text, []).append(told)
        return new.record.id

    def _must_be_open(self, record: ReviewRecord, claim_id: str, staged: Staged) -> None:
        """Raises Problem if the claim takes no review, before a desk is added for the sake of one."""
        if self.shared.four_eyes and claim_id in {pending[1] for pending in self._pending}:
            raise Invalid("Of this claim another review waits for approval.")
        if staged.entities and (claim := self.session.get(Claim, claim_id)):
            store.must_be_open(self.session, claim, record.ruling(), self.shared.who)

    # who is named

    def entity(self, ref: str, kind: EntityKind | None, at: str, staged: Staged) -> str:
        """As of any row, but that Wikidata's number of what is named says which one it is."""
        named = self._named.get(ref)
        if named is None or named.wikidata is None:
            return super().entity(ref, named.kind if named else kind, at, staged)
        if found := self._items.get(named.wikidata):
            return found
        known = self.entities.get(ref)
        if len(known) == 1 and not self._is_another(known[0]):
            return known[0]
        if ref not in staged.entities:
            taken = self.slugs | {each.record.slug for each in staged.entities.values()}
            item = ExternalIdIn(scheme=_WIKIDATA, value=named.wikidata)
            told = EntityIn(kind=named.kind, name=ref, external_ids=[item])
            staged.entities[ref] = entities.compose(self.session, told, {}, taken)
        return staged.entities[ref].record.id

    def _is_another(self, entity_id: str) -> bool:
        """Whether an entity has a number in Wikidata, which is not the one that was looked for."""
        query = select(EntityExternalId.value).where(col(EntityExternalId.entity_id) == entity_id)
        return (
            self.session.execute(query.where(col(EntityExternalId.scheme) == _WIKIDATA)).first() is not None
        )

    def keep(self, staged: Staged) -> None:
        """As of any row; what is added is found by its number from now on."""
        super().keep(staged)
        for new in staged.entities.values():
            for part in new.parts["external_ids"]:
                self._items[vars(part)["value"]] = new.record.id

    # what they have published

    def finish(self) -> None:
        """Enters the reviews, now that their claims are there."""
        wanted = sorted({claim_id for _, claim_id, _, _ in self._pending})
        kept: dict[str, list[dict[str, Any]]] = {claim_id: [] for claim_id in wanted}
        query = documents.query().where(among(self.session, Review.claim_id, wanted))
        rows = self.session.execute(query.order_by(col(Review.id))).all() if wanted else []
        for each in documents.of(self.session, rows):
            kept[each["claim"]].append(each)
        for record, claim_id, desk, result in self._pending:
            try:
                self._enter(record, claim_id, desk, kept[claim_id], result)
            except Problem as fault:
                self.forget()
                result.outcome, result.errors = "refused", faults_of(fault)

    def _enter(
        self,
        record: ReviewRecord,
        claim_id: str,
        desk: str,
        kept: list[dict[str, Any]],
        result: Result,
    ) -> None:
        before = next((each for each in reversed(kept) if _is_at(each, desk, record.url)), None)
        ruling = record.ruling()
        if _is_as_it_was(before, None if record.withdrawn else ruling):
            result.outcome, result.id = "unchanged", before["id"] if before else None
            return
        claim = self.session.get_one(Claim, claim_id)
        old = self.session.get_one(Review, before["id"]) if before else None
        how: dict[str, Any] = {"four_eyes": self.shared.four_eyes, "who": self.shared.who}
        if old is not None and record.withdrawn:
            note = record.correction_note or TAKEN_BACK
            made = store.take_back(self.session, claim, old, note, **how)
        else:
            made = store.publish(self.session, claim, ruling, desk, old, **how)
        result.id = made.id
        kept[:] = [each for each in kept if each is not before]
        if not record.withdrawn:
            kept.append(documents.document(self.session, claim_id, made.id))


def _only(staged: Staged, entity_id: str) -> Staged:
    """What is to be added besides a claim that is here: of all that its row names, the desk."""
    found = Staged()
    found.entities = {ref: new for ref, new in staged.entities.items() if new.record.id == entity_id}
    return found


def _may_be_one(said: str | None, other: str | None) -> bool:
    """Whether two dates may be of one occasion; a date that is not known may be any."""
    days, others = dated(said), dated(other)
    return not (days and others) or (days.earliest <= others.latest and others.earliest <= days.latest)


def _is_at(review: Mapping[str, Any], desk: str, url: str | None) -> bool:
    """Whether a review is what a desk says, or is about to, at an address."""
    rules = review["verdict"] or review["attribution"] or review["label"]
    if not rules or review["state"] not in ("published", "proposed"):
        return False
    place = review["url"] and canonical_url(review["url"]) + _fragment(review["url"])
    same = place == (url and canonical_url(url) + _fragment(url))
    return bool(same and review["publisher"] and review["publisher"]["id"] == desk)


def _fragment(url: str) -> str:
    return "".join(url.partition("#")[1:])


def _is_as_it_was(kept: Mapping[str, Any] | None, told: PublishedIn | None) -> bool:
    """Whether what is told of a review is kept already; `told` is None of one that is taken back."""
    if kept is None or told is None:
        return kept is None and told is None
    names = ("verdict", "attribution", "label", "summary", "explanation")
    rating = told.rating and {name: wire(getattr(told.rating, name)) for name in ("value", "best", "worst")}
    cited = [each["url"] for each in kept["evidence"]]
    return (
        all(kept[name] == getattr(told, name) for name in names)
        and (rating is None or kept["rating"] == rating)
        and (told.reviewed_at is None or kept["reviewed_at"] == wire(told.reviewed_at))
        and cited == [*dict.fromkeys(told.citations)]
        and told.correction_note in (None, kept["correction_note"])
    )


# --- what is here ------------------------------------------------------------------------------


def _wikidata(shared: Shared, records: Sequence[ReviewRecord]) -> dict[str, str]:
    """The entities that have the numbers in Wikidata that are told, by number."""
    wanted = {each.wikidata for record in records for each in record.named if each.wikidata}
    query = select(EntityExternalId.value, Entity.canonical_id)
    query = query.join(Entity, col(Entity.id) == col(EntityExternalId.entity_id))
    query = query.where(col(EntityExternalId.scheme) == _WIKIDATA)
    rows = shared.session.execute(query.where(among(shared.session, EntityExternalId.value, wanted)))
    return {row.value: row.canonical_id for row in rows} if wanted else {}


def _reviews(shared: Shared, records: Sequence[ReviewRecord]) -> frozenset[str]:
    """Those of the ids that reviews may have here that are such."""
    wanted = {each for record in records for each in record.known}
    query = select(Review.id).where(among(shared.session, Review.id, wanted))
    return frozenset(shared.session.execute(query).scalars() if wanted else ())


def _claims(
    shared: Shared, records: Sequence[ReviewRecord], items: Mapping[str, str]
) -> dict[str, list[tuple[str, str | None, bool, frozenset[str]]]]:
    """The claims here that have these words, by those: the id, the day, whether it repeats another, and who
    says it. Asked for by the speakers, since words have no index.
    """
    names = {each.entity for record in records for each in record.claim.speakers}
    people = {*items.values(), *(found for name in names for found in shared.entities.get(name))}
    texts = {record.claim.text for record in records}
    query = (
        select(Claim.id, Claim.text, Claim.said, Claim.repeats_id)
        .join(ClaimSpeaker, col(ClaimSpeaker.claim_id) == col(Claim.id))
        .join(Entity, col(Entity.id) == col(ClaimSpeaker.entity_id))
        .where(among(shared.session, Entity.canonical_id, people), among(shared.session, Claim.text, texts))
        .distinct()
    )
    rows = shared.session.execute(query).all() if people else []
    said_by = part_documents(shared.session, Claim, "speakers", [row.id for row in rows])
    named = {part["entity_id"] for parts in said_by.values() for part in parts}
    leads = select(Entity.id, Entity.canonical_id).where(among(shared.session, Entity.id, named))
    canonical = {row.id: row.canonical_id for row in shared.session.execute(leads)} if rows else {}
    found: dict[str, list[tuple[str, str | None, bool, frozenset[str]]]] = {}
    for row in rows:
        speakers = frozenset(canonical[part["entity_id"]] for part in said_by[row.id])
        found.setdefault(row.text, []).append((row.id, row.said, row.repeats_id is not None, speakers))
    return found
