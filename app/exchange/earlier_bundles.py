"""What bundles of earlier versions say, in their words: those of their own entries, not today's."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.changes import earlier
from app.changes.entry import Entry

_OF_A_CLAIM = ("verdict", "attribution", "agreement", "attribution_agreement", "correction")
_OF_A_REVIEW = ("verdict", "attribution")


def retold(said: Mapping[str, Any], changes: Sequence[Entry]) -> dict[str, Any]:
    """Return what the base says of a claim (`bundle.record`) in the words that its entries have."""
    states: dict[str, earlier.State] = {}
    for entry in changes:
        before, difference = states.get(entry["resource_id"], {}), entry["difference"] or {}
        states[entry["resource_id"]] = earlier.after(entry["resource"], before, difference)
    claim = said["claim"]
    verification = {**claim["verification"], **_words(_OF_A_CLAIM, states[claim["id"]])}
    return {
        **said,
        "claim": {**claim, "verification": verification},
        "reviews": [{**each, **_words(_OF_A_REVIEW, states[each["id"]])} for each in said["reviews"]],
    }


def _words(names: Sequence[str], state: earlier.State) -> dict[str, Any]:
    return {name: state.get(name) for name in names}
