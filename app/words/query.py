"""What may be asked: words, "exact phrases", -exclusions and beginnings*; all else is plain text."""

import re
from dataclasses import dataclass
from typing import Literal

from app.base.errors import Invalid
from app.words.text import is_run, tokens

LONGEST, MOST = 500, 32
"""How many characters a query has at most, and how many words."""

_PART = re.compile(r'(?P<minus>(?<!\S)[-−])?(?:"(?P<phrase>[^"]*)"?|(?P<plain>[^\s"]+))')


@dataclass(frozen=True)
class Wanted:
    """One thing that is looked for: `forms` has one word, or those of a phrase in order. A `name` need not be
    there: words that follow one another count for more if they are somebody's name.
    """

    how: Literal["word", "phrase", "prefix", "name"]
    forms: tuple[str, ...]
    excluded: bool = False

    @property
    def written(self) -> str:
        """As it is shown."""
        return ("" if is_run(self.forms[0]) else " ").join(self.forms) + "*" * (self.how == "prefix")


def parse(q: str) -> list[Wanted]:
    """What a query asks for. Raises Invalid if it is too long, or asks for nothing."""
    if len(q) > LONGEST:
        raise Invalid.at("q", f"has {len(q)} characters; {LONGEST} are read at most")
    wanted = list(dict.fromkeys(each for part in _PART.finditer(q) for each in _wanted(part)))
    if sum(len(each.forms) for each in wanted) > MOST:
        raise Invalid.at("q", f"has more than {MOST} words")
    if all(each.excluded for each in wanted):
        raise Invalid.at("q", "has no word to look for")
    return [*wanted, *_names(wanted)]


def _names(wanted: list[Wanted]) -> list[Wanted]:
    """Two to six words one after the other."""
    forms = [each.forms[0] if each.how == "word" and not each.excluded else "" for each in wanted]
    spans = [tuple(forms[a:b]) for a in range(len(forms)) for b in range(a + 2, min(a + 6, len(forms)) + 1)]
    return [Wanted("name", span) for span in spans if all(span)]


def _wanted(part: "re.Match[str]") -> list[Wanted]:
    excluded = part["minus"] is not None
    written = part["phrase"] if part["phrase"] is not None else part["plain"]
    forms = tuple(token.form for token in tokens(written))
    if not forms:
        return []
    if part["phrase"] is not None:
        return [Wanted("phrase" if len(forms) > 1 else "word", forms, excluded)]
    if re.search(r"\w\*$", written) and not is_run(forms[-1]):
        return [*_words(forms[:-1], excluded), Wanted("prefix", forms[-1:], excluded)]
    if excluded and len(forms) > 1:  # -Xi-Putin is without both together
        return [Wanted("phrase", forms, excluded)]
    return _words(forms, excluded)


def _words(forms: tuple[str, ...], excluded: bool) -> list[Wanted]:
    wanted: list[Wanted] = []
    run: tuple[str, ...] = ()
    for form in (*forms, ""):
        if form and is_run(form):
            run += (form,)
            continue
        if run:
            wanted.append(Wanted("phrase" if len(run) > 1 else "word", run, excluded))
            run = ()
        if form:
            wanted.append(Wanted("word", (form,), excluded))
    return wanted
