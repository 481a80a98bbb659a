"""Why a record was found, and where the words stand in it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel

from app.words.plan import Plan
from app.words.query import Wanted
from app.words.text import PIECES, Token, is_run, latin, spelling, stem, stem_of, tokens, words_of

How = Literal["exact", "stem", "prefix", "phrase", "name", "transliteration", "spelling"]


class HighlightOut(BaseModel):
    """A text in which words that were asked for stand: each of `marks` is where one begins and ends, in code
    points.
    """

    field: str
    text: str
    marks: list[tuple[int, int]]


class ReasonOut(BaseModel):
    """What was asked for, the field that has it, what it has there, and how that is the same."""

    word: str
    field: str
    matched: str
    how: How


class MatchOut(BaseModel):
    """Why a record was found. Scores compare within one answer only."""

    score: int
    highlights: list[HighlightOut]
    reasons: list[ReasonOut]


@dataclass
class Finding:
    """A query made ready: its plan, and the entities that its words may be names of, by id, with how."""

    plan: Plan
    names: Mapping[Wanted, Mapping[str, How]] = field(default_factory=dict)

    @cached_property
    def phrases(self) -> list[Wanted]:
        """The phrases that are looked for."""
        return [wanted for wanted in self._sought if wanted.how == "phrase"]

    @cached_property
    def prefixes(self) -> list[Wanted]:
        """The beginnings that are looked for."""
        return [wanted for wanted in self._sought if wanted.how == "prefix"]

    @cached_property
    def words(self) -> dict[str, list[Wanted]]:
        """The words that are looked for, by their stem."""
        words: dict[str, list[Wanted]] = {}
        for wanted in self._sought:
            if wanted.how == "word":
                words.setdefault(stem(wanted.forms[0]), []).append(wanted)
        return words

    @cached_property
    def only_words(self) -> bool:
        """Whether all that is looked for are words with spaces around."""
        return not self.prefixes and not self.phrases and not any(map(is_run, self.words))

    @property
    def _sought(self) -> list[Wanted]:
        return [group.wanted for group in self.plan.sought]


class Text(NamedTuple):
    """A text of a record; of a `name`, spellings count too."""

    field: str
    text: str
    name: bool = False


class Person(NamedTuple):
    """An entity that a record names."""

    field: str
    id: str
    name: str


def explain(
    finding: Finding, score: int, texts: Iterable[Text], people: Sequence[Person] = ()
) -> dict[str, Any]:
    """A `MatchOut`."""
    highlights, reasons = [], []
    for text in texts:
        found = [(wanted, how, token) for wanted, how, token in _found(finding, text)]
        if found:
            marks = sorted({(token.start, token.end) for _, _, token in found})
            highlights.append({"field": text.field, "text": text.text, "marks": marks})
            for wanted, how, token in found:
                written = text.text[token.start : token.end]
                reasons.append(_reason(wanted, text.field, written, how))
    for wanted, known in finding.names.items():
        reasons += [_reason(wanted, p.field, p.name, known[p.id]) for p in people if p.id in known]
    return {"score": score, "highlights": highlights, "reasons": _first_of_each(reasons)}


def _reason(wanted: Wanted, where: str, matched: str, how: How) -> dict[str, Any]:
    return {"word": wanted.written, "field": where, "matched": matched, "how": how}


def _first_of_each(reasons: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for reason in reasons:
        first.setdefault((reason["word"], reason["field"]), reason)
    return list(first.values())


def _found(finding: Finding, text: Text) -> Iterator[tuple[Wanted, How, Token]]:
    quickly = finding.only_words and not text.name
    said = _tokens_of(finding, text.text) if quickly else list(tokens(text.text))
    for phrase in finding.phrases:
        yield from ((phrase, "phrase", token) for token in _phrase(phrase, said))
    for token in said:
        for wanted, how in _wanted(finding, token.form, text.name):
            yield wanted, how, token


def _tokens_of(finding: Finding, text: str) -> list[Token]:
    """The tokens of the words that are looked for: most texts have none, which is soon told."""
    if finding.words.keys().isdisjoint(map(stem_of, PIECES.findall(text))):
        return []
    return [
        Token(words_of(piece[0])[0][0], *piece.span())
        for piece in PIECES.finditer(text)
        if stem_of(piece[0]) in finding.words
    ]


def _wanted(finding: Finding, form: str, name: bool) -> Iterator[tuple[Wanted, How]]:
    for wanted in finding.words.get(stem(form), ()):
        yield wanted, "exact" if form == wanted.forms[0] else "stem"
    for prefix in finding.prefixes:
        if form.startswith(prefix.forms[0]):
            yield prefix, "prefix"
    if name:
        yield from _spelled(finding, form)


def _phrase(wanted: Wanted, said: Sequence[Token]) -> Iterable[Token]:
    size = len(wanted.forms)
    for start in range(len(said) - size + 1):
        here = said[start : start + size]
        if tuple(token.form for token in here) == wanted.forms:
            yield from here


def _spelled(finding: Finding, form: str) -> Iterator[tuple[Wanted, How]]:
    """Words that are not that form, but are written so in another script, or may be."""
    for stemmed, some in finding.words.items():
        if stemmed == stem(form):
            continue
        for wanted in some:
            [asked] = wanted.forms
            if latin(form) == latin(asked):
                yield wanted, "transliteration"
            elif len(spelling(asked)) > 2 and spelling(form) == spelling(asked):
                yield wanted, "spelling"
