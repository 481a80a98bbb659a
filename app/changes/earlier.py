"""Entries of earlier versions, read in today's words. Entries stay as they were written; they are turned
into today's words when rows are made of them, or compared with them.

The words of a record go together (a verdict of before may be an attribution today), so a record's differences
are folded to its state in the words of its entries, and the state is translated as a whole. An entry that was
written over a row in today's words is known by what it says was before.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.changes.entry import Entry

State = Mapping[str, Any]

ATTRIBUTIONS = {"altered": "misquoted"}
"""Attributions of earlier versions, with their names of today."""

MISATTRIBUTED = "misattributed"
"""A verdict of earlier versions: who said it is the question of the attribution alone today."""

_OPEN = (None, "unconfirmed")
"""The attributions that leave it open who said it."""

_FIELDS: Mapping[str, frozenset[str]] = {
    "claim": frozenset(
        {
            "verdict",
            "attribution",
            "agreement",
            "attribution_agreement",
            "correction",
            "repeats_id",
            "assignee_id",
            "proposer_id",
        }
    ),
    "review": frozenset({"verdict", "attribution", "reviewer_id"}),
    "decision": frozenset({"decided_by"}),
    "link": frozenset({"judged_by"}),
    "key": frozenset({"person_id", "role"}),
}
"""By resource, the fields that say something in other words than before, or that those depend on."""


WORKERS: Mapping[str, tuple[str, ...]] = {
    "claim": ("assignee_id", "proposer_id"),
    "review": ("reviewer_id",),
    "decision": ("decided_by",),
    "link": ("judged_by",),
}
"""By resource, the fields that name people, and keys before there were any."""

KEY, PERSON = "key_", "per_"
"""How the ids of keys and people begin."""

RESOURCES = tuple(_FIELDS)
"""The resources whose entries may say something in other words than today's."""


def stood_today(stood: State, *, repeats: bool = False) -> State:
    """Return how a claim stood, or what a review ruled, in today's words. The attribution of a claim that
    `repeats` another is its own, whatever was ruled on that one.
    """
    now: dict[str, Any] = {}
    if (said := stood.get("attribution")) in ATTRIBUTIONS:
        now["attribution"] = ATTRIBUTIONS[said]
    if stood.get("verdict") == MISATTRIBUTED:
        now["verdict"] = None
        if not repeats and said in _OPEN:
            now["attribution"] = MISATTRIBUTED
    return {**stood, **now} if now else stood


def person_of(key_id: str) -> str:
    """Return the id of the person that a key of before people is; other ids stay as they are."""
    return PERSON + key_id.removeprefix(KEY) if key_id.startswith(KEY) else key_id


def actors(people: Iterable[str]) -> set[str]:
    """Return the actors that entries name where some people are meant: them, and the keys of before that
    they are.
    """
    wanted = {*people}
    return wanted | {KEY + each.removeprefix(PERSON) for each in wanted if each.startswith(PERSON)}


def made_of(key: Entry) -> Entry | None:
    """Return the entry of the person that a key of before people makes, if it is one that does."""
    difference = key["difference"] or {}
    if key["resource"] != "key" or key["version"] != 1 or "person_id" in difference:
        return None
    told = {name: difference[name] for name in ("name", "role")}
    who = {"resource": "person", "resource_id": person_of(key["resource_id"]), "action": "person.create"}
    return {**key, **who, "difference": told}


def today(resource: str, record_id: str, state: State) -> State:
    """Return the state of a record in today's words."""
    if resource not in _FIELDS:
        return state
    keys = [name for name in WORKERS.get(resource, ()) if (state.get(name) or "").startswith(KEY)]
    if keys:
        state = {**state, **{name: person_of(state[name]) for name in keys}}
    if resource in ("decision", "link"):
        return state
    if resource == "key":
        return state if "person_id" in state or not state else {**state, "person_id": person_of(record_id)}
    repeats = state.get("repeats_id") is not None
    now = stood_today(state, repeats=repeats)
    if resource == "review":
        return now
    if state.get("verdict") == MISATTRIBUTED:
        now = {**now, "agreement": None}
        if not repeats and state.get("attribution") in _OPEN:
            # The ruling that counted is on the attribution now, and of who agrees only this is known.
            agreement = "single" if state.get("agreement") == "split" else state.get("agreement")
            now["attribution_agreement"] = state.get("attribution_agreement") or agreement
    if correction := state.get("correction"):
        was = stood_today(correction["was"], repeats=repeats)
        now = now if was is correction["was"] else {**now, "correction": {**correction, "was": was}}
    return now


def after(resource: str, record_id: str, state: State, difference: Mapping[str, Mapping[str, Any]]) -> State:
    """Return the state of a record after an entry, in the words of its entries."""
    if concerns(resource, difference):
        now = today(resource, record_id, state)
        fields = (name for name in difference.keys() & _FIELDS[resource] if now is not state)
        if any(state.get(name) != now.get(name) == difference[name]["old"] for name in fields):
            state = now
    return {**state, **{name: change["new"] for name, change in difference.items()}}


def concerns(resource: str, difference: Mapping[str, Any] | None) -> bool:
    """Return whether an entry says anything that may have been in other words before."""
    return bool(difference) and not _FIELDS.get(resource, frozenset()).isdisjoint(difference or ())


def read(entries: Iterable[Entry], states: Mapping[str, State]) -> Iterator[Entry]:
    """Yield entries as today's words have them, those of people that keys make among them; they follow one
    another for each record. `states` has, by id, the states of records of which earlier entries are not
    among them, as `after` makes them.
    """
    known = dict(states)
    for entry in entries:
        resource, record_id, difference = entry["resource"], entry["resource_id"], entry["difference"] or {}
        if not concerns(resource, difference):
            yield entry
            continue
        if person := made_of(entry):
            yield person
        before = known.get(record_id, {})
        known[record_id] = after(resource, record_id, before, difference)
        yield {**entry, "difference": _between(entry, before, known[record_id])}


def _between(entry: Entry, before: State, later: State) -> Mapping[str, Any]:
    """Return what an entry changes of a record in today's words."""
    resource, record_id = entry["resource"], entry["resource_id"]
    difference: Mapping[str, Any] = entry["difference"]
    old, new = today(resource, record_id, before), today(resource, record_id, later)
    if old is before and new is later:
        return difference
    rest = {name: change for name, change in difference.items() if name not in _FIELDS[resource]}
    told = {
        name: {"old": old.get(name), "new": new.get(name)}
        for name in _FIELDS[resource]
        if old.get(name) != new.get(name)
    }
    return rest | told
