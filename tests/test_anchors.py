"""Where quotes sit in texts: exactly, re-set in other type, nearly, or not at all."""

import time
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.texts import normal_text
from app.claims.anchors import (
    differences,
    locate,
    locate_all,
    nearest_passage,
    same_words,
    surroundings,
)
from app.claims.passages import Selector
from app.claims.typography import KINDS, fold, kinds_between, plain

TEXT = (
    "Путин сказал: \u201cWe hope it\u2019ll be this year\u201d \u2014 and smiled.\n\n"
    "习近平 said \u00abdriving\u2026these changes\u00bb. \U0001f600 The pipe\u00adline\u00a0is agreed.\n"
    "The pipeline is not."
)


@pytest.mark.parametrize(
    ("quote", "state", "found"),
    [
        ("We hope it\u2019ll be this year", "exact", "We hope it\u2019ll be this year"),
        ("We hope it'll be this year", "normalised", "We hope it\u2019ll be this year"),
        ('"We hope it\'ll be this year" - and smiled.', "normalised", None),
        ("driving...these changes", "normalised", "driving\u2026these changes"),
        ("The pipeline is agreed", "normalised", "The pipe\u00adline\u00a0is agreed"),
        ("is agreed. The pipeline is not", "normalised", "is agreed.\nThe pipeline is not"),
        ("习近平 said", "exact", "习近平 said"),
        ("\U0001f600 The", "exact", "\U0001f600 The"),
        ("Путин сказал", "exact", "Путин сказал"),
        ("We hope it'll be that year", "fuzzy", None),
        ("Nothing of the kind was said by anybody", "orphaned", None),
        (".*", "orphaned", None),
    ],
)
def test_a_quote_is_found_as_it_is_set(quote: str, state: str, found: str | None) -> None:
    place = locate(TEXT, Selector(quote))
    assert place.state == state
    if found is not None:
        assert TEXT[place.start : place.end] == found
    if state == "fuzzy":
        assert Decimal("0.9") <= (place.score or 0) < 1


def test_of_the_same_words_twice_the_context_tells_which() -> None:
    text = "He said no. She said no. They said no."
    assert locate(text, Selector("said no", prefix="She ")).start == text.index("She") + 4
    assert locate(text, Selector("said no", prefix="They ")).start == text.index("They") + 5
    assert locate(text, Selector("said no", suffix=". She")).start == 3
    assert locate(text, Selector("said no", start=30)).start == text.index("They") + 5
    assert locate(text, Selector("said no")).start == 3


def test_what_is_most_like_a_quote_is_shown_in_whole_words() -> None:
    assert nearest_passage(TEXT, "We hope it will be next year") is not None
    passage = nearest_passage("The parameters have all been finalised by now.", "parameters were finalised")
    assert passage is not None
    assert passage in "The parameters have all been finalised by now."
    assert nearest_passage("abc", "zzzzzzzzzzzz") is None
    assert nearest_passage("", "quote") is None


def test_the_same_words_may_be_set_differently() -> None:
    assert same_words("He said, \u201cno\u201d.", 'he said "No"')
    assert not same_words("He said no", "He said no more")


def test_what_stands_around_a_place_is_kept() -> None:
    place = locate("a" * 50 + "quote" + "b" * 50, Selector("quote"))
    assert surroundings("a" * 50 + "quote" + "b" * 50, place) == ("a" * 32, "b" * 32)


@pytest.mark.parametrize(
    ("quote", "text", "kinds"),
    [
        ('it\'s "so"', "it’s “so”", ["quotes"]),
        ("'so'", "‹so›", ["quotes"]),
        ("1914-1918, well", "1914–1918, well", ["dashes"]),
        ("so -- he said", "so—he said", ["dashes"]),
        ("wait... what", "wait… what", ["ellipsis"]),
        ("wait. . . what", "wait…what", ["ellipsis"]),
        ("so he said", "so\u00a0he  said", ["spaces"]),
        ("so he said", "so\nhe\n\nsaid", ["line_breaks"]),
        ("pipeline", "pipe\u00adline", ["invisible"]),
        ("pipeline", "pipe\u00ad\nline", ["hyphenation"]),
        ("the pipeline", "the pipe-\nline", ["hyphenation"]),
        ("well-known", "well-\nknown", ["line_breaks"]),
        ("first office", "ﬁrst oﬃce", ["ligatures"]),
        ("it's so", "it’s\nso", ["line_breaks", "quotes"]),
    ],
)
def test_typography_is_told_by_its_kind(quote: str, text: str, kinds: list[str]) -> None:
    for one, other in ((quote, text), (text, quote)):
        assert list(differences(one, other).typography) == kinds
        assert differences(one, other).words == []
    place = locate(f"He: {text}, it was.", Selector(quote))
    assert (place.state, place.start, place.end) == ("normalised", 4, 4 + len(text))


@pytest.mark.parametrize(
    ("quote", "text", "words"),
    [
        ("Some 120 people came", "Some 210 people came", [("120", "210")]),
        ("It is agreed", "It is not agreed", [("", "not")]),
        ("It is not agreed", "It is “agreed”", [("not agreed", '"agreed"')]),
        ("The pipeline is agreed", "the pipeline was agreed", [("The", "the"), ("is", "was")]),
        ("no more than that", "no more than", [("that", "")]),
    ],
)
def test_words_that_differ_are_told(quote: str, text: str, words: list[tuple[str, str]]) -> None:
    assert differences(quote, text).words == words
    assert differences(quote, text).typography == []


def test_letters_and_their_case_are_no_typography() -> None:
    assert locate("He said: the pipeline is agreed.", Selector("The pipeline is agreed")).state == "fuzzy"
    assert plain("re-sign") != plain("resign")
    assert locate("They resign today, all of them.", Selector("re-sign")).state == "orphaned"


def test_exact_is_better_than_typeset_and_that_than_nearly() -> None:
    nearly, typeset, exact = "It 's not our aim to", "It’s not our aim to", "It's not our aim to"
    text = f"{nearly}. {typeset}. {exact}."
    for state, gone in (("exact", ""), ("normalised", exact), ("fuzzy", typeset)):
        text = text.replace(gone, "Nothing") if gone else text
        place = locate(text, Selector(exact, start=0))
        assert place.state == state
        assert (
            text[place.start : place.end] == {"exact": exact, "normalised": typeset, "fuzzy": nearly}[state]
        )


def test_of_the_same_slip_in_many_places_the_context_tells_which() -> None:
    names = [f"{first}{second}" for first in "abcdefghij" for second in ("nton", "rmund", "sgard", "lovic")]
    text = " ".join(f"Then {name} said: the bridge rnay be c1osed for years. So it went." for name in names)
    for name in names:
        quote = Selector("the bridge may be closed for years.", prefix=f"Then {name} said: ")
        place = locate(text, quote)
        assert place.state == "fuzzy"
        assert text[: place.start].endswith(f"Then {name} said: ")
    last = locate(text, Selector("the bridge may be closed for years.", start=len(text)))
    assert last.start == text.rindex("the bridge")


def test_whole_words_are_better_than_parts_of_others() -> None:
    assert locate("nowhere, now", Selector("now")).start == 9
    assert locate("nowhere, now", Selector("now", start=0)).start == 0
    assert locate("nowhere", Selector("now")).state == "exact"


_WORDS = [a + b + c for a in "bdfgklmnprst" for b in "aeiou" for c in ("nder", "stal", "mmo", "ril")]
_SLIPS = {"m": "rn", "l": "1", "o": "0", "n": "ri", "d": "cl", "a": "", "e": "c"}


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32), st.integers(5, 30), st.booleans())
def test_a_quote_with_slips_is_found_where_it_was_taken_from(seed: int, length: int, typeset: bool) -> None:
    rng = Random(seed)
    words = rng.sample(_WORDS, k=len(_WORDS))
    text = ("\n" if typeset else " ").join(words)
    first = rng.randrange(len(words) - length)
    start = len(" ".join(words[:first])) + (first > 0)
    quote = text[start : start + len(" ".join(words[first : first + length]))].replace("\n", " ")
    signs = list(quote)
    for at in rng.sample(range(len(signs)), max(1, len(signs) // 25)):
        signs[at] = _SLIPS.get(signs[at], signs[at])
    place = locate(text, Selector("".join(signs)))
    assert place.state in ("fuzzy" if signs != list(quote) else "normalised", "exact")
    assert place.start is not None
    assert place.end is not None
    # A slip in the first or last letters may be taken for a letter of the passage, or left out of it.
    assert abs(place.start - start) <= 2
    assert abs(place.end - start - len(quote)) <= 2


@settings(deadline=None, max_examples=100)
@given(st.text("abcdefg ’\n", max_size=600), st.text("hijklmn '", min_size=1, max_size=300))
def test_what_is_in_other_letters_is_not_found(text: str, quote: str) -> None:
    place = locate(text, Selector(quote))
    letters = [letter for letter in quote if letter.isalpha()]
    assert not letters or place.state == "orphaned"


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32))
def test_other_words_of_the_same_letters_are_not_found(seed: int) -> None:
    rng = Random(seed)
    words, others = rng.choices(_WORDS, k=80), [word[::-1] for word in rng.choices(_WORDS, k=12)]
    assert locate(" ".join(words), Selector(" ".join(others))).state == "orphaned"


marked = st.text("ab-’'“\"….–— \n\t\u00a0\u00ad\u200bﬁ\u0301й", max_size=60)


@settings(deadline=None, max_examples=300)
@given(marked, marked)
def test_places_are_of_the_text_as_it_is_kept(before: str, quote: str) -> None:
    text = normal_text(before + quote + "\nA sentence follows.")
    folded = fold(text)
    assert len(folded.places) == len(folded.text) + 1
    assert list(folded.places) == sorted(folded.places)
    place = locate(text, Selector(normal_text(quote)))
    if place.start is not None and place.end is not None:
        assert 0 <= place.start < place.end <= len(text)
        passage = text[place.start : place.end]
        assert (place.state == "exact") == (passage == normal_text(quote))
        if place.state == "normalised":
            assert differences(normal_text(quote), passage).words == []
    assert kinds_between(text, text) == []


@settings(deadline=None, max_examples=200)
@given(marked)
def test_what_folding_leaves_as_it_is_depends_on_the_kind(text: str) -> None:
    assert fold(text, but_for=KINDS).text == text
    assert not set(fold(text).text) & set("’“”…–—\n\t\u00a0\u00ad\u200bﬁ") - {"…"}


@pytest.mark.parametrize(
    ("text", "quote", "state"),
    [
        ("a" * 1_000_000, "a" * 20_000, "exact"),
        ("a" * 1_000_000, "a" * 9_999 + "b" + "a" * 9_999, "fuzzy"),
        ("a" * 1_000_000, "b" * 20_000, "orphaned"),
        ("ab" * 500_000, "ba" * 5_000 + "c" * 10_000, "orphaned"),
        (" \u00ad-\n." * 200_000, "- " * 10_000, None),
        ("the bridge may be closed for years " * 1_000, "the bridge rnay be c1osed for years", "fuzzy"),
        ("the bridge may be closed for years " * 1_000, "the bridge may be closed for years", "exact"),
    ],
    ids=[
        "one letter",
        "one letter with a slip",
        "another letter",
        "two letters",
        "marks",
        "often, with slips",
        "often",
    ],
)
def test_hostile_texts_are_searched_in_a_moment(text: str, quote: str, state: str | None) -> None:
    begun = time.process_time()
    places = locate_all(text, [Selector(quote, prefix="c" * 500, start=n * 1_000) for n in range(5)])
    assert time.process_time() - begun < 15
    assert state is None or {place.state for place in places} == {state}


def test_a_long_text_with_many_quotes_is_searched_through() -> None:
    text = " ".join(f"word{n}" for n in range(130_000))
    for n in range(0, 100_000, 2_000):
        place = locate(text, Selector(f"word{n}  word{n + 1}"))
        assert (place.state, text[place.start : place.end]) == ("normalised", f"word{n} word{n + 1}")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@settings(deadline=None, max_examples=200)
@given(texts, st.data())
def test_any_part_of_a_text_is_found_where_it_is(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    quote = text[start : data.draw(st.integers(start, len(text)))]
    place = locate(text, Selector(quote, start=start))
    if quote:
        assert (place.state, place.start, place.end) == ("exact", start, start + len(quote))
    else:
        assert place.state == "orphaned"


RESET = str.maketrans({"'": "\u2019", '"': "\u201d", "-": "\u2014", " ": "\n"})


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(["a", "b", "'", '"', "-", " ", "..."]), min_size=1, max_size=80), st.data())
def test_a_text_that_is_set_anew_keeps_its_quotes(signs: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(signs) - 1))  # a quote does not begin within an ellipsis
    quote = "".join(signs[start : data.draw(st.integers(start + 1, len(signs)))]).strip()
    again = "".join(signs).translate(RESET)
    place = locate(again, Selector(quote, start=len("".join(signs[:start]))))
    if quote:
        assert place.state in ("exact", "normalised")
        assert fold(again[place.start : place.end]).text.strip() == fold(quote).text.strip()


@settings(deadline=None, max_examples=200)
@given(texts, texts)
def test_a_place_is_always_inside_the_text(text: str, quote: str) -> None:
    place = locate(text, Selector(quote))
    if place.start is not None and place.end is not None:
        assert 0 <= place.start < place.end <= len(text)
    passage = nearest_passage(text, quote)
    assert passage is None or passage in text
