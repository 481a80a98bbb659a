"""Text as tokens: folded, stemmed, and for names keyed by how they may be spelled.

Sources: Unicode TR15 (normal forms); the Snowball stemmers for English and Russian.
"""

import re
import threading
import unicodedata
from collections.abc import Iterator
from typing import Any, NamedTuple

from Stemmer import Stemmer
from text_unidecode import unidecode

from app.base.caches import remembered
from app.base.texts import normalised

_RUNS = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
"""Thai, Chinese, Japanese and Korean, whose words are not told apart by spaces."""

TOKEN = re.compile(
    rf"(?P<run>[{_RUNS}]+)"
    r"|(?P<initials>(?:[^\W\d_]\.){2,}[^\W\d_]?(?!\w))"
    r"|(?P<number>\d+(?:[.,]\d+)*)"
    rf"|(?P<word>[^\W\d_{_RUNS}][^\W_{_RUNS}]*(?:['’ʼ][^\W\d_{_RUNS}]+)*)"
)
"""Pieces of a text that are words, or runs of them."""

PIECES = re.compile(re.sub(r"\(\?P<\w+>", "(?:", TOKEN.pattern))
"""The same, without saying what kind each is."""

_MARKS = re.compile("[\u0300-\u036f]")
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})


class Token(NamedTuple):
    """A folded word and where it stands in the text, in code points."""

    form: str
    start: int
    end: int


def tokens(text: str) -> Iterator[Token]:
    """The words of a text. Each character of a run of Chinese and the like is one."""
    for found in TOKEN.finditer(text):
        start = found.start()
        for form, first, last in words_of(found[0]):
            yield Token(form, start + first, start + last)


@remembered
def words_of(piece: str) -> tuple[tuple[str, int, int], ...]:
    """The words of one piece of a text (`TOKEN`), each with where it stands in it: texts repeat theirs. Plain
    tuples, of which the collector keeps no account.
    """
    found = TOKEN.match(piece)
    kind = found.lastgroup if found else None
    if kind == "run":
        folded = (normalised("NFKC", character) for character in piece)
        return tuple((form, n, n + 1) for n, form in enumerate(folded))
    if kind == "number":
        return ((_digits(piece), 0, len(piece)),)
    form = fold(piece.replace(".", "") if kind == "initials" else piece)
    return ((form, 0, len(piece)),) if form else ()


def _digits(number: str) -> str:
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", number):
        number = number.replace(",", "")
    return "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in number.replace(",", "."))


def forms(text: str) -> list[str]:
    """The words of a text as `tokens` has them, without their places."""
    found: list[str] = []
    for piece in PIECES.findall(text):
        found += _forms_of(piece)
    return found


@remembered
def _forms_of(piece: str) -> tuple[str, ...]:
    return tuple(form for form, _start, _end in words_of(piece))


def fold(word: str) -> str:
    """Without case, accents, apostrophes and the English possessive."""
    plain = normalised("NFKD", word.casefold())
    plain = normalised("NFC", _MARKS.sub("", plain)).translate(_PLAIN)
    plain = re.sub(r"['’ʼ]s$", "", plain)
    return re.sub(r"['’ʼ]", "", plain)


def is_run(form: str) -> bool:
    """Whether it is of a script without spaces between words."""
    return form[:1] >= "\u0e00" and bool(re.match(rf"[{_RUNS}]", form))


# --- stems -------------------------------------------------------------------------------------

_own = threading.local()  # a stemmer keeps the word that it works on

_AMERICAN = {
    "aluminium": "aluminum", "cheque": "check", "defence": "defense", "grey": "gray", "licence": "license",
    "offence": "offense", "plough": "plow", "pretence": "pretense", "sceptic": "skeptic",
    "sceptical": "skeptical", "tyre": "tire", "tyres": "tires",
}  # fmt: skip
_SPELLINGS = [
    (re.compile(r"(?<=...)is(?=(?:e|ed|es|er|ers|ing|ation|ations)$)"), "iz"),
    (re.compile(r"(?<=..)ys(?=(?:e|ed|es|er|ers|ing)$)"), "yz"),
    (re.compile(r"(?<=..)our(?=(?:s|ed|ing|able|ful|less|ite|ites|hood)?$)"), "or"),
    (re.compile(r"(?<=..)([tb])re(?=s?$)"), r"\1er"),
    (re.compile(r"(?<=...)ll(?=(?:ed|ing|er|ers)$)"), "l"),
    (re.compile(r"(?<=.)mme(?=s?$)"), "m"),
    (re.compile(r"(?<=..)ogue(?=s?$)"), "og"),
]


@remembered
def stem(form: str) -> str:
    """What the forms of one word share: `finalised` and `finalized` are `final`."""
    if form.isascii() and form.isalpha():
        form = _AMERICAN.get(form, form)
        for spelling, american in _SPELLINGS:
            form = spelling.sub(american, form)
        return _stemmed("english", form)
    if re.fullmatch(r"[\u0400-\u04ff]+", form):
        return _stemmed("russian", form)
    return form


@remembered
def stem_of(piece: str) -> str:
    """The stem of the one word in a piece of a text; empty if there is none, or several."""
    words = words_of(piece)
    return stem(words[0][0]) if len(words) == 1 else ""


def _stemmed(language: str, form: str) -> str:
    stemmer: Any = getattr(_own, language, None)
    if stemmer is None:
        stemmer = Stemmer(language, 0)  # what it would keep, `stem` keeps
        setattr(_own, language, stemmer)
    stemmed: str = stemmer.stemWord(form)
    return stemmed or form


# --- names -------------------------------------------------------------------------------------

_ALIKE = [
    (re.compile(pattern), key)
    for pattern, key in (
        ("[^a-z]", ""), ("[jy]", "i"), ("x", "ks"), ("w", "v"), ("q|ck", "k"), ("ph", "f"), ("kh", "h"),
        ("gh", "g"), ("t?sch|tsh", "sh"), ("tch", "ch"), ("ou|ue", "u"), ("oe", "o"), ("ae", "a"),
        (r"(.)\1+", r"\1"), ("^ie", "e"), ("iei", "i"), ("er$", "r"),
    )
]  # fmt: skip


@remembered
def latin(form: str) -> str:
    """A word in Latin letters."""
    return form if form.isascii() else fold(unidecode(form)).replace(" ", "")


@remembered
def spelling(form: str) -> str:
    """What the spellings of one name share: Zelensky, Zelenskiy, Zelenskyy and Зеленский are `zelenski`."""
    key = latin(form)
    for pattern, alike in _ALIKE:
        key = pattern.sub(alike, key)
    return key
