"""Bundles of earlier versions, in their words: those of their own entries, not today's."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.changes import earlier
from app.changes.entry import Entry

_OF_A_CLAIM = ("verdict", "attribution", "agreement", "attribution_agreement", "correction")
_OF_A_REVIEW = ("verdict", "attribution")


_OF_TODAYS_WORDS = 3
"""The first version of bundles that has words of now."""


def retold(said: Mapping[str, Any], changes: Sequence[Entry], version: int) -> Mapping[str, Any]:
    """Return what the base says of a claim (`bundle.record`) in the words that its entries have, as far as
    bundles of a version have those.
    """
    states = _states(changes)
    said = {**said, "reviews": [_of_keys(each, states) for each in said["reviews"]]}
    return said if version >= _OF_TODAYS_WORDS else _in_their_words(said, states)


def _states(changes: Sequence[Entry]) -> dict[str, earlier.State]:
    states: dict[str, earlier.State] = {}
    for entry in changes:
        record_id, difference = entry["resource_id"], entry["difference"] or {}
        before = states.get(record_id, {})
        states[record_id] = earlier.after(entry["resource"], record_id, before, difference)
    return states


def _of_keys(review: Mapping[str, Any], states: Mapping[str, earlier.State]) -> dict[str, Any]:
    """A review with the ids of whoever ruled as its entries have them."""
    reviewer = {**review["reviewer"], "id": states[review["id"]]["reviewer_id"]}
    if (decision := review["decision"]) is None:
        return {**review, "reviewer": reviewer}
    [decided] = [each for each in states.values() if each.get("review_id") == review["id"]]
    return {
        **review,
        "reviewer": reviewer,
        "decision": {**decision, "decided_by": {**decision["decided_by"], "id": decided["decided_by"]}},
    }


def _in_their_words(said: Mapping[str, Any], states: Mapping[str, earlier.State]) -> dict[str, Any]:
    claim = said["claim"]
    verification = {**claim["verification"], **_words(_OF_A_CLAIM, states[claim["id"]])}
    return {
        **said,
        "claim": {
            **claim,
            "figures": _figures(claim["figures"], states[claim["id"]]),
            "verification": verification,
        },
        "reviews": [_review(each, states[each["id"]]) for each in said["reviews"]],
        "snapshots": [_snapshot(each) for each in said["snapshots"]],
    }


def _figures(figures: Sequence[Mapping[str, Any]], state: earlier.State) -> list[dict[str, Any]]:
    told = {each["id"]: each["display"] for each in state.get("figures") or ()}
    return [{**each, "display": told[each["id"]] or _display(each)} for each in figures]


_SYMBOLS = {"eq": "", "ge": "≥ ", "gt": "> ", "le": "≤ ", "lt": "< ", "approx": "≈ "}


def _display(figure: Mapping[str, Any]) -> str:
    """How a figure was written of which nothing was said."""
    unit = "" if figure["unit"] == "1" else " " + figure["unit"].strip("{}").replace("_", " ")
    if figure["comparator"] == "range":
        return f"{_spaced(figure['lower'])} to {_spaced(figure['upper'])}{unit}"
    return f"{_SYMBOLS[figure['comparator']]}{_spaced(figure['value'])}{unit}"


def _spaced(number: str) -> str:
    whole, point, fraction = number.partition(".")
    return f"{int(whole):,}".replace(",", "\u202f") + point + fraction


def _review(review: Mapping[str, Any], state: earlier.State) -> dict[str, Any]:
    called = "standing" if review["state"] == "published" else review["state"]
    return {**review, **_words(_OF_A_REVIEW, state), "state": called}


def _snapshot(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in snapshot.items() if name != "has_text"}
    return {**rest, "text_at_hand": snapshot["has_text"]}


def _words(names: Sequence[str], state: earlier.State) -> dict[str, Any]:
    return {name: state.get(name) for name in names}
