"""What an erasure takes from the entries of a record, and what stands there instead.

Structure stays (what a record is of, who stated it where and when, which verdict was given), so that other
records can refer to it and every moment of the past can be made; words go.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

ERASED = "[erased]"
"""What stands in the place of erased words that there have to be."""

Taken = Callable[[Any], Any]
Difference = Mapping[str, Any]


def _word(value: str | None) -> str | None:
    return value and ERASED


def _nothing(_value: Any) -> None:
    return None


def _none_of(_value: Any) -> list[Any]:
    return []


def _titles(speakers: Sequence[Mapping[str, Any]] | None) -> list[Any]:
    return [{**each, "title": _word(each.get("title"))} for each in speakers or ()]


def _note_of(correction: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return correction and {**correction, "note": _word(correction["note"])}


def _address(record_id: str, value: str | None) -> str | None:
    return value and f"https://erased.invalid/{record_id}"


def _slug(record_id: str, value: str | None) -> str | None:
    return value and f"erased-{record_id.partition('_')[2]}"


def words_of(noun: str, record_id: str) -> Mapping[str, Taken]:
    """Return what takes the words from each field of a record that has some."""
    address, taken = partial(_address, record_id), _WORDS[noun]
    found = {name: take for take, names in taken for name in names.split()}
    more: Mapping[str, Mapping[str, Taken]] = {
        "entity": {"slug": partial(_slug, record_id)},
        "source": {"url": address, "canonical_url": address},
        "review": {"url": address},
        "evidence": {"url": address},
    }
    return {**found, **more.get(noun, {})}


_WORDS: Mapping[str, Sequence[tuple[Taken, str]]] = {
    "claim": (
        (_word, "text original_text occasion place context public_note"),
        (_none_of, "topics anchors figures figure_about"),
        (_titles, "speakers"),
        (_note_of, "correction"),
    ),
    "entity": ((_word, "name description"), (_none_of, "aliases external_ids affiliations")),
    "source": ((_word, "title"), (_none_of, "authors"), (_nothing, "archive_url")),
    "snapshot": (),
    "review": ((_word, "summary explanation label correction_note actual_words"),),
    "evidence": (
        (_word, "note locator"),
        (_nothing, "exact prefix suffix start end state score last_found_in"),
        (_nothing, "named_exact named_start named_end"),
    ),
    "person": ((_word, "name byline"),),
    "key": ((_word, "name"),),
    "decision": ((_word, "note"),),
    "link": ((_word, "note"),),
}
"""By type of record, what is put in the place of which fields. Of addresses and slugs, which are unique, each
record has its own.
"""


@dataclass(frozen=True)
class Words:
    """All words of a record but the public note of the order."""

    fields: Mapping[str, Taken]
    note: str

    def of(self, difference: Difference) -> Difference:
        """Return a difference without them."""
        return {
            name: {side: self._left(name, value) for side, value in change.items()}
            if name in self.fields
            else change
            for name, change in difference.items()
        }

    def _left(self, name: str, value: Any) -> Any:
        said = value.get("note") if name == "correction" and value else value
        return value if said == self.note else self.fields[name](value)

    def takes(self, reason: str) -> bool:
        """Return whether the reason of an entry goes."""
        return reason != self.note


def whole(noun: str, record_id: str, note: str) -> Words:
    """Return what takes all words of a record."""
    return Words(words_of(noun, record_id), note)


@dataclass(frozen=True)
class Passages:
    """What stands before and behind the passages of pieces of evidence, which are words of their source."""

    def of(self, difference: Difference) -> Difference:
        """Return a difference without it."""
        around = {name: {"old": None, "new": None} for name in ("prefix", "suffix") if name in difference}
        return {**difference, **around}

    def takes(self, reason: str) -> bool:  # noqa: ARG002
        """Return False."""
        return False


@dataclass(frozen=True)
class Named:
    """The name of a person in one field."""

    field: str

    def of(self, difference: Difference) -> Difference:
        """Return a difference without it."""
        if self.field not in difference:
            return difference
        change = difference[self.field]
        return {**difference, self.field: {side: _word(value) for side, value in change.items()}}

    def takes(self, reason: str) -> bool:  # noqa: ARG002
        """Return False."""
        return False


class Contexts:
    """What stands before and behind the quotes of a claim in one source."""

    def __init__(self, source_id: str) -> None:
        self._source_id = source_id
        self._places: Collection[int] = ()

    def of(self, difference: Difference) -> Difference:
        """Return a difference without it, of an entry that follows those before."""
        before = self._places
        if "appearances" in difference:
            printed = difference["appearances"]["new"] or ()
            self._places = {each["position"] for each in printed if each["source_id"] == self._source_id}
        if "anchors" not in difference:
            return difference
        change = difference["anchors"]
        old, new = _without_context(change["old"], before), _without_context(change["new"], self._places)
        return {**difference, "anchors": {"old": old, "new": new}}

    def takes(self, reason: str) -> bool:  # noqa: ARG002
        """Return False."""
        return False


def _without_context(anchors: Sequence[Mapping[str, Any]] | None, places: Collection[int]) -> Any:
    return anchors and [
        {**each, "prefix": None, "suffix": None} if each["appearance"] in places else each for each in anchors
    ]


class OneFigure:
    """One figure of a claim."""

    def __init__(self, figure_id: str) -> None:
        self._id = figure_id
        self._place: int | None = None

    def of(self, difference: Difference) -> Difference:
        """Return a difference without it, of an entry that follows those before."""
        before = self._place
        figures, about = difference.get("figures"), difference.get("figure_about")
        if figures:
            here = (each["position"] for each in figures["new"] or () if each["id"] == self._id)
            self._place = next(here, None)
            left = {side: self._others(value) for side, value in figures.items()}
            difference = {**difference, "figures": left}
        if about:
            old, new = _not_of(about["old"], before), _not_of(about["new"], self._place)
            difference = {**difference, "figure_about": {"old": old, "new": new}}
        return difference

    def _others(self, figures: Sequence[Mapping[str, Any]] | None) -> Any:
        return figures and [each for each in figures if each["id"] != self._id]

    def takes(self, reason: str) -> bool:  # noqa: ARG002
        """Return False."""
        return False


def _not_of(about: Sequence[Mapping[str, Any]] | None, place: int | None) -> Any:
    return about and [each for each in about if each["figure"] != place]


class Notes:
    """The notes of a claim that are the words of an erased ruling."""

    def __init__(self, words: Collection[str]) -> None:
        self._words = words

    def of(self, difference: Difference) -> Difference:
        """Return a difference without them."""
        return {
            name: {side: self._left(name, value) for side, value in change.items()}
            for name, change in difference.items()
        }

    def _left(self, name: str, value: Any) -> Any:
        if name == "public_note":
            return ERASED if value in self._words else value
        if name == "correction" and value and value["note"] in self._words:
            return {**value, "note": ERASED}
        return value

    def takes(self, reason: str) -> bool:
        """Return whether the reason of an entry is one of them."""
        return reason in self._words
