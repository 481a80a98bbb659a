"""The guide: the files of `docs/`, served as pages."""

import base64
import hashlib
import html
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.base import schema
from app.base.errors import NotFound

router = APIRouter(include_in_schema=False)

# Raw HTML in a file is shown as text.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --link: light-dark(#0550ae, #79b8ff) }
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 54rem; margin: 0 auto; padding: 1rem 1.25rem 4rem }
nav { display: flex; gap: 1.5rem; padding-bottom: .5rem; border-bottom: 1px solid var(--line) }
nav.end { padding: 1rem 0 0; margin-top: 3rem; border: 0; border-top: 1px solid var(--line) }
a { color: var(--link); text-underline-offset: .15em }
h1, h2, h3 { line-height: 1.25; margin: 2em 0 .6em }
h1 { margin-top: 1em }
code { font: .875em/1.5 ui-monospace, monospace; background: var(--soft); padding: .1em .3em }
pre { overflow-x: auto; line-height: 1.35; background: var(--soft); border-radius: .4em; padding: .8em 1em }
pre code { background: none; padding: 0; line-height: inherit }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .9375em }
th, td { text-align: left; vertical-align: top; padding: .35em .8em .35em 0 }
th, td { border-bottom: 1px solid var(--line) }
"""

_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Page:
    """A page of the guide. It is rendered when it is first asked for, and kept."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def text(self) -> str:
        """The Markdown of the page."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def title(self) -> str:
        """The first heading, without its mark-up."""
        found = re.search(r"^# +(.+)$", self.text, re.MULTILINE)
        return found[1].replace("`", "") if found else self.path.stem

    @cached_property
    def html(self) -> bytes:
        """The page as a browser shows it."""
        tokens = _MARKDOWN.parse(self.text)
        _name_headings(tokens)
        _lead_links(tokens)
        body = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
        body = body.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8">'
            f"<title>{html.escape(self.title)}: On the Record</title>"
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
            f'<nav><a href="/guide">Guide</a><a href="/docs">API reference</a></nav>'
            f"<main>{body}</main>{_next(self)}</html>"
        ).encode()


PAGES = {path.stem: Page(path) for path in sorted((schema.ROOT / "docs").glob("*.md"))}
"""The pages by name. Nothing else is served: what a request names is looked up here, never in a directory."""


@router.get("/guide")
def index() -> Response:
    """Return the list of guides in reading order."""
    return page("index")


@router.get("/guide/{name}")
def page(name: str) -> Response:
    """Return a page of the guide."""
    if name not in PAGES:
        raise NotFound("The guide has no such page; /guide lists those that it has.")
    return HTMLResponse(PAGES[name].html, headers={"Content-Security-Policy": _POLICY})


def _name_headings(tokens: Sequence[Token]) -> None:
    """Give each heading the id by which links name it: its words in lower case, with hyphens."""
    seen: dict[str, int] = {}
    for heading, content in pairwise(tokens):
        if heading.type == "heading_open":
            words = "".join(child.content for child in content.children or ())
            name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            count = seen[name] = seen.get(name, -1) + 1
            heading.attrSet("id", f"{name}-{count}" if count else name)


def _lead_links(tokens: Sequence[Token]) -> None:
    """Lead links between files from page to page. A file outside the guide is named and not linked."""
    for link, close in _links(tokens):
        target = str(link.attrGet("href"))
        file, mark, anchor = target.partition("#")
        if re.match(r"[a-z]+:|#", target):
            continue
        if (name := file.removesuffix(".md")) in PAGES:
            link.attrSet("href", f"/guide{'' if name == 'index' else f'/{name}'}{mark}{anchor}")
        else:
            link.tag = close.tag = "span"
            link.attrs = {"title": file.removeprefix("../")}


def _links(tokens: Sequence[Token]) -> Iterator[tuple[Token, Token]]:
    """Yield the two ends of each link."""
    for token in tokens:
        ends = [child for child in token.children or () if child.type in ("link_open", "link_close")]
        yield from zip(ends[::2], ends[1::2], strict=True)


def _next(shown: Page) -> str:
    """Return a link to the page that follows in reading order, which is that of the index."""
    if "index" not in PAGES:
        return ""
    names = ["index", *re.findall(r"\]\((\w+)\.md\)", PAGES["index"].text)]
    after = dict(pairwise(names)).get(shown.path.stem)
    if after not in PAGES:
        return ""
    return f'<nav class="end"><a href="/guide/{after}">Next: {html.escape(PAGES[after].title)}</a></nav>'
