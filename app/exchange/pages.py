"""The scripts of JSON-LD in a page of HTML, and the address that the page gives itself.

One pass over the text, after the tokenization of HTML (https://html.spec.whatwg.org/#tokenization). A parser
of whole pages takes seconds for a page of nothing but `<`, and longer for a tag of a million attributes; here
only the tags that are wanted are handed to one.
"""

import re
from html.parser import HTMLParser

from app.base.body import LINKED, media_type
from app.base.errors import TooLarge

MOST_TAGS, MOST_SCRIPTS, LONGEST_TAG = 200_000, 1_000, 4_096
"""The tags of a page, those among them that may be wanted, and the characters in one of these."""

_BEGINS = re.compile(
    r"<(?=[!/?a-zA-Z])(?:(?P<comment>!--)|(?P<bogus>[!?]|/(?![a-zA-Z]))|/?(?P<name>[a-zA-Z][^\s/>]*+))"
)
"""A `<` that begins a tag or a comment; any other is text."""
_ENDS = re.compile(r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+>""")
"""The rest of a tag. A quote is one only where a value begins."""
_COMMENT_ENDS = re.compile("--!?>")
_RAW = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style", "textarea", "title", "iframe", "noembed", "noframes", "xmp")
}
"""The elements whose content is text up to their end tag."""


class Page:
    """The wanted parts of a page. Raises TooLarge."""

    def __init__(self, text: str) -> None:
        self.scripts: list[str] = []
        self.canonical: str | None = None
        self.unclosed = False
        """Whether the last script has no end."""
        self._text = text
        self._wanted = 0
        at = 0
        for _ in range(MOST_TAGS):
            begins = _BEGINS.search(text, at)
            if begins is None:
                return
            after = self._after(begins)
            if after is None:  # as for a browser: what is not closed reaches to the end of the page
                return
            at = after
        raise TooLarge(f"The page has more than {MOST_TAGS} tags.")

    def _after(self, begins: re.Match[str]) -> int | None:
        """Take a tag up, and return where to go on; None if it has no end."""
        if begins["comment"]:
            end = _COMMENT_ENDS.search(self._text, begins.end() - 2)  # `<!-->` is a comment
            return end and end.end()
        if begins["bogus"]:
            return self._text.find(">", begins.end()) + 1 or None
        end = _ENDS.match(self._text, begins.end())
        if end is None:
            return None
        name = begins["name"].lower()
        if begins[0].startswith("</") or name not in ("link", *_RAW):
            return end.end()
        attributes = self._attributes(name, begins.start(), end.end())
        if name == "link":
            if "canonical" in attributes.get("rel", "").lower().split():
                self.canonical = attributes.get("href") or None
            return end.end()
        closed = _RAW[name].search(self._text, end.end())
        if name == "script" and media_type(attributes.get("type", "")) == LINKED:
            if closed is None:
                self.unclosed = True
            else:
                self.scripts.append(self._text[end.end() : closed.start()])
        return closed and closed.start()

    def _attributes(self, name: str, start: int, end: int) -> dict[str, str]:
        """Return the attributes of a tag that may be wanted; of another none."""
        if name == "link":
            word = "canonical" if self.canonical is None else None
        else:
            word = "json" if name == "script" else None
        if word is None or word not in self._text[start:end].lower():
            return {}
        self._wanted += 1
        if end - start > LONGEST_TAG:
            raise TooLarge(f"The page has a {name} tag of more than {LONGEST_TAG} characters.")
        if self._wanted > MOST_SCRIPTS:
            raise TooLarge(f"The page has more than {MOST_SCRIPTS} scripts of JSON.")
        tag = _Tag()
        tag.feed(self._text[start:end])
        return tag.found


class _Tag(HTMLParser):
    """The attributes of one tag, of which HTML takes the first of each name."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        for name, value in attrs:
            self.found.setdefault(name, value or "")
