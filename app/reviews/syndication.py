"""Verdicts as feed readers take them: Atom (RFC 4287) and JSON Feed 1.1."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any
from uuid import NAMESPACE_OID, uuid5
from xml.etree import ElementTree as Xml

import orjson

from app.base.times import instant
from app.reviews.verdicts import Verdict

ATOM, FEED = "application/atom+xml", "application/feed+json"

TITLE = "Verdicts"
_LONGEST_TITLE = 120
"""Characters of a claim that are in a title."""
_NEVER = "1970-01-01T00:00:00.000000Z"
"""When a feed without entries was updated, which Atom wants to know."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document may have, however it is written."""


@dataclass(frozen=True)
class Feed:
    """Some verdicts, for an address on a server."""

    home: str
    """The server, with a slash at the end."""
    address: str
    verdicts: Sequence[Verdict]

    def atom(self) -> bytes:
        """As Atom."""
        feed = Xml.Element("feed", xmlns="http://www.w3.org/2005/Atom")
        _add(feed, "id", self.address)
        _add(feed, "title", TITLE)
        _add(feed, "updated", instant(self.verdicts[0].at) if self.verdicts else _NEVER)
        _add(feed, "link", rel="self", type=ATOM, href=self.address)
        _add(_add(feed, "author"), "name", "On the Record")
        for verdict in self.verdicts:
            entry, at = _add(feed, "entry"), instant(verdict.at)
            _add(entry, "id", _id(verdict))
            _add(entry, "title", _title(verdict))
            _add(entry, "published", at)
            _add(entry, "updated", at)
            _add(_add(entry, "author"), "name", verdict.name)
            _add(entry, "link", rel="alternate", href=self._claim(verdict))
            for tag in _tags(verdict):
                _add(entry, "category", term=tag)
            _add(entry, "content", _content(verdict), type="html")
        written: bytes = Xml.tostring(feed, encoding="utf-8", xml_declaration=True)
        return written

    def json(self) -> bytes:
        """As JSON Feed."""
        return orjson.dumps(
            {
                "version": "https://jsonfeed.org/version/1.1",
                "title": TITLE,
                "home_page_url": self.home,
                "feed_url": self.address,
                "items": [self._item(verdict) for verdict in self.verdicts],
            }
        )

    def _item(self, verdict: Verdict) -> dict[str, Any]:
        at = instant(verdict.at)
        return {
            "id": _id(verdict),
            "url": self._claim(verdict),
            "title": _title(verdict),
            "content_html": _content(verdict),
            "date_published": at,
            "date_modified": at,
            "authors": [{"name": verdict.name}],
            "tags": [*_tags(verdict)],
            "_on_the_record": {"seq": verdict.seq, "claim": verdict.claim["id"], "kind": verdict.kind},
        }

    def _claim(self, verdict: Verdict) -> str:
        return f"{self.home}v1/claims/{verdict.claim['id']}"


def _add(parent: Xml.Element, name: str, text: str | None = None, **attributes: str) -> Xml.Element:
    made = Xml.SubElement(parent, name, {each: _xml(value) for each, value in attributes.items()})
    made.text = None if text is None else _xml(text)
    return made


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _id(verdict: Verdict) -> str:
    """The same wherever and whenever it is asked for, since it is made of the entry's hash."""
    return uuid5(NAMESPACE_OID, verdict.hash).urn


def _tags(verdict: Verdict) -> Iterator[str]:
    yield verdict.kind
    ruling = verdict.ruling or {}
    yield from filter(None, (ruling.get("verdict"), ruling.get("attribution")))


# --- in words ----------------------------------------------------------------------------------


def _title(verdict: Verdict) -> str:
    claim = " ".join(verdict.claim["text"].split())
    if len(claim) > _LONGEST_TITLE:
        claim = f"{claim[:_LONGEST_TITLE].rpartition(' ')[0] or claim[:_LONGEST_TITLE]}…"
    return f"{_outcome(verdict)}: {claim}"


def _outcome(verdict: Verdict) -> str:
    if verdict.kind == "withdrawal":
        return "Withdrawn"
    if verdict.kind == "reinstatement":
        return "Reinstated"
    if verdict.kind == "correction" and _is_nothing(verdict.ruling):
        return "Taken back"
    found = _ruled(verdict.ruling or {})
    return f"Corrected to {found}" if verdict.kind == "correction" else found[:1].upper() + found[1:]


def _is_nothing(ruling: Any) -> bool:
    return bool(ruling) and not any(ruling[name] for name in ("verdict", "attribution", "label"))


def _ruled(standing: Any) -> str:
    """What a review has found, if only in a desk's own wording, or how a claim stood."""
    if standing.get("verdict"):
        return str(standing["verdict"]).replace("_", " ")
    if not standing.get("attribution") and standing.get("label"):
        return str(standing["label"])
    return f"attribution {standing.get('attribution') or 'unconfirmed'}"


def _content(verdict: Verdict) -> str:
    return "".join(f"<{tag}>{escape(words)}</{tag}>" for tag, words in _paragraphs(verdict))


def _paragraphs(verdict: Verdict) -> Iterator[tuple[str, str]]:
    before = f", before: {_ruled(verdict.was)}" if verdict.was else ""
    yield "p", f"{_outcome(verdict)}{before}."
    yield "blockquote", str(verdict.claim["text"])
    yield "p", ", ".join(speaker["name"] for speaker in verdict.claim["speakers"])
    if verdict.note:
        yield "p", f"{verdict.kind.capitalize()}: {verdict.note}"
    if verdict.ruling:
        yield "p", str(verdict.ruling["summary"])
