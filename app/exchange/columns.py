"""The columns of the feeds, in the order of their rows."""

from app.exchange.formats import Column, Kind


def _plain(kind: Kind, /, **docs: str) -> list[Column]:
    """Columns that are never null."""
    return [Column(name, kind, doc) for name, doc in docs.items()]


def _maybe(kind: Kind, /, **docs: str) -> list[Column]:
    """Columns that may be null."""
    return [Column(name, kind, doc, null=True) for name, doc in docs.items()]


_SPEAKERS = (
    *_plain("text", speaker="The first speaker's id.", speaker_slug="The first speaker's slug."),
    *_plain("text", speaker_name="The first speaker's name."),
    *_maybe("text", speaker_title="The title that the first speaker held at the time."),
    *_plain("text", speakers="The names of all speakers, in order."),
)
_WORDS = (
    *_plain("text", id="The claim's id.", text="What is claimed."),
    *_plain("text", mode="How its words are kept: direct_quote, partial_quote, paraphrase or own_voice."),
    *_plain("text", kind="fact, prediction, promise, opinion or position."),
    *_maybe("text", language="The language of the text (BCP 47)."),
    *_maybe("text", original_text="The words as they were said, if that was in another language."),
    *_maybe("text", original_language="The language of those words."),
)
_SUBJECTS = (
    *_maybe("text", relayed_by="Who passed it on: the id.", relayed_by_name="Their name."),
    *_maybe("text", about="Whom or what it is about: names."),
    *_maybe("text", about_slugs="Their slugs, in the same order."),
)
_TOPICS = _maybe("text", topics="Its topics.")
_DATE = (
    *_maybe("text", said="When it was said (EDTF)."),
    *_maybe("day", said_earliest="The first day that `said` covers; null if undated or open."),
    *_maybe("day", said_latest="The last day that `said` covers; null if undated or open."),
)
_OCCASION = (
    *_maybe("text", occasion="On what occasion.", place="Where.", context="What it was part of."),
    *_maybe("text", repeats="The id of the claim that it repeats."),
    *_maybe("day", due="When to look again."),
)
_PRINTED = (
    *_maybe("text", source="The first source that prints it: the id."),
    *_maybe("text", source_title="Its title.", source_url="Its address."),
    *_maybe("text", publisher="Who publishes that source: the id.", publisher_name="Their name."),
    *_maybe("text", source_urls="The addresses of all sources that print it."),
    *_plain("count", sources="How many sources print it."),
)
_NUMBERS = _plain("count", figures="How many figures it has.")
_CORRECTION = (
    *_maybe("text", correction="What it met with last: correction, withdrawal or reinstatement."),
    *_maybe("instant", corrected_at="When."),
    *_maybe("text", correction_note="Why, for everyone to read."),
    *_maybe("text", was_status="Its status before.", was_verdict="Its verdict before."),
    *_maybe("text", was_attribution="Its attribution before."),
)
_STANDING = (
    *_plain("text", status="unverified, in_review, pending_approval, reviewed or withdrawn."),
    *_maybe("text", verdict="Whether it is true; null until it is ruled on."),
    *_plain("text", attribution="Whether they said it."),
    *_maybe("text", agreement="Whether desks agree on the verdict: single, unanimous or split."),
    *_maybe("text", attribution_agreement="Whether they agree on the attribution."),
    *_maybe("text", assignee="The person who has taken it: their id."),
    *_maybe("instant", reviewed_at="When it was last ruled on."),
    *_maybe("text", note="The public note of the last correction or withdrawal that holds."),
    *_CORRECTION,
)
_RECORD = (
    *_plain("count", version="How many times the record was written."),
    *_plain("instant", created_at="When it was recorded.", updated_at="When the record last changed."),
)
CLAIM = (
    *(*_WORDS, *_SPEAKERS, *_SUBJECTS, *_TOPICS, *_DATE, *_OCCASION, *_PRINTED),
    *(*_NUMBERS, *_STANDING, *_RECORD),
)

FIGURE = (
    *_plain("text", id="The figure's id.", measure="What is measured."),
    *_maybe("text", about="Whom or what it measures: names."),
    *_maybe("exact", value="The number, exactly; null for a range.", lower="The least.", upper="The most."),
    *_maybe("number", value_number="The number as the nearest double."),
    *_plain("text", comparator="eq, ge, gt, le, lt, approx or range.", unit="UCUM or ISO 4217 code."),
    *_plain("text", display="The number as a person writes it: as it was sent, or `€340 million`."),
    *_plain("text", kind="reported, estimated, promised, forecast, target or capacity."),
    *_plain("flag", is_record="Whether it is called a record."),
    *_maybe("text", period="The time that it is of (EDTF)."),
    *_maybe(
        "day", period_earliest="The first day that `period` covers; null if there is none or it is open."
    ),
    *_maybe("day", period_latest="The last day that `period` covers; null if there is none or it is open."),
    *_maybe("text", condition="On what condition."),
    *_plain("text", claim="The claim that it stands in: the id.", claim_text="What is claimed."),
    *_plain("text", claim_mode="How the claim's words are kept."),
    *_SPEAKERS,
    *_DATE,
    *_plain("text", status="The claim's status."),
    *_maybe("text", verdict="The claim's verdict; null until it is ruled on."),
    *_plain("text", attribution="Whether they said it."),
    *_maybe("text", correction="What the claim met with last: correction, withdrawal or reinstatement."),
    *_maybe("instant", corrected_at="When."),
    *_plain("instant", updated_at="When the claim last changed."),
)

ENTITY = (
    *_plain("text", id="The entity's id.", slug="Its slug."),
    *_plain("text", kind="person, organization, country, place, project, document, event or concept."),
    *_plain("text", name="Its name."),
    *_maybe("text", description="What it is."),
    *_maybe("text", aliases="Its other names, also of those merged into it."),
    *_maybe("text", external_ids="Its ids in other registers, such as wikidata:Q7747."),
    *_maybe("text", titles="The titles that it holds, each with the organization's name."),
    *_RECORD,
)

REVIEW = (
    *_plain("text", id="The review's id.", claim="The claim that it rules on: the id."),
    *_plain("text", state="proposed, returned, published or corrected."),
    *_maybe("text", publisher="The desk's id, if not this one.", publisher_name="Its name."),
    *_maybe(
        "text",
        reviewer="Who ruled: a person's id; empty to the public.",
        reviewer_name="Their name; to the public the byline that they chose.",
    ),
    *_plain("flag", entered="Whether the desk has published it elsewhere, and somebody entered it here."),
    *_maybe("text", verdict="Whether the claim is true.", attribution="Whether they said it."),
    *_maybe("text", actual_words="The words that were really said, if it was misquoted."),
    *_maybe(
        "text", actual_speaker="Who said it, if misattributed: the id.", actual_speaker_name="Their name."
    ),
    *_maybe("text", label="The desk's own wording."),
    *_maybe("exact", rating="The rating, on the desk's own scale or that of the verdict."),
    *_maybe("number", rating_number="The rating as the nearest double."),
    *_maybe("exact", rating_best="The best on that scale.", rating_worst="The worst on that scale."),
    *_plain("text", summary="The reason, in a sentence or two."),
    *_maybe("text", explanation="The reason at length.", url="Where the review is published."),
    *_plain("count", evidence="How many pieces of evidence it rests on."),
    *_maybe("text", evidence_urls="The addresses of these."),
    *_plain("instant", reviewed_at="When it was ruled."),
    *_maybe("text", corrects="The review that it corrects: the id.", correction_note="What was wrong."),
    *_maybe("text", decision="approved or returned, if a second pair of eyes was needed."),
    *_maybe("text", decision_note="A word to who proposed it."),
    *_maybe("instant", decided_at="When that was decided."),
    *_plain("instant", created_at="When it was recorded."),
)

LINK = (
    *_plain("text", id="The link's id.", claim="The claim: its id.", claim_text="What is claimed."),
    *_plain("text", relation="What it is to the other: contradicts, supports or repeats."),
    *_plain("text", other="The other claim: its id.", other_text="What is claimed there."),
    *_plain("text", judgement="Whether it is that: positive, negative or unsure."),
    *_maybe("text", note="Why."),
    *_maybe(
        "text",
        judged_by="Who judged: a person's id; empty to the public.",
        judged_by_name="Their name; to the public the byline that they chose.",
    ),
    *_plain("instant", judged_at="When that was judged."),
    *_plain("count", version="How many times it was judged."),
    *_plain("instant", created_at="When it was first judged."),
)
