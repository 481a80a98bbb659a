"""An attribution is confirmed by the words in a primary source, under the speaker's name."""

import json
from typing import Any, get_args

import pytest

from app.base import schema
from app.base.db import Database
from app.reviews.rules import PRIMARY
from app.sources.model import SourceKind
from tests.commands import Command
from tests.earlier import lay
from tests.newsroom import Bases, Json, Newsroom, Server, match, ok, problem, ruling

SITTING = """The sitting began at nine.

PRESIDENT ANNA BERG: I call Mr Novak.

Ondrej Novak (Green): Madam President, as Mr Kickl told us, the budget is a sham.
We will sell the bridge to nobody.

Jana Novak, MP: My colleague is wrong: we sold the bridge last year.

Petr Novak, answering Herbert Kickl: Now the bridge is a ruin.

Eva Malá (to Kickl): Indeed the tunnel is a ruin.

MR. HORVAT:
We never sold the bridge to anyone.
"""
SPEECH = (
    "Speech by Ondrej Novak\nVienna, 3 May 2024\n\n"
    + "The bridge is ours. " * 40
    + "\n\nHerbert Kickl was there."
)


def sourced(room: Newsroom, kind: str = "transcript", text: str | None = SITTING, **more: Any) -> str:
    source = room.source(f"https://example.org/{kind}/{len(text or '')}", "A record", kind=kind, **more)
    if text:
        ok(room.reporter.post(f"/v1/sources/{source['id']}/snapshots", json={"text": text}))
    return str(source["id"])


def people(room: Newsroom) -> None:
    for name in ("Ondrej Novak", "Jana Novak", "Herbert Kickl", "Petr Horvat", "Anna Berg"):
        room.entity(name)


def spoken(room: Newsroom, text: str, by: str, mode: str = "direct_quote", **more: Any) -> Json:
    claim = room.claim(text, mode=mode, speakers=[by], **more)
    return room.take(claim)


def proof(source: str, words: str | None = None, named: str | None = None, **more: Any) -> Json:
    found: Json = {"source": source, "stance": "supports", **more}
    if words:
        found["anchor"] = {"exact": words}
    if named:
        found["named"] = {"exact": named}
    return found


def refusal(room: Newsroom, claim: Json, *evidence: Json, place: str = "/evidence") -> str:
    body = ruling(verdict=None, attribution="confirmed", evidence=[*evidence])
    path = f"/v1/claims/{claim['id']}/reviews"
    with room.unchanged():
        answer = problem(room.checker.post(path, headers=match(room.fresh(claim)), json=body), 422, "invalid")
    [fault] = answer["errors"]
    assert fault["pointer"] == place
    return str(fault["detail"])


def confirmed(room: Newsroom, claim: Json, *evidence: Json) -> Json:
    review = room.review(claim, verdict=None, attribution="confirmed", evidence=[*evidence])
    assert room.fresh(claim)["verification"]["attribution"] == "confirmed"
    return review


SOLD = "We will sell the bridge to nobody."


def test_the_words_under_the_speaker_s_name_confirm(room: Newsroom) -> None:
    people(room)
    sitting = sourced(room)
    claim = spoken(room, SOLD, "ondrej-novak")
    review = confirmed(room, claim, proof(sitting, SOLD, "Ondrej Novak"))
    assert review["confirmed_by"] == "read"
    [shown] = review["evidence"]
    assert shown["named"] == {
        "exact": "Ondrej Novak",
        "start": SITTING.index("Ondrej"),
        "end": SITTING.index(" (Green"),
    }
    paraphrase = spoken(room, "The bridge is not for sale.", "petr-horvat", "paraphrase")
    confirmed(room, paraphrase, proof(sitting, "We never sold the bridge", "HORVAT"))


FORGED: list[tuple[str, str, str | None]] = [
    (SOLD, "herbert-kickl", "Kickl"),  # who is spoken of, and is not in the sitting
    (SOLD, "herbert-kickl", "Mr Kickl told us, the budget is a sham"),
    (SOLD, "herbert-kickl", "Ondrej Novak"),
    (SOLD, "herbert-kickl", None),
    (SOLD, "jana-novak", "Jana Novak"),  # of the same name, in a later turn
    (SOLD, "petr-horvat", "HORVAT"),
    (SOLD, "anna-berg", "PRESIDENT ANNA BERG"),  # another has the floor since
    ("We never sold the bridge to anyone.", "ondrej-novak", "Ondrej Novak"),
    ("we sold the bridge last year", "ondrej-novak", "Novak, MP"),  # another of that name
    ("we sold the bridge last year", "ondrej-novak", "Jana Novak"),
    ("the bridge is a ruin", "herbert-kickl", "Herbert Kickl"),  # who is answered to
    ("the bridge is a ruin", "ondrej-novak", "Petr Novak"),
    ("the tunnel is a ruin", "herbert-kickl", "Kickl"),
    ("We never sold the bridge to anyone.", "jana-novak", "Jana Novak"),
]


def test_the_words_of_another_are_not_confirmed(room: Newsroom) -> None:
    people(room)
    sitting = sourced(room)
    for text, speaker, named in FORGED:
        claim = spoken(room, text, speaker)
        assert "named" in refusal(room, claim, proof(sitting, text, named)), (text, speaker, named)


def test_the_passage_is_the_claim_s_own_words(room: Newsroom) -> None:
    people(room)
    sitting, name = sourced(room), "Ondrej Novak"
    quote = spoken(room, "We will sell the bridge.", "ondrej-novak")
    assert "own words" in refusal(room, quote, proof(sitting, "the budget is a sham", name))
    assert "own words" in refusal(room, quote, proof(sitting, None, name))
    refusal(room, quote, proof(sitting, "We will sell the bridge at once.", name), place="/evidence/0/anchor")
    picked = spoken(room, "The budget will nobody.", "ondrej-novak")
    some = [proof(sitting, word, name) for word in ("the budget", "will", "nobody")]
    assert "own words" in refusal(room, picked, *some)
    cut = spoken(room, "Madam President, as the budget is a sham.", "ondrej-novak")
    some = [proof(sitting, words, name) for words in ("Madam President, as", "the budget is a sham")]
    assert "own words" in refusal(room, cut, *some)
    told = spoken(room, "He would not sell.", "ondrej-novak", "paraphrase")
    assert "three words" in refusal(room, told, proof(sitting, "a sham", name))
    assert "three words" in refusal(room, told, proof(sitting, None, name))
    refusal(room, told, proof(sitting, "is a sham", "Nobody Novak"), place="/evidence/0/named")


@pytest.mark.parametrize("four_eyes", [False, True])
def test_no_article_report_or_dataset_confirms(room: Newsroom, four_eyes: bool) -> None:
    people(room)
    with room.with_settings(four_eyes=four_eyes) as here:
        kinds = sorted(set(get_args(SourceKind)) - set(PRIMARY))
        for kind in kinds[:1] if four_eyes else kinds:
            claim = spoken(here, SOLD, "ondrej-novak")
            detail = refusal(here, claim, proof(sourced(here, kind), SOLD, "Ondrej Novak"))
            assert "press conference" in detail
        assert "primary" in refusal(here, claim, {"url": "https://example.org/p", "stance": "supports"})


def test_an_official_text_confirms_and_there_is_no_way_down_past_it(bases: Bases, server: Server) -> None:
    with bases.fresh() as url:
        with Newsroom(server, url) as room:
            people(room)
            decree = sourced(room, "official_text", f"{SOLD}\n\nOndrej Novak, Minister")
            claim = spoken(room, SOLD, "ondrej-novak")
            other = spoken(room, SOLD, "herbert-kickl")
            refusal(room, other, proof(decree, SOLD, "Herbert Kickl"), place="/evidence/0/named")
            assert confirmed(room, claim, proof(decree, SOLD, "Ondrej Novak"))["confirmed_by"] == "read"
        with pytest.raises(ValueError, match="official texts, a word that the version before does not know"):
            schema.downgrade(url, "0022")
        with Newsroom(server, url) as room:
            assert room.get(f"/v1/sources/{decree}")["kind"] == "official_text"


def test_what_was_not_read_says_so(room: Newsroom) -> None:
    people(room)
    tape = sourced(room, "broadcast", None)
    claim = spoken(room, SOLD, "ondrej-novak")
    assert "locator" in refusal(room, claim, proof(tape, SOLD))
    assert "own words" in refusal(room, claim, proof(tape, None, locator="00:41:10"))
    assert "own words" in refusal(room, claim, proof(tape, "We will", locator="00:41:10"))
    review = confirmed(room, claim, proof(tape, SOLD, locator="00:41:10"))
    assert (review["confirmed_by"], review["evidence"][0]["locator"]) == ("unread", "00:41:10")
    read = spoken(room, SOLD, "herbert-kickl")  # a text at hand is read
    assert "named" in refusal(room, read, proof(sourced(room), SOLD, locator="page 3"))


def test_a_text_that_is_at_hand_is_not_passed_by(room: Newsroom) -> None:
    people(room)
    sitting = sourced(room)
    path = f"/v1/sources/{sitting}/snapshots"
    bare = ok(room.reporter.post(path, json={"sha256": "0" * 64, "length": 9}))["id"]
    claim = spoken(room, SOLD, "herbert-kickl")
    piece = proof(sitting, SOLD, "Herbert Kickl", snapshot=bare, locator="page 3")
    assert "has a text" in refusal(room, claim, piece)


def test_a_last_name_will_do_with_titles_and_initials(room: Newsroom) -> None:
    people(room)
    labels = ["Mr Novak", "O. Novak", "NOVAK", "Abg. Dr. Novak (Green)", "The Minister, Ondrej Novak"]
    text = "\n".join(f"{label}: The bridge number {n} is ours.\n" for n, label in enumerate(labels))
    sitting = sourced(room, text=text)
    for n, label in enumerate(labels):
        words = f"The bridge number {n} is ours."
        confirmed(room, spoken(room, words, "ondrej-novak"), proof(sitting, words, label))
        assert "named" in refusal(room, spoken(room, words, "petr-horvat"), proof(sitting, words, label))
    refusal(
        room,
        spoken(room, "The bridge number 1 is ours.", "jana-novak"),
        proof(sitting, "The bridge number 1 is ours.", "O. Novak"),
    )


def test_one_voice_is_named_at_the_beginning_or_end(room: Newsroom) -> None:
    people(room)
    speech = sourced(room, "speech", SPEECH + " " * 400 + "The end.")
    theirs = spoken(room, "The bridge is ours.", "ondrej-novak")
    confirmed(room, theirs, proof(speech, "The bridge is ours.", "Ondrej Novak"))
    other = spoken(room, "The bridge is ours.", "herbert-kickl")
    assert "named" in refusal(room, other, proof(speech, "The bridge is ours.", "Herbert Kickl"))


def test_a_post_is_its_own_primary_source(room: Newsroom) -> None:
    people(room)
    post = sourced(room, "social_post", "The bridge is mine.", authors=["Herbert Kickl"])
    claim = spoken(room, "The bridge is mine.", "herbert-kickl", appearances=[{"source": post}])
    assert confirmed(room, claim, proof(post))["confirmed_by"] == "read"
    room.entity("Anna Kickl")
    other = spoken(room, "The bridge is mine.", "anna-kickl", appearances=[{"source": post}])
    assert "named" in refusal(room, other, proof(post))


def test_other_names_count_and_a_merge_is_followed(room: Newsroom) -> None:
    room.entity("Ondrej Novak", aliases=[{"name": "O. Green"}])
    made = room.entity("Novak of the Greens")
    sitting = sourced(room, text="Chair: Order.\n\nO. GREEN: The bridge is ours today.\n")
    claim = spoken(room, "The bridge is ours today.", "novak-of-the-greens")
    piece = proof(sitting, "The bridge is ours today.", "O. GREEN")
    refusal(room, claim, piece)
    into = {"into": "ondrej-novak"}
    ok(room.editor.post("/v1/entities/novak-of-the-greens/merge", headers=match(made), json=into))
    confirmed(room, claim, piece)


def test_an_alias_that_is_another_s_name_confirms_nothing(room: Newsroom) -> None:
    people(room)
    alias = {"aliases": [{"name": "Ondrej NOVAK"}, {"name": "Ondrej Novak"}]}
    ok(room.reporter.patch("/v1/entities/herbert-kickl", headers={"If-Match": "*"}, json=alias))
    claim = spoken(room, SOLD, "herbert-kickl")
    assert "named" in refusal(room, claim, proof(sourced(room), SOLD, "Ondrej Novak"))


def test_evidence_that_was_gathered_before_is_held_to_it_and_so_is_a_correction(room: Newsroom) -> None:
    people(room)
    sitting, claim = sourced(room), spoken(room, SOLD, "ondrej-novak")
    path = f"/v1/claims/{claim['id']}"
    bare, whole = (
        ok(room.checker.post(f"{path}/evidence", json=proof(sitting, SOLD, named)))["id"]
        for named in (None, "Ondrej Novak")
    )
    wrong = room.review(claim, verdict=None, attribution="misattributed")
    correction = {
        "corrects": wrong["id"],
        "correction_note": "It was he.",
        "verdict": None,
        "attribution": "confirmed",
    }
    for cited, code in ((bare, 422), (whole, 201)):
        body = ruling(**correction, evidence=None, cites=[cited])
        answer = room.editor.post(f"{path}/reviews", headers=match(room.fresh(claim)), json=body)
        assert answer.status_code == code, answer.text
    bundle = ok(room.anyone.get(f"{path}/bundle"))
    assert bundle["record"]["reviews"][-1]["confirmed_by"] == "read"


def test_a_newer_text_says_anew_where_who_speaks_is_named(room: Newsroom) -> None:
    people(room)
    sitting, claim = sourced(room), spoken(room, SOLD, "ondrej-novak")
    confirmed(room, claim, proof(sitting, SOLD, "Ondrej Novak"))
    for text, start in (("Corrected. " + SITTING, 11 + SITTING.index("Ondrej")), ("Gone.", None)):
        ok(room.reporter.post(f"/v1/sources/{sitting}/snapshots", json={"text": text}))
        [shown] = room.get(f"/v1/claims/{claim['id']}/evidence")["data"]
        assert shown["named"]["start"] == start


def test_earlier_confirmations_stay_and_the_doctor_counts_them(bases: Bases, command: Command) -> None:
    with bases.fresh(migrated=False) as url:
        lay(url)
        schema.upgrade(url)
        found = json.loads(command(url, "doctor", "--json").out)
        [told] = [each for each in found if each["check"] == "attributions"]
        assert (told["state"], told["detail"][:2]) == ("warning", "2 ")


def test_there_is_no_way_down_past_a_confirmation(bases: Bases) -> None:
    with bases.fresh(migrated=False) as url:
        lay(url)
        schema.upgrade(url)
        db = Database(url)
        with db.write() as session:
            session.connection().exec_driver_sql("UPDATE evidence SET locator = '00:12:30'")
        db.dispose()
        with pytest.raises(ValueError, match="the version before cannot read"):
            schema.downgrade(url, "0015")
