"""The meaning of each value of each enum: what the reference says, and docs/glossary.md in the same words."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.access.model import RoleName
from app.base.types import Sort
from app.base.units import Dimension
from app.changes.hidden import Visibility
from app.claims.anchors import AnchorState
from app.claims.model import (
    Agreement,
    Attribution,
    ClaimKind,
    Comparator,
    CorrectionKind,
    FigureKind,
    Mode,
    Status,
    Verdict,
)
from app.claims.shapes import Dimension as CountedBy
from app.claims.typography import Kind as Typography
from app.entities.model import AliasKind, EntityKind
from app.erasure.model import ErasableType
from app.exchange.shapes import Mode as ImportMode
from app.exchange.shapes import Noun as Imported
from app.exchange.shapes import Outcome as RowOutcome
from app.links.model import Judgement, Relation
from app.reviews.model import ConfirmedBy, Outcome, ReviewState, Stance
from app.sources.model import SourceKind
from app.web.event_words import EVENTS
from app.words.explain import How
from app.words.index import Kind as Searched

# --- in the glossary too -----------------------------------------------------------------------

VERDICTS: Mapping[Verdict, str] = {
    "true": "accurate, with nothing of importance missing",
    "mostly_true": "accurate, but in need of clarification",
    "half_true": "partly accurate, or accurate without details of importance",
    "mostly_false": "an element of truth, without facts that would give another impression",
    "false": "not accurate",
    "misleading": "accurate words that create a false impression",
    "unsupported": "no evidence for it was found",
    "outdated": "accurate once, and no longer",
    "disputed": "credible evidence conflicts",
    "satire": "not meant to be believed",
    "not_checkable": "nothing that evidence could decide",
}

ATTRIBUTIONS: Mapping[Attribution, str] = {
    "unconfirmed": "it is open whether they said it",
    "confirmed": "they said it, as a primary source shows",
    "misquoted": "they said something like it, in other words",
    "misattributed": "another said it",
    "fabricated": "nobody said it",
    "out_of_context": "they said it, and what was around it gives it another meaning",
}

STATUSES: Mapping[Status, str] = {
    "unverified": "Nobody has ruled on it, and nobody is checking it.",
    "in_review": "Somebody has taken it.",
    "pending_approval": "A review waits for another editor (four eyes).",
    "reviewed": "A review counts.",
    "withdrawn": "It was taken back, with a public note.",
}

MODES: Mapping[Mode, str] = {
    "direct_quote": "All of the text is the speaker's words.",
    "partial_quote": "What is between quotation marks is the speaker's words.",
    "paraphrase": "The speaker's claim in somebody else's words.",
    "own_voice": "The publisher's own assertion, with nobody quoted.",
}

CLAIM_KINDS: Mapping[ClaimKind, str] = {
    "fact": "It is or was so.",
    "prediction": "It will be so, whoever does it.",
    "promise": "The speaker will see to it.",
    "opinion": "A judgement of value.",
    "position": "What the speaker is for or against.",
}

STANCES: Mapping[Stance, str] = {
    "supports": "It speaks for the claim.",
    "refutes": "It speaks against the claim.",
    "context": "It is needed to understand the claim, and decides nothing.",
}

REVIEW_STATES: Mapping[ReviewState, str] = {
    "proposed": "it waits for approval",
    "returned": "it was sent back to who proposed it",
    "published": "it counts",
    "corrected": "a later one has taken its place",
}

AGREEMENTS: Mapping[Agreement, str] = {
    "single": "One desk has ruled.",
    "unanimous": "Several have, all alike.",
    "split": "Several have, and they differ.",
}

CORRECTIONS: Mapping[CorrectionKind, str] = {
    "correction": "A later review replaced one that counted.",
    "withdrawal": "The claim was withdrawn.",
    "reinstatement": "A withdrawn claim was put back.",
}

RELATIONS: Mapping[Relation, str] = {
    "contradicts": "Both cannot be true.",
    "supports": "If one is true, so probably is the other.",
    "repeats": "It says the same again.",
}

ANCHOR_STATES: Mapping[AnchorState, str] = {
    "exact": "The very words are in the text.",
    "normalised": "The words are, with other quotation marks, dashes, spaces or line breaks.",
    "fuzzy": "Nearly the same words are. `score` and `differs` say how near.",
    "orphaned": "They are not there.",
    "unchecked": "There is no text to look in.",
}

SOURCE_KINDS: Mapping[SourceKind, str] = {
    "article": "Somebody's account, in text.",
    "transcript": "What was said, written down.",
    "statement": "A text that its author issues.",
    "speech": "A speech as published.",
    "interview": "Questions and answers.",
    "press_conference": "Its record.",
    "social_post": "A post by the speaker.",
    "broadcast": "Radio, television or a stream, or its transcript.",
    "official_text": "A law, decree, treaty or communiqué.",
    "dataset": "Numbers to compute with.",
    "report": "A study or an account of findings.",
}

FIGURE_KINDS: Mapping[FigureKind, str] = {
    "reported": "It was so, as counted or measured.",
    "estimated": "It was so, as somebody reckons.",
    "promised": "The speaker will bring it about.",
    "forecast": "It will be so, as somebody expects.",
    "target": "It is aimed at.",
    "capacity": "It is the most there can be.",
}

COMPARATORS: Mapping[Comparator, str] = {
    "eq": "exactly",
    "ge": "at least",
    "gt": "more than",
    "le": "at most",
    "lt": "fewer than",
    "approx": "about",
    "range": "from `lower` to `upper`",
}

ENTITY_KINDS: Mapping[EntityKind, str] = {
    "person": "A human being.",
    "organization": "A body that acts: company, agency, newspaper, union of states.",
    "country": "A state.",
    "place": "Any other place.",
    "project": "Something that is built or carried out.",
    "document": "A law, plan, treaty or book that claims are about.",
    "event": "What happens once.",
    "concept": "An idea or field.",
}

ALIAS_KINDS: Mapping[AliasKind, str] = {
    "name": "Another name.",
    "transliteration": "The name in another script.",
    "abbreviation": "Its letters.",
    "metonym": "A place or building that stands for it.",
    "former": "An earlier name.",
}

VISIBILITIES: Mapping[Visibility, str] = {
    "public": "Anyone may read it.",
    "internal": "Only those with a key may.",
}

ROLES: Mapping[RoleName, str] = {
    "reader": "Reads what is internal.",
    "reporter": "Enters claims, sources and entities.",
    "checker": "Takes claims and reviews them.",
    "editor": "Approves, corrects, merges, withdraws.",
    "admin": "Manages people, keys and webhooks, and orders erasures.",
}

# --- in the reference alone --------------------------------------------------------------------

OUTCOMES: Mapping[Outcome, str] = {
    "approved": "the review counts from then on",
    "returned": "it was sent back to who proposed it",
}

CONFIRMATIONS: Mapping[ConfirmedBy, str] = {
    "read": "a source's text that is kept here was read for it",
    "unread": "the checker gave the words and their place; no text here has them",
}

JUDGEMENTS: Mapping[Judgement, str] = {
    "positive": "it is so",
    "negative": "it is not so",
    "unsure": "the checker could not tell",
}

TYPOGRAPHY: Mapping[Typography, str] = {
    "invisible": "characters that show nothing, such as soft hyphens",
    "spaces": "the kind or number of spaces",
    "hyphenation": "a word parted at the end of a line",
    "line_breaks": "a line break in place of a space",
    "ligatures": "letters joined in one character, such as `ﬁ`",
    "quotes": "the form of quotation marks and apostrophes",
    "ellipsis": "three dots or one character",
    "dashes": "the form of dashes and hyphens, and the spaces around them",
}

QUESTIONS: Mapping[str, str] = {
    "actual": "how much it was: reported and estimated figures",
    "promised": "how much the speaker will bring about",
    "forecast": "how much it will be, as somebody expects",
    "target": "how much is aimed at",
    "capacity": "how much there can be at most",
}

GROUNDS: Mapping[str, str] = {
    "words": "rare words in common",
    "figure": "figures of one measure and period that agree or differ",
    "speaker": "speakers in common",
    "subject": "what both are about",
}

SEARCHED: Mapping[Searched, str] = {
    "claim": "a claim",
    "entity": "an entity",
    "source": "a source",
    "figure": "a figure with its claim",
}

IMPORTED: Mapping[Imported, str] = {
    "entity": "an entity",
    "source": "a source, perhaps with a snapshot",
    "snapshot": "a text of a source",
    "claim": "a claim with its figures and quotes",
    "review": "a review that a desk has published, with its claim",
}

IMPORT_MODES: Mapping[ImportMode, str] = {
    "all": "nothing is kept if a row is refused",
    "good": "the good rows are kept, the others refused",
}

ROW_OUTCOMES: Mapping[RowOutcome, str] = {
    "created": "a record was made",
    "unchanged": "the record was here already",
    "refused": "something is wrong in the row, and `errors` says what",
}

ERASABLE: Mapping[ErasableType, str] = {
    "claim": "a claim",
    "figure": "a figure of a claim",
    "entity": "an entity",
    "source": "a source, with its snapshots",
    "snapshot": "a text of a source",
    "review": "a review",
    "person": "a person of the newsroom",
    "evidence": "a piece of evidence",
}

HOWS: Mapping[How, str] = {
    "exact": "the word itself",
    "stem": "another form of the word",
    "prefix": "a word that begins so",
    "phrase": "the words one after the other",
    "name": "a name of the entity, such as an alias",
    "transliteration": "the word in another script",
    "spelling": "another spelling of the name",
}

ORDERS: Mapping[Sort, str] = {
    "desc": "newest or largest first",
    "asc": "oldest or smallest first",
}

CLAIM_ORDERS: Mapping[str, str] = {
    "said": "by the date on which it was said",
    "created": "by when it was recorded",
    "reviewed": "by when it was last reviewed",
    "repeats": "by how many claims repeat it",
    "reads": "by how often it was read",
}

SOURCE_ORDERS: Mapping[str, str] = {
    "created": "by when it was recorded",
    "published": "by the date of publication",
}

COUNTED_BY: Mapping[CountedBy, str] = {
    "status": "where the verification stands",
    "verdict": "the verdict",
    "attribution": "the attribution",
    "speaker": "each speaker",
    "publisher": "each publisher of a source that prints the claim",
    "topic": "each topic",
    "month": "the month in which it was said",
}

DIMENSIONS: Mapping[Dimension, str] = {
    "length": "such as `km`",
    "area": "such as `km2` or `har` (hectares)",
    "volume": "such as `m3` or `[bbl_us]` (barrels)",
    "mass": "such as `t` (tonnes)",
    "time": "such as `d` (days) or `a` (years)",
    "speed": "such as `km/h`",
    "temperature": "such as `Cel`",
    "energy": "such as `kW.h`",
    "power": "such as `MW`",
    "pressure": "such as `bar`",
    "voltage": "such as `kV`",
    "current": "`A`",
    "frequency": "such as `MHz`",
    "volume_flow": "such as `m3/a` (cubic metres a year)",
    "mass_flow": "such as `t/a` (tonnes a year)",
    "radioactivity": "`Bq`",
    "dose": "such as `mSv`",
    "data": "such as `GBy`",
    "ratio": "such as `%`",
    "percentage_points": "`{percentage_point}`",
    "count": "things that are counted, such as `{person}`; other things are not converted",
    "money": "a currency, such as `USD`; other currencies are not converted",
}


VALUES: Sequence[Mapping[Any, str]] = (
    VERDICTS,
    ATTRIBUTIONS,
    STATUSES,
    MODES,
    CLAIM_KINDS,
    STANCES,
    REVIEW_STATES,
    AGREEMENTS,
    CORRECTIONS,
    RELATIONS,
    ANCHOR_STATES,
    SOURCE_KINDS,
    FIGURE_KINDS,
    COMPARATORS,
    ENTITY_KINDS,
    ALIAS_KINDS,
    VISIBILITIES,
    ROLES,
    OUTCOMES,
    CONFIRMATIONS,
    JUDGEMENTS,
    TYPOGRAPHY,
    QUESTIONS,
    GROUNDS,
    SEARCHED,
    IMPORTED,
    IMPORT_MODES,
    ROW_OUTCOMES,
    ERASABLE,
    HOWS,
    ORDERS,
    CLAIM_ORDERS,
    SOURCE_ORDERS,
    COUNTED_BY,
    DIMENSIONS,
    EVENTS,
)
"""All of them; a test holds each to the values that its enum has."""
