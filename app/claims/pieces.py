"""The quoted words of a claim: pieces between quotation marks, the anchors that cover them, and pieces that a
source interrupts with an attribution.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

Span = tuple[int, int]

# --- words -------------------------------------------------------------------------------------

_SPACELESS = "\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Characters of Chinese and Japanese, which have no spaces between words: each is a word here."""
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963"
    "\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a03\u0a3c-\u0a4d\u0b82\u0bbe-\u0bcd\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
)
"""Combining marks, which are no letters but make other words of the same ones."""
_WORD = re.compile(rf"(?!_)[{_SPACELESS}]|(?:(?![{_SPACELESS}_])[\w{_MARKS}])+")

SHORTEST = 3
"""Words that a segment has at least, if where it stands is to mean anything."""


def words(text: str) -> list[str]:
    """Return the words of a text, without their case and what stands between them."""
    return _WORD.findall(text.casefold())


def is_short(text: str) -> bool:
    """Return whether a text has too few words to be told from chance; two Chinese characters count as one."""
    found = words(text)
    spaceless = sum(1 for word in found if re.match(f"[{_SPACELESS}]", word))
    return len(found) - spaceless / 2 < SHORTEST


# --- what is quoted ----------------------------------------------------------------------------

_CLOSING: Mapping[str, str] = {
    '"': '"', "＂": "＂", "“": "”", "”": "”", "„": "“”", "‟": "”", "⹂": "”⹂",
    "«": "»", "»": "«»", "‹": "›", "›": "‹›",
    "‘": "’", "‚": "‘’", "‛": "’", "’": "’", "'": "'", "＇": "＇", "`": "'´’`", "´": "´",
    "「": "」", "『": "』", "｢": "｣", "〝": "〞〟", "﹁": "﹂", "﹃": "﹄",
}  # fmt: skip
"""Quotation marks of all scripts (Unicode's Quotation_Mark), with those that close what each opens."""
_APOSTROPHES = "'’＇‘‛`´"
"""Marks that are apostrophes too: they open before a word and close after one."""
_STOPS = ",.;:，。；：、 "
"""Signs at the end of a piece that are of the sentence around it."""
_EDITED = re.compile(r"\[[^\]]*\]")
_CAPITAL = re.compile(r"(?<!\w)\[(\w)\](?=\w)")


def quoted(text: str) -> list[str]:
    """Return what stands between quotation marks, without marks inside of others. What is never closed runs
    to the end of the text.
    """
    found, at = [], 0
    open_to_the_end = set[str]()
    while at < len(text):
        mark = text[at]
        closed = _closed(text, at) if mark not in open_to_the_end else None
        if closed is None:
            if mark in _APOSTROPHES and _may_open(text, at):  # nor will a later one be closed
                open_to_the_end.add(mark)
            at += 1
            continue
        piece = text[at + 1 : closed].strip().rstrip(_STOPS)
        if words(piece):
            found.append(piece)
        at = closed + 1
    return found


def _may_open(text: str, at: int) -> bool:
    """Return whether an apostrophe can be a quotation mark that opens: before a word and not in one."""
    return not text[max(at - 1, 0) : at].isalnum() and bool(text[at + 1 : at + 2].strip())


def _closed(text: str, at: int) -> int | None:
    """Where what is opened there is closed; None if nothing is."""
    mark = text[at]
    closing = _CLOSING.get(mark)
    before = text[at - 1 : at] if at else ""
    if closing is None or (mark == '"' and before.isdigit()):  # inches
        return None
    if mark in _APOSTROPHES:
        if not _may_open(text, at):
            return None
        ends = (
            n for n in range(at + 2, len(text)) if text[n] in closing and not text[n + 1 : n + 2].isalnum()
        )
        return next(ends, None)
    depth = 1
    for n in range(at + 1, len(text)):
        if text[n] in closing:
            depth -= 1
        elif text[n] == mark:
            depth += 1
        if depth == 0:
            return n
    return len(text)


def pieces(mode: str, text: str) -> list[str]:
    """Return the pieces of a claim's text that are somebody's words: of a direct quote the whole text, of a
    partial quote what stands between quotation marks, or the whole text if nothing does.
    """
    if mode == "direct_quote":
        return [text]
    if mode == "partial_quote":
        return [piece for piece in quoted(text) if _own(piece)] or [text]
    return []


def _own(piece: str) -> list[str]:
    """The words of a piece that are the speaker's own: without what an editor put in brackets."""
    return words(_EDITED.sub(" ", _CAPITAL.sub(r"\1", piece)))


# --- anchors of the pieces ---------------------------------------------------------------------


def covered(parts: Sequence[str], anchors: Sequence[str]) -> list[list[int]] | None:
    """Return for each piece the numbers of the anchors that make it up, in its order. None if an anchor is
    not of its words, or words of it are in no anchor.
    """
    owned = [_Words(_own(piece) or words(piece)) for piece in parts]
    used: list[list[tuple[int, int]]] = [[] for _ in parts]
    for n, anchor in enumerate(anchors):
        run = words(anchor)
        places = [(p, at) for p, own in enumerate(owned) if (at := own.find(run)) is not None]
        if not places:
            return None
        p, at = next((place for place in places if owned[place[0]].left[place[1]]), places[0])
        owned[p].left[at : at + len(run)] = [False] * len(run)
        used[p].append((at, n))
    return None if any(any(own.left) for own in owned) else [[n for _, n in sorted(each)] for each in used]


class _Words:
    """The words of a piece, and which of them are `left`: in no anchor yet."""

    def __init__(self, own: Sequence[str]) -> None:
        self.left = [True] * len(own)
        self._whole = _joined(own)
        self._starts = [*itertools.accumulate((len(each) + 1 for each in own), initial=0)]
        self._numbers = {start: n for n, start in enumerate(self._starts)}

    def find(self, run: Sequence[str]) -> int | None:
        """Return the first place of words that are left, or else their first place."""
        wanted = _joined(run)
        start = self._whole.find(wanted) if run else -1
        first = None if start < 0 else self._numbers[start]
        while start >= 0:
            at = self._numbers[start]
            if self.left[at]:
                return at
            if True not in self.left[at:]:
                break
            start = self._whole.find(wanted, self._starts[self.left.index(True, at)])
        return first


def _joined(run: Sequence[str]) -> str:
    return f"\0{chr(0).join(run)}\0"


def is_quotation(claim: Mapping[str, Any]) -> bool:
    """Return whether a claim, as routes show it, is in somebody's words for all that is known: its pieces
    stand in the text of a source, or no text is at hand of any source.
    """
    texts = [text for text in (claim["text"], claim["original_text"]) if text]
    versions = [found for text in texts if (found := pieces(claim["mode"], text))]
    states = {_state(versions, place) for place in claim["appearances"]}
    return bool(versions) and ("found" in states or "missing" not in states)


def _state(versions: Sequence[Sequence[str]], place: Mapping[str, Any]) -> str:
    anchors = place["anchors"]
    if not anchors:
        return "missing" if place["snapshot"] else "unchecked"
    used = [found for parts in versions if (found := covered(parts, [each["exact"] for each in anchors]))]
    if not used:
        return "missing"
    states = {each["state"] for each in anchors}
    if states == {"unchecked"}:
        return "unchecked"
    if states <= {"exact", "normalised"} and any(_in_order(anchors, found) for found in used):
        return "found"
    return "missing"


def _in_order(anchors: Sequence[Mapping[str, Any]], used: Sequence[Sequence[int]]) -> bool:
    pairs = ((anchors[one], anchors[other]) for each in used for one, other in itertools.pairwise(each))
    return all(_follows(one, other) for one, other in pairs)


def _follows(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    gap = other["start"] - one["end"]
    return 0 <= gap <= INTERRUPTION or (
        gap > 0 and not is_short(one["exact"]) and not is_short(other["exact"])
    )


# --- interrupted quotes ------------------------------------------------------------------------

INTERRUPTION = 200
"""Characters that an attribution between two segments of a quote has at most."""
_MOST_STARTS, _MOST_SEGMENTS, _MOST_STEPS = 50, 20, 5_000
_MOST_PLACES, _MOST_STEPS_OF_ALL = 20_000, 50 * _MOST_STEPS
_MOST_SIGNS = 8
"""Signs between two words of one segment."""

_SPACED = "”»«’›‹“‘」』｣〞〟﹂﹄"


def _gap(most: int) -> re.Pattern[str]:
    """A closing mark, what is outside of marks, and an opening one."""
    return re.compile(
        rf"""[,.;:!?…—–-]{{0,3}}(?:\s?(?P<close>[{_SPACED}])|(?P<straight>["'＂＇]))"""
        rf"""(?P<between>(?:[^"“”„‟«»‹›「」『』｢｣＂‘’'＇]|(?<=\w)['’](?=\w)|(?<=s)['’](?=\s)){{1,{most}}}?)"""
        r"""(?:(?P<open>[“„«‹‘‚「『｢〝﹁﹃]|(?<!\w)[”»›’])\s?|(?<!\w)(?P<again>["'＂＇]))(?=[\w(\[…])"""
    )


_FARTHEST = 10 * INTERRUPTION
_GAP, _LONG_GAP = _gap(INTERRUPTION), _gap(_FARTHEST)


def is_interruption(text: str, end: int, start: int) -> bool:
    """Return whether between two places a quotation ends, somebody is named, and it goes on."""
    return start - end <= INTERRUPTION and _goes_on(_GAP, text, end, start)


def _goes_on(gap: re.Pattern[str], text: str, end: int, start: int) -> bool:
    found = gap.match(text, end)
    return found is not None and _is_pair(found) and found.end() == start


_OMISSION = re.compile(r"…|\.{3}")


def _omits(piece: str, count: int) -> bool:
    """Return whether a piece says that something is left out after so many of its words."""
    shown = _EDITED.sub("…", _CAPITAL.sub(r"\1", piece))
    spans = [match.span() for match in _WORD.finditer(shown)]
    return 0 < count < len(spans) and bool(_OMISSION.search(shown, spans[count - 1][1], spans[count][0]))


def left_out(text: str, piece: str, segments: Sequence[tuple[str, int | None, int | None]]) -> int | None:
    """Return the number of the first segment of a piece, each with its place, that does not go on where the
    one before it ends: words of the text are left out between them, and the piece does not say so by an
    ellipsis. An attribution is not of the quote's words.
    """
    count = 0
    for n, ((exact, _, end), (_, start, _)) in enumerate(itertools.pairwise(segments), start=1):
        count += len(words(exact))
        if end is None or start is None or start < end:
            return n
        apart = start - end > _FARTHEST or words(text[end:start])
        if apart and not _omits(piece, count) and not _goes_on(_LONG_GAP, text, end, start):
            return n
    return None


def _is_pair(found: re.Match[str]) -> bool:
    if found["straight"]:
        return found["straight"] == found["again"]
    return bool(found["open"]) and found["close"] in _CLOSING[found["open"]]


class Words:
    """A text by its words, in which quotes are looked for that it interrupts by an attribution."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.places = [match.span() for match in re.finditer(r"\w+", text)]
        self.numbers = {start: n for n, (start, _) in enumerate(self.places)}
        self.of_word: dict[str, list[int]] = {}
        for n, (start, end) in enumerate(self.places):
            self.of_word.setdefault(text[start:end], []).append(n)
        self.left = _MOST_STEPS_OF_ALL

    def segments(self, quote: str) -> list[str]:
        """Return the segments of a quote that is interrupted, each of three words or more, in order and close
        to each other; none if there are no such, or none are found in so many steps.
        """
        parts = [match.span() for match in re.finditer(r"\w+", quote)]
        if len(parts) < 2 * SHORTEST or self.left <= 0:
            return []
        splitting = _Splitting(self, [quote[slice(*span)] for span in parts])
        found = splitting.segments()
        self.left -= _MOST_STEPS - splitting.left
        return [quote[parts[a][0] : parts[b - 1][1]] for a, b in found]


def interrupted(text: str, quote: str) -> list[str]:
    """Return the segments of a quote that its source interrupts by an attribution, if it does."""
    return Words(text).segments(quote)


class _Splitting:
    """The search for the segments of a quote. A text can be made in which each word may end a segment, and to
    try every way takes for ever: what led nowhere is not tried again, and steps are counted.
    """

    def __init__(self, inside: Words, words: Sequence[str]) -> None:
        self.inside, self.words = inside, words
        self.left = _MOST_STEPS
        self._dead: set[tuple[int, int]] = set()

    def segments(self) -> list[Span]:
        """The numbers of the first word of each segment, and of the one after its last."""
        places = self.inside.of_word.get(self.words[0], [])[:_MOST_PLACES]
        self.left -= len(places) // 10
        starts = (n for n in places if self._run(0, n, SHORTEST) == SHORTEST)
        found = (self._from(0, start, _MOST_SEGMENTS) for start in itertools.islice(starts, _MOST_STARTS))
        return next(filter(None, found), [])

    def _from(self, at: int, place: int, left: int) -> list[Span]:
        """The segments from the word `at` of the quote on, if it is the word `place` of the text."""
        if (at, place) in self._dead:
            return []
        self._dead.add((at, place))
        rest = len(self.words) - at
        count = self._run(at, place, rest)
        if count == rest and at and count >= SHORTEST:
            return [(at, len(self.words))]
        for size in range(min(count, rest - SHORTEST), SHORTEST - 1, -1):
            self.left -= 1
            if self.left < 0 or not left:
                return []
            after = self._after(self.inside.places[place + size - 1][1])
            if after is not None and (more := self._from(at + size, after, left - 1)):
                return [(at, at + size), *more]
        return []

    def _run(self, at: int, place: int, most: int) -> int:
        """How many words are the same from there on, with nothing but a few signs between them."""
        count = 0
        for n in range(min(most, len(self.inside.places) - place)):
            start, end = self.inside.places[place + n]
            if self.inside.text[start:end] != self.words[at + n]:
                break
            if n and start - self.inside.places[place + n - 1][1] > _MOST_SIGNS:
                break
            count += 1
        self.left -= count // 10
        return count

    def _after(self, end: int) -> int | None:
        """The number of the word at which a quotation goes on that is interrupted at a place."""
        gap = _GAP.match(self.inside.text, end)
        if gap is None or not _is_pair(gap) or gap.end() - end > INTERRUPTION:
            return None
        return next(
            (
                found
                for n in range(_MOST_SIGNS)
                if (found := self.inside.numbers.get(gap.end() + n)) is not None
            ),
            None,
        )
