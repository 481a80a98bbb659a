"""How well one name fits another, and why.

Sources: Christen, Data Matching (2012), on comparing names part by part; optimal string alignment.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Literal, NamedTuple

from rapidfuzz.distance import OSA

from app.base.caches import remembered
from app.words.text import TOKEN, Token, forms, is_run, latin, spelling, tokens

How = Literal["exact", "alias", "reordered", "transliterated", "initials", "typo", "part", "similar"]

POINTS: dict[How, float] = {"exact": 100, "alias": 98, "reordered": 96, "transliterated": 94, "initials": 88}
"""What a name that is the same in some way is worth; the others depend on how much is the same."""

CERTAIN: frozenset[How] = frozenset({"exact", "alias", "reordered", "transliterated", "initials", "typo"})
"""The ways to be the same that can decide; to be similar cannot."""

_ALIKE, _PART, _TYPO, _ANY_INITIALS = 92, (60, 20), 79, 80
_SHORTEST_WITH_TYPO = 5
_LONGEST = 16

LONGEST = 300
"""So many characters of a text are looked at as a name."""

_TITLES = """
    mr, mrs, pres, pm, ms, miss, dr, prof, professor, sir, dame, lord, lady, hon, his excellency,
    her excellency, comrade, president, vice president, deputy president, premier, prime minister,
    deputy prime minister, minister, foreign minister, defence minister, defense minister, finance
    minister, interior minister, chancellor, senator, sen, representative, rep, congressman,
    congresswoman, governor, gov, mayor, ambassador, secretary, secretary of state, secretary
    general, general secretary, speaker, judge, justice, general, gen, colonel, col, captain, capt,
    major, lieutenant, lt, admiral, marshal, sergeant, king, queen, prince, princess, pope,
    chairman, chairwoman, chair, director, ceo, analyst, expert, correspondent, journalist,
    spokesman, spokeswoman, leader, former, ex, then, acting, président, présidente, monsieur,
    madame, ministre, premier ministre, herr, frau, präsident, präsidentin, bundeskanzler,
    bundeskanzlerin, señor, señora, presidente, ministro, signor, signora, президент, премьер,
    премьер-министр, вице-премьер, министр, глава, председатель, генерал, посол, господин, г-н,
    товарищ, президентка, прем'єр-міністр, міністр, пан, пані,
    主席, 总统, 總統, 总理, 總理, 部长, 部長, 先生, 女士, 同志, 国家主席
"""


class Name(NamedTuple):
    """A name made ready to be compared. `keys` are its words as they may be spelled, `initials` which of
    them stand for a longer one, `whole` the key of it all without spaces, `numbers` those that are in it.
    """

    forms: tuple[str, ...]
    keys: tuple[str, ...]
    initials: tuple[bool, ...]
    whole: str
    numbers: tuple[str, ...]

    @property
    def line(self) -> str:
        return " ".join(self.keys)

    @property
    def ordered(self) -> list[str]:
        return sorted(self.keys)


class Fit(NamedTuple):
    """How a name fits what was asked for: what that is worth, and how much is the same, of 100."""

    how: How
    points: float
    similarity: float
    titled: bool = False
    numbers_differ: bool = False


@remembered
def name(text: str) -> Name:
    """A text as a name, of its first words."""
    words = _without_article([word for word in _words(text) if word != "and"][:_LONGEST])
    numbers = [word for word in words if word[0].isdigit()]
    return Name(
        tuple(_without_article(forms(text)[:_LONGEST])),
        tuple(spelling(word) or latin(word) for word in words),
        tuple(map(_is_initial, words)),
        spelling("".join(map(latin, words))) + "".join(numbers),
        tuple(sorted(numbers)),
    )


def _words(text: str) -> Iterator[str]:
    for found in TOKEN.finditer(text):
        yield from forms(found[0].replace(".", " ") if found.lastgroup == "initials" else found[0])


def _without_article(words: list[str]) -> list[str]:
    return words[1:] if words[:1] == ["the"] and len(words) > 1 else words


def _is_initial(word: str) -> bool:
    return len(word) == 1 and word.lower() != word.upper()


def without_titles(text: str, held: tuple[str, ...] = (), *, of_person: bool = True) -> str | None:
    """A name without the titles before and after it, `held` among them; None if it has none, or is no more.
    A person's may have a word or two before it (the Russian President), and one after a name stands apart:
    Putin's spokesman is not Putin, nor is the aide to President Putin.
    """
    return _without_titles((text, held, of_person)) or None


@remembered
def _without_titles(asked: tuple[str, tuple[str, ...], bool]) -> str:
    """The same; empty for None."""
    text, held, of_person = asked
    words = list(tokens(text))
    own = {tuple(forms(title)) for title in held}
    sizes = sorted({len(title) for title in _titles() | own if title}, reverse=True)
    first, last = 0, len(words)
    for size in sizes * 2:
        for skipped in range(3 if of_person and first == 0 else 1):
            start, end = first + skipped, first + skipped + size
            before = {word.form for word in words[first:start]}
            if end < last and _forms(words[start:end]) in _titles() | own and not before & _JOINTS:
                first = end
                break
        title, apart = _forms(words[last - size : last]), False
        if last - first > size and title in _titles() | own:
            apart = _apart(text, words[last - size - 1], words[last - size])
        if apart or (last - first > size and title in own):
            last -= size
    return "" if last - first == len(words) else text[words[first].start : words[last - 1].end]


_JOINTS = frozenset("of to for with by from under against about on at not anti no non".split())


def _forms(words: Sequence[Token]) -> tuple[str, ...]:
    return tuple(word.form for word in words)


def _apart(text: str, word: Token, following: Token) -> bool:
    """Whether a comma is between two words, or the second is Chinese, where titles follow names."""
    return is_run(following.form) or not {",", ";"}.isdisjoint(text[word.end : following.start])


@cache
def _titles() -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(forms(title)) for title in _TITLES.split(","))


# --- fitting -----------------------------------------------------------------------------------


def best_fit(text: str, names: Sequence[str], held: tuple[str, ...], *, person: bool) -> Fit:
    """How a text fits the one of several names that it fits best: the first is the name, the others aliases.
    A title before it costs a little; `held` are those that the record is known to have.
    """
    plain = _best(name(text), names, person=person)
    bare = without_titles(text, held, of_person=person)
    if bare is None:
        return plain
    fit = _best(name(bare), names, person=person)
    return max(plain, fit._replace(points=fit.points - 2, titled=True), key=_rank)


def _rank(fit: Fit) -> tuple[bool, float]:
    return fit.how in CERTAIN, fit.points


def _best(asked: Name, names: Sequence[str], *, person: bool) -> Fit:
    fits, own_names = [], [name(text) for text in names]
    surnames = {own.keys[-1] for own in own_names if own.keys}
    for place, own in enumerate(own_names):
        found = _fit(asked, own, person=person)
        if found.how == "exact" and place:
            found = found._replace(how="alias", points=POINTS["alias"])
        if found.how == "initials" and not surnames & set(asked.keys):
            found = found._replace(points=_ANY_INITIALS)  # Vladimir P. may be anyone
        fits.append(found._replace(numbers_differ=asked.numbers != own.numbers))
    return max(fits, key=_rank)


def _fit(asked: Name, own: Name, *, person: bool) -> Fit:
    if not asked.keys or not own.keys:
        return Fit("similar", 0, 0)
    if asked.forms == own.forms:
        return Fit("exact", POINTS["exact"], 100)
    if sorted(asked.forms) == sorted(own.forms):
        return Fit("reordered", POINTS["reordered"], 100)
    alike = asked.whole == own.whole or asked.ordered == own.ordered
    if alike and len(asked.whole) > 3:
        return Fit("transliterated", POINTS["transliterated"], 100)
    similarity = _similarity(asked, own)
    if person and _abbreviates(asked, own):
        return Fit("initials", POINTS["initials"], similarity)
    part = _part(asked, own)
    if part > similarity * _ALIKE / 100:
        return Fit("part", part, similarity)
    if _mistyped(asked, own):
        return Fit("typo", _TYPO + similarity / 10, similarity)
    return Fit("similar", similarity * _ALIKE / 100, similarity)


def _similarity(asked: Name, own: Name) -> float:
    as_written = OSA.normalized_similarity(asked.line, own.line)
    in_order = OSA.normalized_similarity(" ".join(asked.ordered), " ".join(own.ordered))
    return round(100 * max(as_written, in_order), 1)


def _abbreviates(asked: Name, own: Name) -> bool:
    """V. Putin, V. V. Putin and Putin V. are Vladimir Putin: all that is written out is in the name, and the
    initials are those of what else is, from the first on.
    """
    if not any(asked.initials) or all(asked.initials):
        return False
    rest = list(own.keys)
    for key, initial in zip(asked.keys, asked.initials, strict=True):
        if not initial:
            if key not in rest:
                return False
            rest.remove(key)
    letters = [key for key, initial in zip(asked.keys, asked.initials, strict=True) if initial]
    pairs = list(zip(letters, rest, strict=False))
    return bool(pairs) and all(letter and key.startswith(letter) for letter, key in pairs)


def _part(asked: Name, own: Name) -> float:
    """What it is worth that one name is a part of the other. A character of Chinese is no name."""
    if is_run(asked.forms[0]) != is_run(own.forms[0]):
        return 0
    fewer, more = sorted((set(asked.keys), set(own.keys)), key=len)
    base, most = _PART
    return base + most * len(fewer) / len(more) if fewer < more else 0


def _mistyped(asked: Name, own: Name) -> bool:
    """Whether at most two words are wrong, each by one letter inside a long word: at its end, a letter may be
    another gender or country.
    """
    pairs: list[tuple[str, str]] = []
    for ours, theirs in ((asked.keys, own.keys), (asked.ordered, own.ordered)):
        pairs = [pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]]
        if len(asked.keys) == len(own.keys) and len(pairs) <= 2 and all(_one_letter(*pair) for pair in pairs):
            return True
    return False


def _one_letter(one: str, other: str) -> bool:
    return (
        min(len(one), len(other)) >= _SHORTEST_WITH_TYPO - 1
        and max(len(one), len(other)) >= _SHORTEST_WITH_TYPO
        and (one[0], one[-1]) == (other[0], other[-1])
        and one.isalpha()
        and OSA.distance(one, other) == 1
    )
