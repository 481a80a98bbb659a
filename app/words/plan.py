"""A query made ready: what is wanted, and the stems of the index that stand for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from app.base.caches import remembered
from app.base.db import Asker
from app.base.prepared import Prepared
from app.words.query import Wanted
from app.words.text import is_run, latin, spelling, stem

COMMON = 3_000
"""A word in more documents than this chooses no candidates beside rarer ones."""

_FORMS = 50

NAME, SPELLED = "=", "~"
"""What stands before the terms of names: the name as it is, and the key of how it may be spelled."""


@dataclass(frozen=True)
class Group:
    """One thing wanted, and all stems that stand for it: id and how many documents have it."""

    wanted: Wanted
    stems: Mapping[str, int]
    counts: Mapping[int, int]

    @property
    def size(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class Plan:
    """A query made ready: its groups, and how many documents there are."""

    groups: list[Group]
    total: int

    @property
    def sought(self) -> list[Group]:
        return [group for group in self.groups if not group.wanted.excluded]

    @property
    def excluded(self) -> list[Group]:
        return [group for group in self.groups if group.wanted.excluded]

    @property
    def found(self) -> list[Group]:
        """What is sought and there."""
        return [group for group in self.sought if group.counts]

    @property
    def conditional(self) -> bool:
        """Whether hits must or must not have something, whatever else they have."""
        return bool(self.required or self.excluded)

    @property
    def effort(self) -> int:
        """How many postings are read at most to find the best."""
        sizes = [group.size for group in self.found if group.wanted.how != "name"]
        rare = sum(count for group in self.found for count in group.counts.values() if count <= COMMON)
        return rare + (min(sizes) if sizes and min(sizes) > COMMON else 0)

    @property
    def required(self) -> list[Group]:
        """What every hit must have, whatever else it has."""
        return [group for group in self.sought if group.wanted.how in ("phrase", "prefix")]


def stems_of(wanted: Wanted) -> list[str]:
    """The stems that a thing wanted is looked up by, all of which a phrase needs."""
    if wanted.how == "name":
        return []
    if wanted.how != "phrase":
        return [stem(wanted.forms[0])]
    pairs = zip(wanted.forms, wanted.forms[1:], strict=False)
    runs = [a + b for a, b in pairs if is_run(a) and is_run(b)]
    return runs or list(dict.fromkeys(map(stem, wanted.forms)))


def names_of(wanted: Wanted) -> list[str]:
    """The terms of names that a word may be one of."""
    if wanted.how == "prefix":
        return []
    if wanted.how in ("phrase", "name"):
        return [NAME + " ".join(wanted.forms)]
    form = wanted.forms[0]
    keys = [NAME + form, NAME + latin(form)]
    return list(dict.fromkeys([*keys, SPELLED + key] if len(key := spelling(form)) > 2 else keys))


class Known(NamedTuple):
    """A stem of the index."""

    id: int
    documents: int


def look_up(ask: Asker, stems: Iterable[str]) -> dict[str, Known]:
    """Which stems there are; the empty one tells how many documents."""
    given = {f"stem{n}": stem for n, stem in enumerate(sorted(stems))}
    return {stem: Known(stem_id, documents) for stem, stem_id, documents in ask(_stems(len(given)), given)}


@remembered
def _stems(count: int) -> Prepared:
    listed = ", ".join(f":stem{n}" for n in range(count))
    return Prepared(f"SELECT stem, id, documents FROM stems WHERE stem IN ({listed})")


def plan(ask: Asker, known: Mapping[str, Known], stems: Mapping[Wanted, Iterable[str]]) -> Plan:
    """The groups of a query: what is wanted, each with the stems that stand for it."""
    groups = []
    for wanted, some in stems.items():
        found = {stem: known[stem] for stem in some if stem in known}
        counts = _beginning_with(ask, wanted.forms[0]) if wanted.how == "prefix" else {}
        counts |= {stem.id: stem.documents for stem in found.values() if stem.documents}
        groups.append(Group(wanted, {name: stem.id for name, stem in found.items()}, counts))
    return Plan(groups, known[""].documents if "" in known else 0)


_BEGINNING = Prepared(
    "SELECT s.id, s.documents FROM forms f JOIN stems s ON s.id = f.stem_id"
    " WHERE f.form >= :first AND f.form < :after AND s.documents > 0 ORDER BY f.form LIMIT :most"
)


def _beginning_with(ask: Asker, form: str) -> dict[int, int]:
    after = form[:-1] + chr(ord(form[-1]) + 1)
    return dict(map(tuple, ask(_BEGINNING, {"first": form, "after": after, "most": _FORMS})))
