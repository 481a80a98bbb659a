"""Where quotes sit in texts: exactly, re-set in other type, nearly, or not at all."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.claims.anchors import locate, nearest_passage, same_words, surroundings
from app.claims.passages import Selector
from app.claims.typography import fold

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
@given(st.text("ab'\"- .", min_size=1, max_size=80), st.data())
def test_a_text_that_is_set_anew_keeps_its_quotes(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    quote = text[start : data.draw(st.integers(start + 1, len(text)))].strip()
    again = text.translate(RESET)
    place = locate(again, Selector(quote, start=start))
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
