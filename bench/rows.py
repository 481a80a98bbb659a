"""A world's records as the rows and the ledger that the application would have written."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

from sqlalchemy import Table
from sqlmodel import SQLModel

from app.base import units
from app.base.sql import table
from app.base.times import Span
from app.base.types import canonical_url, exact, wire
from app.changes.entry import FORM, entry_hash, new_salt
from app.changes.ledger import GENESIS, rows_of
from app.changes.model import Change, ChangeValues, Part, Record
from app.claims.model import Anchor, Appearance, Claim, ClaimAbout, ClaimSpeaker, ClaimTopic, Figure
from app.entities.model import Entity, EntityAlias
from app.sources.model import Source
from bench.generate import Json, World

START = datetime(2025, 1, 1, tzinfo=UTC)
BATCH = 2_000
CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"

STANDINGS = (
    ("unverified", 82),
    ("reviewed", 10),
    ("in_review", 3),
    ("withdrawn", 3),
    ("pending_approval", 2),
)
VERDICTS = (("true", 25), ("mostly_true", 15), ("half_true", 15), ("mostly_false", 12), ("false", 15),
            ("misleading", 10), ("unsupported", 5), ("outdated", 3))  # fmt: skip

Rows = Mapping[Table, Sequence[Json]]


@cache
def _blank(kind: type[SQLModel]) -> Json:
    """A row with every column at its default."""
    defaults = {c.name: kind.model_fields[c.name].get_default() for c in table(kind).columns}
    return {name: None if repr(value) == "PydanticUndefined" else value for name, value in defaults.items()}


@cache
def _ledger_columns(kind: type[Record]) -> list[str]:
    bookkeeping = {"id", "version", "created_at", "updated_at"} | kind.off_ledger
    return [column.name for column in table(kind).columns if column.name not in bookkeeping]


def _is_told(part: type[Part], name: str, value: Any) -> bool:
    return name not in part.off_ledger and (value is not None or name not in part.where_given)


def _shown(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)  # as RFC 8785 writes it
    return wire(value)


def _id(prefix: str, at: datetime, rng: Random) -> str:
    """A TypeID, as `app.base.ids.new_id` makes them, but the same for the same seed."""
    bits = (
        int(at.timestamp() * 1000) << 80 | 7 << 76 | rng.getrandbits(12) << 64 | 2 << 62 | rng.getrandbits(62)
    )
    return f"{prefix}_" + "".join(CROCKFORD[bits >> shift & 31] for shift in range(125, -1, -5))


@dataclass
class Loader:
    """Turns the records of a world into rows."""

    world: World
    seq: int = 0
    hash: str = GENESIS
    entities: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    rows: dict[Table, list[Json]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.rng = Random(f"{self.world.seed} rows")

    def batches(self) -> Iterator[Rows]:
        """All rows, parents before children."""
        for write, records in (
            (self._entity, self.world.entities()),
            (self._source, self.world.sources()),
            (self._claim, self.world.records()),
        ):
            for number, record in enumerate(records, start=1):
                write(record)
                if number % BATCH == 0:
                    yield self._taken()
            yield self._taken()

    def _taken(self) -> Rows:
        taken, self.rows = self.rows, defaultdict(list)
        return taken

    def _entity(self, record: Json) -> None:
        key = _id("ent", self._now, self.rng)
        self.entities[record["slug"]] = key
        named = {name: record[name] for name in ("slug", "kind", "name")}
        aliases = [
            {"position": n, "language": None, **alias} for n, alias in enumerate(record.get("aliases", []))
        ]
        self._save(Entity, key, {**named, "canonical_id": key}, "entity.create", {EntityAlias: aliases})

    def _source(self, record: Json) -> None:
        key = _id("src", self._now, self.rng)
        self.sources[record["url"]] = key
        values = {name: record[name] for name in ("url", "title", "authors", "published", "language", "kind")}
        values |= {
            "canonical_url": canonical_url(record["url"]),
            "publisher_id": self.entities[record["publisher"]],
            "published_latest": _days(record["published"]).latest,
        }
        self._save(Source, key, values, "source.create", {})

    def _claim(self, record: Json) -> None:
        key = _id("clm", self._now, self.rng)
        days = _days(record["said"])
        values = {name: record[name] for name in ("text", "mode", "kind", "language", "said")}
        values |= {"said_earliest": days.earliest, "said_latest": days.latest, **self._standing()}
        quoted = [(n, record["text"]) for n, _ in enumerate(record["appearances"])]
        parts: dict[type[Part], Sequence[Json]] = {
            ClaimSpeaker: [
                {"position": n, "entity_id": self.entities[speaker["entity"]], "title": speaker["title"]}
                for n, speaker in enumerate(record["speakers"])
            ],
            ClaimAbout: [
                {"position": n, "entity_id": self.entities[slug]} for n, slug in enumerate(record["about"])
            ],
            ClaimTopic: [{"position": n, "topic": topic} for n, topic in enumerate(record["topics"])],
            Appearance: [
                {"position": n, "source_id": self.sources[item["source"]], "snapshot_id": None}
                for n, item in enumerate(record["appearances"])
            ],
            Anchor: [_anchor(n, text) for n, text in quoted if record["mode"] != "paraphrase"],
            Figure: [self._figure(n, item) for n, item in enumerate(record.get("figures", []))],
        }
        self._save(Claim, key, values, "claim.state", parts)

    def _standing(self) -> Json:
        status = _pick(self.rng, STANDINGS)
        if status != "reviewed":
            return {"status": status}
        confirmed = "confirmed" if self.rng.random() < 0.6 else "unconfirmed"
        return {
            "status": status,
            "verdict": _pick(self.rng, VERDICTS),
            "attribution": confirmed,
            "agreement": "single",
            "reviewed_at": self._now,
        }

    def _figure(self, position: int, item: Json) -> Json:
        factor, unit = units.resolve(item["unit"], item.get("scale"))
        value = exact(units.scaled(Decimal(item["value"]), factor))
        days = _days(item["period"])
        row = {
            **_without_owner(Figure),
            "position": position,
            "id": _id("fig", self._now, self.rng),
            "measure": item["measure"],
            "value": value,
            "value_number": float(value),
            "comparator": item["comparator"],
            "unit": unit,
            "kind": "reported",
            "is_record": False,
            "period": item["period"],
            "period_earliest": days.earliest,
            "period_latest": days.latest,
        }
        return row | Figure.untold(row)

    @property
    def _now(self) -> datetime:
        return START + timedelta(milliseconds=100 * self.seq)

    def _save(
        self,
        kind: type[Record],
        key: str,
        values: Json,
        action: str,
        parts: Mapping[type[Part], Sequence[Json]],
    ) -> None:
        at = self._now
        row = {**_blank(kind), **values, "id": key, "version": 1, "created_at": at, "updated_at": at}
        self.rows[table(kind)].append(row)
        new = {name: _shown(row[name]) for name in _ledger_columns(kind)}
        names = {part: name for name, part in kind.parts.items()}
        for part, items in parts.items():
            self.rows[table(part)].extend({**item, part.owner: key} for item in items)
            new[names[part]] = [
                {name: _shown(value) for name, value in item.items() if _is_told(part, name, value)}
                for item in items
            ]
        given = {name: {"old": None, "new": value} for name, value in new.items() if value not in (None, [])}
        self._enter(kind.noun, key, action, at, given)

    def _enter(self, noun: str, key: str, action: str, at: datetime, difference: Json) -> None:
        self.seq += 1
        entry = {
            "form": FORM,
            "seq": self.seq,
            "at": wire(at),
            "actor": "bench",
            "actor_name": "bench",
            "action": action,
            "resource": noun,
            "resource_id": key,
            "version": 1,
            "difference": difference,
            "reason": None,
            "request_id": None,
            "previous_hash": self.hash,
            "salt": new_salt(),
        }
        self.hash = entry["hash"] = entry_hash(entry)
        row, values = rows_of(entry)
        self.rows[table(Change)].append(row)
        self.rows[table(ChangeValues)].append(values or {})


def _days(text: str) -> Span:
    """What `app.base.times.span` says of a plain day or year, in a thousandth of the time."""
    if len(text) == 4:
        return Span(date(int(text), 1, 1), date(int(text), 12, 31))
    return Span(date.fromisoformat(text), date.fromisoformat(text))


def _pick(rng: Random, weighted: Sequence[tuple[str, int]]) -> str:
    return rng.choices([word for word, _ in weighted], [weight for _, weight in weighted])[0]


@cache
def _without_owner(kind: type[Part]) -> Json:
    return {name: value for name, value in _blank(kind).items() if name != kind.owner}


def _anchor(appearance: int, text: str) -> Json:
    given = {"appearance": appearance, "position": 0, "exact": text, "state": "unchecked"}
    return _without_owner(Anchor) | given
