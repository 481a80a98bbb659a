"""Quotes are the words of a source: every quoted piece is anchored, and interrupted ones are split."""

from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import httpx
import pytest

from app.claims.pieces import covered, interrupted, is_quotation, pieces, quoted, words
from tests.commands import Command
from tests.newsroom import Json, Newsroom, match, ok, problem
from tests.test_bundle import bundled, key_of, verified
from tests.test_claimreview import linked

TEXT = (
    "The minister spoke for an hour on Tuesday.\n\n"
    "“We will never sign the paper,” the minister’s office quoted him as saying. “The bridge is ours, and it "
    "stays ours.” He called the plan a “bad joke” and left.\n\n"
    "“No,” he said, “not now.” Asked again he would not answer whether we pay for the bridge. "
    "The paper was signed by others."
)


@pytest.fixture
def page(room: Newsroom) -> Json:
    source = room.source()
    ok(room.reporter.post(f"/v1/sources/{source['id']}/snapshots", json={"text": TEXT}))
    return source


def stated(
    room: Newsroom, page: Json, text: str, *anchors: str, mode: str = "partial_quote"
) -> httpx.Response:
    if room.anyone.get("/v1/entities/vladimir-putin").status_code == 404:
        room.entity()
    printed = [{"source": page["id"], "anchors": [{"exact": each} for each in anchors]}]
    body = {"text": text, "mode": mode, "speakers": ["vladimir-putin"], "appearances": printed}
    return room.reporter.post("/v1/claims", json=body)


def anchors(claim: Json) -> list[tuple[str, str]]:
    return [(each["exact"], each["state"]) for each in claim["appearances"][0]["anchors"]]


# --- what is quoted ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('He is "a fool" and "a liar."', ["a fool", "a liar"]),
        ("Er sei „ein Narr“, sagte sie, »ein Lügner«.", ["ein Narr", "ein Lügner"]),
        ("Il est « un fou », ‹ un autre ›.", ["un fou", "un autre"]),
        ("Han är ”en dåre” och »en tok».", ["en dåre", "en tok"]),
        ("Он «дурак, как „все“ они».", ["дурак, как „все“ они"]),
        ("他说「我们『同意』了」。", ["我们『同意』了"]),
        ("他說“好”，又說＂不＂。", ["好", "不"]),
        ("彼は〝はい〟と﹁いいえ﹂と", ["はい", "いいえ"]),
        ("She’s ‘a fool’ and the dogs' home's 'a liar's den'.", ["a fool", "a liar's den"]),
        ('A 5" nail is “in the wall”.', ["in the wall"]),
        ("He said “I heard ‘no’ from her”.", ["I heard ‘no’ from her"]),
        ("He said “we never stop", ["we never stop"]),
        ("It's nobody's.", []),
        ("He is `a fool' and ``a liar´´.", ["a fool", "`a liar"]),
        ("He said “…” and “!”.", []),
    ],
)
def test_what_stands_between_quotation_marks_is_quoted(text: str, found: list[str]) -> None:
    assert quoted(text) == found
    assert pieces("partial_quote", text) == (found or [text])
    assert pieces("direct_quote", text) == [text]
    assert pieces("paraphrase", text) == []


@pytest.mark.parametrize(
    ("piece", "anchors", "used"),
    [
        ("we hope so", ["we hope so"], [[0]]),
        ("we hope so", ["So", "We hope"], [[1, 0]]),
        ("We hope[s] for it", ["we hope", "for it"], [[0, 1]]),
        ("[W]e hope", ["We hope"], [[0]]),
        ("we … hope", ["we", "hope"], [[0, 1]]),
        ("we hope so", ["we hope"], None),
        ("we hope so", ["we hope so too"], None),
        ("we hope so", ["we so", "hope"], None),
        ("we hope so", ["we hope so", "…"], None),
        ("no no never", ["no", "no", "never"], [[0, 1, 2]]),
        ("我们同意了", ["我们", "同意了"], [[0, 1]]),
        ("कि", ["की"], None),
    ],
)
def test_anchors_are_all_words_of_the_pieces_and_no_others(
    piece: str, anchors: list[str], used: list[list[int]] | None
) -> None:
    assert covered([piece], anchors) == used


def test_words_are_letters_with_their_marks() -> None:
    assert words("Ça va_là, 5 naïfs’ coup d’œil") == ["ça", "va", "là", "5", "naïfs", "coup", "d", "œil"]
    assert words("习近平 said") == ["习", "近", "平", "said"]


# --- partial quotes ----------------------------------------------------------------------------


def test_each_piece_is_looked_up_without_being_asked_for(room: Newsroom, page: Json) -> None:
    claim = ok(
        stated(
            room, page, 'He called it a "bad joke" and that "the bridge is ours."'.replace("the", "The", 1)
        )
    )
    assert anchors(claim) == [("bad joke", "exact"), ("The bridge is ours", "exact")]
    assert linked(room, claim)[0]["@type"] == ["Claim", "Quotation"]
    cut = ("Asked again he would", "whether we pay")
    assert len(anchors(ok(stated(room, page, "He says “Asked again he would … whether we pay”.", *cut)))) == 2
    whole = ok(stated(room, page, "the minister's office"))
    assert anchors(whole) == [("the minister's office", "normalised")]


FORGED: list[tuple[str, list[str], str]] = [
    ("He says “we sell the bridge”.", [], "/text"),
    ("He says “bad joke” and “we sell it”.", [], "/text"),
    ("He says “bad joke” and “we sell it”.", ["bad joke"], "/appearances/0/anchors"),
    ("He says “we sell the bridge”.", ["the bridge"], "/appearances/0/anchors"),
    ("He says “bad joke”.", ["He called the plan a"], "/appearances/0/anchors"),
    ("He says “bad joke”.", ["bad joke", "the bridge"], "/appearances/0/anchors"),
    ("We sell the bridge.", [], "/text"),
    ("He says “ridge”.", [], "/text"),
    ("He says “ad joke”.", ["ad joke"], "/appearances/0/anchors/0"),
    ("He says “we pay for the bridge” “then", [], "/text"),
    ("He says “we sign the paper”.", ["we", "sign", "the paper"], "/appearances/0/anchors/0"),
    ("He says “We sign the paper”.", ["We", "sign", "the paper"], "/appearances/0/anchors/1"),
    ("He says “we pay never sign”.", ["we pay", "never sign"], "/appearances/0/anchors/1"),
    ("He says “The paper was signed. We will never”.", ["The paper was signed", "We will never"],
     "/appearances/0/anchors/1"),
    ("He says “Asked again he would whether we pay”.", ["Asked again he would", "whether we pay"],
     "/appearances/0/anchors/1"),  # who has left out the words between
    ("He says “Asked … again he would whether we pay”.", ["Asked again he would", "whether we pay"],
     "/appearances/0/anchors/1"),
]  # fmt: skip


def test_a_piece_that_is_made_up_is_refused(room: Newsroom, page: Json) -> None:
    room.entity()
    with room.unchanged():
        for text, segments, place in FORGED:
            answer = problem(stated(room, page, text, *segments), 422, "invalid")
            if place != "/appearances/0/anchors/0":
                assert answer["errors"][0]["pointer"] == place, text


def test_a_revision_and_an_import_are_held_to_it_too(room: Newsroom, page: Json) -> None:
    claim = ok(stated(room, page, "He called it a “bad joke”."))
    for change in (
        {"text": "He called it a “fine idea”."},
        {"appearances": [{"source": page["id"], "anchors": [{"exact": "the plan"}]}]},
    ):
        with room.unchanged():
            answer = room.reporter.patch(f"/v1/claims/{claim['id']}", headers=match(claim), json=change)
            assert problem(answer, 422, "invalid")["errors"][0]["pointer"] == "/appearances/0/anchors"
    changed = {"text": "He called it a “joke”.", "appearances": [{"source": page["id"]}]}
    fresh = ok(room.reporter.patch(f"/v1/claims/{claim['id']}", headers=match(claim), json=changed))
    assert anchors(fresh) == [("joke", "exact")]
    row = {"text": "He said “we sell it”.", "mode": "partial_quote", "speakers": ["vladimir-putin"],
           "appearances": [{"source": page["url"]}], "type": "claim"}  # fmt: skip
    with room.unchanged():
        done = room.reporter.post("/v1/import", json=row, headers={"Content-Type": "application/x-ndjson"})
    assert done.json()["results"][0]["errors"][0]["pointer"] == "/text"


def test_a_quote_that_nobody_could_check_is_one_until_a_text_comes(room: Newsroom) -> None:
    page = room.source()
    made_up = ok(stated(room, page, "He says “we sell the bridge”."))
    true = ok(stated(room, page, "He called it a “bad joke”."))
    picked = ok(
        stated(
            room,
            page,
            "He says “The paper was signed. We will never”.",
            "The paper was signed",
            "We will never",
        )
    )
    bare = room.claim("He says “so”.", mode="partial_quote")
    for claim in (made_up, true, picked, bare):
        assert linked(room, claim)[0]["@type"] == ["Claim", "Quotation"]
    ok(room.reporter.post(f"/v1/sources/{page['id']}/snapshots", json={"text": TEXT}))
    assert linked(room, true)[0]["@type"] == ["Claim", "Quotation"]
    for claim in (made_up, picked):
        assert linked(room, claim)[0]["@type"] == "Claim"
    assert linked(room, room.claim("So it is."))[0]["@type"] == "Claim"


def shown(mode: str, text: str, *places: Json, original: str | None = None) -> Json:
    return {"mode": mode, "text": text, "original_text": original, "appearances": [*places]}


def place(*anchors: Any, snapshot: str | None = "snp_1") -> Json:
    rows = [
        {"exact": exact, "state": state, "start": start, "end": start + len(exact)}
        for exact, state, start in anchors
    ]
    return {"snapshot": snapshot, "anchors": rows}


@pytest.mark.parametrize(
    ("claim", "is_one"),
    [
        (shown("partial_quote", "A “b c”.", place()), False),  # of before quotes were looked up
        (shown("partial_quote", "A “b c”.", place(snapshot=None)), True),
        (shown("partial_quote", "A “b c”.", place(("A", "exact", 0))), False),
        (shown("partial_quote", "A “b c”.", place(("b c", "fuzzy", 0))), False),
        (shown("partial_quote", "A “b c”.", place(("b c", "orphaned", 0)), place(("b c", "exact", 0))), True),
        (shown("partial_quote", "A “b c”.", place(("b c", "orphaned", 0)), place(snapshot=None)), False),
        (shown("partial_quote", "A “b c”.", place(("x", "exact", 0)), original="“x”"), True),
        (shown("direct_quote", "b c", place(("b c", "orphaned", 0))), False),
        (shown("direct_quote", "b c", place(("b", "exact", 9), ("c", "exact", 0))), False),
        (shown("direct_quote", "b c", place(("b", "exact", 0), ("c", "exact", 900))), False),
        (shown("direct_quote", "b c", place(("b", "exact", 0), ("c", "exact", 90))), True),
        (shown("paraphrase", "“b c”", place(("b c", "exact", 0))), False),
        (shown("own_voice", "“b c”", place(("b c", "exact", 0))), False),
    ],
)  # fmt: skip
def test_a_quotation_is_in_somebody_s_words(claim: Json, is_one: bool) -> None:
    assert is_quotation(claim) is is_one


# --- interrupted quotes ------------------------------------------------------------------------

BOTH = "We will never sign the paper. The bridge is ours, and it stays ours."


@pytest.mark.parametrize(
    ("mode", "text"), [("direct_quote", BOTH), ("partial_quote", f"He insists: “{BOTH}” So he says.")]
)
def test_a_quote_that_its_source_interrupts_is_split(
    room: Newsroom, page: Json, mode: str, text: str
) -> None:
    claim = ok(stated(room, page, text, mode=mode))
    segments = ["We will never sign the paper", "The bridge is ours, and it stays ours"]
    assert anchors(claim) == [(each, "exact") for each in segments]
    assert linked(room, claim)[0]["@type"] == ["Claim", "Quotation"]
    ok(stated(room, page, "No, not now.", "No,", "not now.", mode="direct_quote"))


def archived(room: Newsroom, page: Json, text: str) -> Json:
    return ok(room.reporter.post(f"/v1/sources/{page['id']}/snapshots", json={"text": text}))


ANOTHER = TEXT.replace("paper,” the minister’s office quoted him as saying. “The", "paper. The").replace(
    "ours, and it ", "ours,” he said, “and it "
)
"""The same page, which interrupts the quote at another place."""
LATER: list[tuple[str, list[str], str]] = [
    (TEXT, ["We will never sign the paper", "The bridge is ours, and it stays ours"], "Quotation"),
    (ANOTHER, ["We will never sign the paper. The bridge is ours", "and it stays ours"], "Quotation"),
    (
        f"“{BOTH}” he said.",
        ["We will never sign the paper. The bridge is ours", "and it stays ours"],
        "Quotation",
    ),
    ("Nothing of it.", ["We will never sign the paper. The bridge is ours", "and it stays ours"], "Claim"),
    (
        f"Again: {TEXT}",
        ["We will never sign the paper", "The bridge is ours, and it stays ours"],
        "Quotation",
    ),
]
"""Texts of one page, one after the other, the segments of a quote in each, and what it is published as."""


@pytest.mark.parametrize(
    ("mode", "text"), [("direct_quote", BOTH), ("partial_quote", f"He insists: “{BOTH}” So he says.")]
)
def test_a_quote_is_split_by_each_text_that_comes_after_it(
    room: Newsroom, mode: str, text: str, command: Command, tmp_path: Path
) -> None:
    page = room.source()
    claim = ok(stated(room, page, text, mode=mode))
    path = f"/v1/claims/{claim['id']}"
    assert len(anchors(claim)) == 1
    for page_text, segments, kind in LATER:
        answer = archived(room, page, page_text)
        shown = ok(room.anyone.get(path))
        state = "exact" if kind == "Quotation" else "orphaned"
        assert anchors(shown) == [(each, state) for each in segments]
        assert answer["quotes"] == {state: len(segments)}
        assert kind in linked(room, claim)[0]["@type"]
        listed = room.get(f"/v1/sources/{page['id']}/anchors", order="asc")["data"]
        assert [each["exact"] for each in listed] == segments
    orphaned, last = room.get(f"{path}/history", limit=2, order="desc")["data"][::-1]
    assert [each["action"] for each in (orphaned, last)] == ["claim.anchor", "claim.anchor"]
    assert all(each["last_found_in"] for each in orphaned["difference"]["anchors"]["new"]), "where they were"
    assert [each["exact"] for each in last["difference"]["anchors"]["old"]] == LATER[3][1]
    assert last["difference"]["anchors"]["new"][1]["position"] == 1
    done = verified(command, tmp_path / "claim.jsonld", bundled(room, claim), key_of(room))
    assert done.code == 0, done
    assert ok(room.anyone.get(f"{path}?as_of={orphaned['seq']}"))["appearances"] != shown["appearances"]


def test_a_text_that_comes_later_splits_nothing_else(room: Newsroom) -> None:
    page = room.source()
    claims = {
        text: ok(stated(room, page, text, *given, mode="direct_quote"))
        for text, *given in (
            ("We will never sign the paper whose bridge is ours",),
            ("We will never sign the pap",),  # a part of a word
            ("No, not now.",),  # too few words
            ("Asked again he would whether we pay", "Asked again he would", "whether we pay"),
            ("The plan is a bad joke and a lie", "The plan is a", "bad joke", "and a lie"),
        )
    }
    archived(room, page, f"{TEXT} “The plan is a,” said one, {'and so on ' * 21}, “bad joke and a lie.”")
    for text, claim in claims.items():
        now = room.fresh(claim)
        assert len(anchors(now)) == len(anchors(claim)), text
        assert linked(room, claim)[0]["@type"] == "Claim", text


def test_a_segment_that_stays_is_found_though_the_one_before_is_gone(room: Newsroom, page: Json) -> None:
    claim = ok(stated(room, page, BOTH, mode="direct_quote"))
    archived(room, page, "“The bridge is ours, and it stays ours,” he said, of nothing else.")
    assert [state for _, state in anchors(room.fresh(claim))] == ["orphaned", "exact"]


SPLIT = [
    ('"One two three," she said. "Four five six."', "One two three. Four five six", 2),
    ("„Eins zwei drei“, sagte sie, „vier fünf sechs.“", "Eins zwei drei, vier fünf sechs", 2),
    ("« Un deux trois », dit-elle, « quatre cinq six »", "Un deux trois, quatre cinq six", 2),
    ("»Eins zwei drei«, sagte sie. »Vier fünf sechs«", "Eins zwei drei. Vier fünf sechs", 2),
    ("‘One two three,’ Ann’s man said. ‘Four five six.’", "One two three. Four five six", 2),
    ("“A b c,” x. “D e f,” y. “G h i.”", "A b c D e f G h i", 3),
    ("One two three. “One two three,” she said, “two three four.”", "One two three two three four", 2),
    ("“One two three she,” she said. “She said four.”", "One two three she. She said four", 2),
    ("“One two,” she said. “Three four five.”", "One two three four five", 0),  # too few words
    ("“One two three,” she said. “Four five.”", "One two three. Four five", 0),
    ("“Four five six,” she said. “One two three.”", "One two three. Four five six", 0),  # another order
    ("“One two three,” she said. “Not four five six.”", "One two three. Four five six", 0),
    ("One two three and so on four five six", "One two three four five six", 0),  # no quotation marks
    ("“One two three” and “not” is “four five six”", "One two three four five six", 0),
    ('One two three "not that" four five six', "One two three four five six", 0),  # inside of marks
    (f"“One two three,” {'x' * 190}. “Four five six”", "One two three. Four five six", 2),
    (f"“One two three,” {'x' * 200}. “Four five six”", "One two three. Four five six", 0),
]


@pytest.mark.parametrize(("text", "quote", "count"), SPLIT)
def test_only_an_attribution_may_stand_between(text: str, quote: str, count: int) -> None:
    found = interrupted(text, quote)
    assert len(found) == count
    assert not found or words(" ".join(found)) == words(quote)


def test_what_cannot_be_split_says_how_to_give_anchors(room: Newsroom, page: Json) -> None:
    room.entity()
    with room.unchanged():
        answer = problem(stated(room, page, "No, not now.", mode="direct_quote"), 422, "invalid")
    assert '"anchors": [{"exact"' in answer["errors"][0]["detail"]


COSTLY: dict[str, Callable[[], object]] = {
    "apostrophes that nothing closes": lambda: quoted("'a " * 6_600),
    "marks that nothing closes": lambda: quoted("“a " * 6_600),
    "a gap after each word": lambda: interrupted(_gaps(400), f"{_words(400)} and no more"),
    "many beginnings": lambda: interrupted(
        'one two three " said he , "' * 20_000, "one two three " * 500 + "four"
    ),
    "anchors of one word over and over": lambda: covered(["x " * 10_000], ["x " * 5_000] * 100),
    "anchors of many pieces": lambda: covered(["x " * 5 + "y"] * 1_500, ["x"] * 100),
}
"""What takes seconds, or for ever, where every way is tried."""


def _words(count: int) -> str:
    return " ".join(f"word{n}" for n in range(count))


def _gaps(count: int) -> str:
    return " ".join(f'"word{n}" ,' for n in range(count))


@pytest.mark.parametrize("what", COSTLY)
def test_no_text_takes_long(what: str) -> None:
    began = process_time()
    COSTLY[what]()
    assert process_time() - began < 1
