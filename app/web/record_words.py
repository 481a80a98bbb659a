"""Descriptions of the properties of records in the reference.

A key is a property's name or, where that name means something else, the schema's name, a dot and the name: in
full (`EvidenceOut.source`) or without `New`, `In`, `Out`, `Found` and `Patch` (`Claim.kind`). A description
beside the field itself comes first.
"""

from collections.abc import Mapping

RECORDS: Mapping[str, str] = {
    "id": (
        "The record's id: three letters for its type, an underscore and 26 characters, such as `clm_01m8…`."
    ),
    "Claim.id": "The claim's id, `clm_…`.",
    "CorrectedClaim.id": "The claim's id, `clm_…`.",
    "FigureClaim.id": "The claim's id, `clm_…`.",
    "LinkedClaim.id": "The claim's id, `clm_…`.",
    "Entity.id": "The entity's id, `ent_…`.",
    "EntityBrief.id": "The entity's id, `ent_…`.",
    "Speaker.id": "The speaker's id, `ent_…`.",
    "Figure.id": "The figure's id, `fig_…`.",
    "FigureInClaim.id": "The figure's id, `fig_…`.",
    "Point.id": "The figure's id, `fig_…`.",
    "Source.id": "The source's id, `src_…`.",
    "SourceBrief.id": "The source's id, `src_…`.",
    "Snapshot.id": "The snapshot's id, `snp_…`.",
    "SnapshotText.id": "The snapshot's id, `snp_…`.",
    "Archived.id": "The snapshot's id, `snp_…`.",
    "Evidence.id": "The evidence's id, `evd_…`.",
    "Review.id": "The review's id, `rev_…`.",
    "Link.id": "The link's id, `lnk_…`.",
    "version": "The number of the record's version, from 1; the `ETag` of its address has it too.",
    "created_at": "The time at which it was recorded here, in UTC (RFC 3339).",
    "updated_at": "The time of its last change, in UTC (RFC 3339).",
    "name": "The name as it is shown.",
    "slug": "The short name for addresses: lower-case letters, digits and hyphens, such as `vladimir-putin`.",
    "language": "The language of the text, as a BCP 47 tag such as `en`; null if it is not recorded.",
    "url": "The address, http or https.",
    "note": "A remark in plain text; null if there is none.",
    "state": "The state of the quote in the source's text.",
    "status": "The standing of the claim.",
    "verdict": "The verdict: is it true? Null if there is none.",
    "attribution": "The attribution: did they say it? Null if there is none.",
    "claim": "The claim's id, `clm_…`.",
    "source": "The source's id, `src_…`.",
    "evidence": "The id of the evidence that quotes it, `evd_…`; null if the claim itself does.",
    "match": "Why it was found; only in a search that is in the order of relevance.",
    "review": "The id of the ruling that corrects, `rev_…`; null for a withdrawal or reinstatement.",
    "at": "The time at which it was done, in UTC (RFC 3339).",
    "text": "The claim in words.",
    "Claim.text": "The claim in words, in the language that `language` says.",
    "Claim.mode": "The relation of the text to the words that were spoken.",
    "mode": "The relation of the claim's text to the words that were spoken.",
    "Claim.kind": "The kind of assertion.",
    "original_text": (
        "The words in the language they were spoken in; null if `text` has them or they are not recorded."
    ),
    "original_language": "The language of `original_text`, as a BCP 47 tag such as `ru`; null without one.",
    "speakers": "The entities that make the claim, in order, at least one, with the titles held then.",
    "Claim.speakers": (
        "The entities that make the claim, in order, at least one, with the titles held then. One is sent "
        "as an id or slug, or with its title."
    ),
    "Claim.relayed_by": (
        "The entity that passed the claim on for its speakers, such as a spokesman; null if nobody did. It "
        "is sent as an id or slug."
    ),
    "Claim.about": "The entities that the claim is about. They are sent as ids or slugs.",
    "Figure.about": "The entities that the figure measures. They are sent as ids or slugs.",
    "FigureInClaim.about": "The entities that the figure measures.",
    "Point.about": "The entities that the figure measures.",
    "Line.about": "The entities that all figures of the line measure.",
    "Queue.about": "The meaning of the queue, in a sentence.",
    "topics": "The claim's topics, as slugs such as `energy`.",
    "said": (
        "The date on which it was said, as EDTF, such as `2023-03-21` or `2023-03`; null if it is not known."
    ),
    "occasion": (
        "The occasion on which it was said, such as a speech or interview; null if it is not recorded."
    ),
    "place": "The place where it was said, such as `Moscow`; null if it is not recorded.",
    "context": "The circumstances that a reader needs to understand the claim; null if there are none.",
    "repeats": (
        "The id of the earlier claim that this one repeats and whose verification it carries; null if it "
        "repeats none."
    ),
    "Rank.repeats": "The number of claims that repeat this one.",
    "due": "The day on which to look again, as `2030-12-31`; null if there is none.",
    "appearances": "The sources that print the claim, with the quotes in them.",
    "figures": "The numbers in the claim.",
    "Disagreement.figures": "The ids of the figures, `fig_…`.",
    "Ground.figures": (
        "The ids of two figures that are compared, `fig_…`, this claim's first; empty for other reasons."
    ),
    "verification": "The standing of the claim: status, verdict, attribution and the rest.",
    "embargoed_until": (
        "The time at which it becomes public, in UTC (RFC 3339); null or left out if none is set."
    ),
    "rank": "The counts that a list is ordered by; only with `sort=repeats` or `sort=reads`.",
    "reads": "The number of times that the claim was read in full at its own address, as counted so far.",
    "Speaker.title": (
        "The title that the speaker held then, such as `President of Russia`; null if it is not recorded."
    ),
    "AppearanceOut.source": "The source that prints it.",
    "Appearance.snapshot": (
        "The id, `snp_…`, of the snapshot that the quotes were looked for in; null if there is none."
    ),
    "anchors": "The segments of the quote in this source, in order.",
    "exact": "The words that are quoted.",
    "Converted.exact": (
        "True if the conversion is exact; false if a number has no last decimal and was cut to 38 digits."
    ),
    "prefix": "The words right before the quote, up to 500 characters; null if they are not known.",
    "suffix": "The words right after the quote, up to 500 characters; null if they are not known.",
    "start": "The place where the quote starts in the text, in code points from 0; null if it is not known.",
    "end": "The place right after the quote, in code points from 0; null if it is not known.",
    "Named.exact": "The words of the source that say who speaks.",
    "Named.start": (
        "The place where these words start, in code points from 0; null if no text at hand has them."
    ),
    "Named.end": (
        "The place right after these words, in code points from 0; null if no text at hand has them."
    ),
    "AnchorOut.score": (
        "The likeness of the quote and the text: 1 if they are the same but for typography, 0.9 to 0.999 if "
        "fuzzy; null if it was not found."
    ),
    "Quoted.score": (
        "The likeness of the quote and the text: 1 if they are the same but for typography, 0.9 to 0.999 if "
        "fuzzy; null if it was not found."
    ),
    "last_found_in": "The id of an earlier snapshot, `snp_…`, that has an orphaned quote; null otherwise.",
    "measure": "The quantity in words, such as `bilateral trade`.",
    "Series.measure": "The measure that was asked for.",
    "Figure.value": (
        "The number, an exact decimal; null for a range that has only bounds. In an answer it is a string "
        "in plain `unit`."
    ),
    "FigureInClaim.value": (
        "The number as a decimal string in plain `unit`; null for a range that has only bounds."
    ),
    "Point.value": (
        "The number as a decimal string in the figure's own plain `unit`; null for a range that has only "
        "bounds."
    ),
    "Converted.value": "The number as a decimal string in this unit; null for a range that has only bounds.",
    "lower": "The lower bound, a decimal in the same unit; null if there is none.",
    "upper": "The upper bound, a decimal in the same unit; null if there is none.",
    "value_number": "The double that is nearest to `value`, for arithmetic; null if `value` is.",
    "comparator": "The relation of the claimed amount to the number.",
    "unit": "The code of the plain unit: UCUM such as `m3`, or ISO 4217 such as `USD`.",
    "Line.unit": "The code of the unit that all points of the line are converted into.",
    "Converted.unit": "The unit that was asked for, as it was written, or the code that the line has.",
    "scale": (
        "A word that multiplies the numbers, such as `million` or `bn`; they are kept multiplied. Null for "
        "none."
    ),
    "Figure.kind": "The kind of number.",
    "FigureInClaim.kind": "The kind of number.",
    "Point.kind": "The kind of number.",
    "is_record": "True if the claim calls the number a record.",
    "period": (
        "The time that the number is of, as EDTF, such as `2022` or `2022-01/2022-06`; null if it is not "
        "known."
    ),
    "Disagreement.period": "The period that the figures share, as EDTF.",
    "Affiliation.period": (
        "The time in which the title is held, as EDTF, such as `2008-05-07/2012-05-07`; null if it is not "
        "known."
    ),
    "condition": "A condition that the number depends on, in words; null if there is none.",
    "converted": "The figure in the unit that was asked for; null if none was.",
    "Point.converted": "The figure in the unit of the line.",
    "Point.disagrees_with": (
        "The ids of the figures on this line, `fig_…`, that cannot be right if this one is."
    ),
    "FigureInClaim.claim": "The claim that the figure stands in.",
    "Figure.claim": "The claim that the figure stands in.",
    "Point.claim": "The claim that the figure stands in.",
    "Link.claim": "The claim at the first end of the link.",
    "Suggestion.claim": "The claim that is suggested.",
    "Correction.claim": "The claim that was corrected.",
    "dimension": "The dimension that the unit measures.",
    "points": "The figures in the order of their periods.",
    "Ground.points": "The part of the score that this reason adds.",
    "disagreements": "The periods in which figures of this line disagree.",
    "question": "The question that the figures answer.",
    "lines": "The lines of comparable figures, one for each set of subjects and kind of unit.",
    "complete": "True if all points are given; false if there are more, and `note` says how to go on.",
    "Series.note": "A hint on how to get the rest of the points; null if all are given.",
    "scheme": "The register that the id is from, such as `wikidata`.",
    "ExternalId.value": "The id in that register, such as `Q7747`.",
    "Entity.kind": "The kind of entity.",
    "Entity.name": "The name that the entity is shown by.",
    "EntityIn.slug": (
        "The short name for addresses: lower-case letters, digits and hyphens; null has one made of the name."
    ),
    "Facet.slug": "The slug of the speaker or publisher; left out for other values, null for none.",
    "Facet.name": "The name of the speaker or publisher; left out for other values, null for none.",
    "Facet.value": (
        "The value that is counted: a word, a slug, or the id of a speaker or publisher; null for claims "
        "that have none."
    ),
    "Entity.description": "A sentence or more on who or what it is; null if there is none.",
    "aliases": "Other names. In an answer, those of entities merged into this one are among them.",
    "Alias.name": "The other name, in any script.",
    "Alias.kind": "The kind of name.",
    "Alias.language": "The language of the name, as a BCP 47 tag; null if it is not recorded.",
    "external_ids": (
        "The entity's ids in other registers. In an answer, those of entities merged into this one are "
        "among them."
    ),
    "affiliations": "The titles that the entity holds or held at organizations.",
    "Affiliation.organization": "The organization.",
    "Affiliation.title": "The title, such as `President`.",
    "merged_into": "The entity that this one was merged into; null if it was not.",
    "Source.title": "The title under which it was published.",
    "Source.url": "The address as it was given, http or https.",
    "Source.publisher": (
        "The entity that publishes the source; null if it is not recorded. It is sent as an id or slug."
    ),
    "SourceBrief.title": "The title under which it was published.",
    "SourceBrief.publisher": "The entity that publishes the source; null if it is not recorded.",
    "authors": "The authors' names, in order.",
    "published": "The date of publication, as EDTF, such as `2023-03-22`; null if it is not known.",
    "Source.kind": "The kind of source.",
    "archive_url": (
        "The address of an archived copy elsewhere, such as the Wayback Machine; null if there is none."
    ),
    "sha256": "The SHA-256 of the text's UTF-8, after NFC and LF line ends: 64 hexadecimal digits.",
    "Snapshot.sha256": (
        "The SHA-256 of the text's UTF-8, after NFC and LF line ends: 64 hexadecimal digits. It may be null "
        "where the text is sent."
    ),
    "length": "The length of the text in code points, after NFC and LF line ends.",
    "Snapshot.length": (
        "The length of the text in code points, after NFC and LF line ends. It may be null where the text "
        "is sent."
    ),
    "retrieved_at": "The time at which the text was as it is here, in UTC (RFC 3339).",
    "text_withheld": "True if the text serves to check quotes only and is shown to checkers alone.",
    "SnapshotIn.text": (
        "The text. It is kept in NFC with LF line ends; null to record only its hash and length."
    ),
    "SnapshotText.text": (
        "The text, in NFC with LF line ends; null if it is not at hand or is withheld from you."
    ),
    "quotes": (
        "The number of quotes of the source by their state in the new text; empty if no text came to hand."
    ),
    "orphans": "The first 200 quotes that the new text does not have.",
    "Orphan.exact": "The words that were not found.",
    "Quoted.state": "The state of the quote in the snapshot's text.",
    "Quoted.snapshot": (
        "The id, `snp_…`, of the snapshot that the quote was looked for in; null if there is none."
    ),
    "found": "The passage as the source prints it; null if it was not found or no text may be shown.",
    "differs": "The differences between the quote and the passage; null if `found` is.",
    "typography": "The kinds of typography that differ; empty if the words differ or nothing does.",
    "DifferenceOut.words": "The runs of words that differ; empty if only typography does.",
    "Words.quote": "The words of the quote; empty if the text adds some.",
    "Words.text": "The words of the text in their place; empty if the quote adds some.",
    "agreement": "The agreement of desks on the verdict; null if none has given one.",
    "attribution_agreement": "The agreement of desks on the attribution; null if none has given one.",
    "VerificationOut.note": (
        "The public note of the last correction or withdrawal that holds; null if there is none."
    ),
    "VerificationOut.verdict": "The verdict that counts: that of the latest ruling. Null if there is none.",
    "lease_expires_at": (
        "The time until which the claim is its assignee's, in UTC (RFC 3339); null if nobody has taken it."
    ),
    "VerificationOut.reviewed_at": (
        "The time of the latest review that counts, in UTC (RFC 3339); null if there is none."
    ),
    "correction": "The latest correction, withdrawal or reinstatement; null if there was none.",
    "Correction.kind": "The kind of move.",
    "Correction.note": "The public note that explains it; null if there is none, as for a reinstatement.",
    "was": "The standing of the claim before.",
    "became": "The standing of the claim right after.",
    "by": "The person who made the move, or approved it; null to the public for one without a byline.",
    "corrects": "The id of the review that this one replaces, `rev_…`; null if it replaces none.",
    "StoodOut.status": "The status of the claim at that time.",
    "StoodOut.verdict": "The verdict at that time; null if there was none.",
    "EvidenceIn.source": "The source's id or URL; null if `url` says where the evidence is.",
    "EvidenceOut.source": "The source; null for a page that is only named by `url`.",
    "EvidenceIn.snapshot": (
        "The id, `snp_…`, of the snapshot to look in; null takes the newest that has a text."
    ),
    "EvidenceOut.snapshot": (
        "The id, `snp_…`, of the snapshot that the passage was looked for in; null if there is none."
    ),
    "EvidenceIn.anchor": "The passage in the source; null for the source as a whole.",
    "EvidenceOut.anchor": (
        "The passage and its place in the source; null for the source as a whole, or a page."
    ),
    "named": "The place where the source says who speaks; left out if none was given.",
    "locator": "The page, minute or other place of the words; left out if none was given.",
    "Evidence.url": "The address of the page, http or https; null if there is none.",
    "Evidence.note": "An explanation of what the evidence shows, in plain text; null if there is none.",
    "stance": "The bearing of the evidence on the claim.",
    "ReviewIn.verdict": "The verdict: is it true? Null if you rule only on the attribution.",
    "ReviewIn.attribution": "The attribution: did they say it? Null if you rule only on the verdict.",
    "Review.state": "The state of the review.",
    "ReviewOut.publisher": "The desk that publishes the ruling; null if none is recorded.",
    "Review.evidence": "The evidence that the ruling rests on.",
    "Review.explanation": "The full reasoning, in plain text; null if there is only the summary.",
    "Review.label": "The desk's own wording of the rating, such as `Pants on Fire`; null if it has none.",
    "Review.rating": (
        "The rating on the desk's own scale; null if there is none. In an answer, an ordered verdict "
        "without one has 1 to 5."
    ),
    "Review.url": "The address at which the desk has published the ruling; null if it is not known.",
    "Review.summary": "The reason, in a sentence or two.",
    "Review.reviewed_at": "The time of the ruling, in UTC (RFC 3339).",
    "actual_words": "The words that were really said, of a misquoted speaker; null if they are not recorded.",
    "actual_speaker": (
        "The entity that really said it, if the claim is misattributed; null if it is not recorded."
    ),
    "correction_note": "The public explanation of the correction; null if nothing is corrected.",
    "decision": "The decision of the second pair of eyes; null if there is none.",
    "Rating.value": "The rating, as a decimal string.",
    "Rating.best": "The best rating of the scale, as a decimal string.",
    "Rating.worst": "The worst rating of the scale, as a decimal string.",
    "DecisionOut.outcome": "The decision.",
    "Decision.note": "A word to the proposer; null if there is none.",
    "decided_by": "The person who decided; null to the public for one without a byline.",
    "decided_at": "The time of the decision, in UTC (RFC 3339).",
    "minutes": "The length of the lease in minutes, up to 43,200 (30 days); null takes the server's setting.",
    "WithdrawalIn.note": "The public reason for the withdrawal.",
    "relation": "The relation of the claims.",
    "Suggestion.relation": "The relation that the claims may have.",
    "other": "The claim at the other end of the link.",
    "judgement": "The judgement of the relation.",
    "Link.note": "The reason for the judgement; null if none was given.",
    "JudgementPatch.note": "The reason for the judgement; null if there is none.",
    "judged_by": "The person who judged; null to the public for one without a byline.",
    "judged_at": "The time of the latest judgement, in UTC (RFC 3339).",
    "Suggestion.score": "The sum of the `points` of its reasons; 100 stands for all rare words in common.",
    "Suggestion.reasons": "The reasons for the suggestion.",
    "link": (
        "The id of the link, `lnk_…`, of a checker who was not sure of this; null if nobody has judged it."
    ),
    "GroundOut.kind": "The kind of reason.",
    "GroundOut.detail": "The reason in words.",
    "MatchOut.score": "The relevance: the higher, the better. It compares within one answer only.",
    "highlights": "The texts in which words that were asked for stand.",
    "MatchOut.reasons": "The words that were asked for and where they were found.",
    "HighlightOut.field": "The name of the field that has the text.",
    "HighlightOut.text": "The whole text of the field.",
    "marks": "The places of the words in the text: start and end of each, in code points from 0.",
    "ReasonOut.word": "The word or phrase that was asked for.",
    "ReasonOut.field": "The name of the field that has it.",
    "matched": "The words that stand there.",
    "how": "The way in which they are the same.",
    "HitOut.id": "The id of what was found, such as `clm_…` or `ent_…`.",
    "HitOut.kind": "The type of what was found.",
    "HitOut.record": "The record itself, in the form that its own route has.",
    "CountOut.status": "The status that is counted; only where it was asked for.",
    "CountOut.verdict": (
        "The verdict that is counted, null for claims without one; only where it was asked for."
    ),
    "CountOut.attribution": "The attribution that is counted; only where it was asked for.",
    "CountOut.speaker": "The id of the speaker, `ent_…`; only where it was asked for.",
    "CountOut.speaker_slug": "The slug of the speaker.",
    "CountOut.speaker_name": "The name of the speaker.",
    "CountOut.publisher": (
        "The id of the publisher, `ent_…`, null for claims that no known publisher prints; only where it "
        "was asked for."
    ),
    "CountOut.publisher_slug": "The slug of the publisher; null without one.",
    "CountOut.publisher_name": "The name of the publisher; null without one.",
    "CountOut.topic": "The topic, null for claims without one; only where it was asked for.",
    "CountOut.month": (
        "The month in which it was said, such as `2023-03`, null for claims not dated to the month; only "
        "where it was asked for."
    ),
    "claims": "The number of claims.",
    "total": "The number of claims under all filters of the request.",
    "facets": (
        "The most frequent values, up to 20, of each dimension that was asked for; left out if none was."
    ),
}
