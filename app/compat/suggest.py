"""What a name, a type or a property that is being typed may become, and a few lines on each."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, or_
from sqlmodel import col

from app.base.db import ReadSession, within
from app.base.sql import select
from app.compat.candidates import read, resolved
from app.compat.properties import SOURCE, TYPES, known, name_of, shown_type, type_of, values
from app.entities.words import prepare
from app.words.model import Document, Posting, Stem
from app.words.plan import NAME
from app.words.rank import rank
from app.words.text import fold, forms, latin

PAGE = 20
_NAMES, _SOURCES = 200, 50


def entities(session: ReadSession, prefix: str, types: Sequence[str], cursor: int) -> list[dict[str, Any]]:
    """Entities a name of which begins so, and sources whose title has such words."""
    own = [*resolved(session, [prefix.strip()]).values(), *_named(session, prefix), *_titled(session, prefix)]
    records = read(session, set(own))
    found = [records[key] for key in dict.fromkeys(own) if not types or type_of(records[key]) in types]
    found.sort(key=lambda record: not _is_called(prefix, record))
    return [_suggestion(record) for record in found[cursor : cursor + PAGE]]


def _is_called(prefix: str, record: Mapping[str, Any]) -> bool:
    """Whether a name begins so, and not just a word in it."""
    names = [name_of(record), *(alias["name"] for alias in record.get("aliases", ()))]
    return record["id"] == prefix.strip() or _begins(prefix, names)


def _suggestion(record: Mapping[str, Any]) -> dict[str, Any]:
    about = record.get("description")
    return {
        "id": record["id"],
        "name": name_of(record),
        **({"description": about} if about else {}),
        "notable": [shown_type(type_of(record))],
    }


def _named(session: ReadSession, prefix: str) -> list[str]:
    words = forms(prefix)
    spelled = {" ".join(words), " ".join(map(latin, words))} - {""}
    if not spelled:
        return []
    ranges = (
        and_(col(Stem.stem) >= NAME + each, col(Stem.stem) < NAME + each[:-1] + chr(ord(each[-1]) + 1))
        for each in sorted(spelled)
    )
    query = (
        select(Stem.stem, Document.record_id)
        .join(Posting, col(Posting.stem_id) == col(Stem.id))
        .join(Document, col(Document.number) == Posting.document)
        .where(or_(*ranges))
        .order_by(col(Stem.stem), col(Document.number))
        .limit(_NAMES)
    )
    return list(dict.fromkeys(row.record_id for row in session.execute(query)))


def _titled(session: ReadSession, prefix: str) -> list[str]:
    words = forms(prefix)[:16]
    if not words:
        return []
    finding = prepare(within(session), " ".join(words) + "*")
    return [hit.record_id for hit in rank(session, finding.plan, ["source"], _SOURCES)]


def types(prefix: str, cursor: int) -> list[dict[str, Any]]:
    """Types whose id or name begins so."""
    found = [shown_type(kind) for kind, name in TYPES.items() if _begins(prefix, (kind, name))]
    return found[cursor : cursor + PAGE]


def properties(session: ReadSession, prefix: str, cursor: int) -> list[dict[str, Any]]:
    """Properties whose id, or a word of whose name, begins so."""
    return [
        {"id": each.id, "name": each.name, "description": each.description}
        for each in known(session).values()
        if _begins(prefix, (each.id, *each.name.split()))
    ][cursor : cursor + PAGE]


def _begins(prefix: str, names: Iterable[str]) -> bool:
    return any(fold(name).startswith(fold(prefix.strip())) for name in names)


# --- a few lines -------------------------------------------------------------------------------


def about(session: ReadSession, record: Mapping[str, Any], root: str) -> str:
    """A record in HTML: what it is called, what it is, and where all of it is."""
    noun = "sources" if type_of(record) == SOURCE else "entities"
    rows = [
        (each.name, ", ".join(str(value.get("name", value.get("str"))) for value in values(record, each.id)))
        for each in known(session).values()
    ]
    lines = "".join(f"<dt>{_text(name)}</dt><dd>{_text(shown)}</dd>" for name, shown in rows if shown)
    here = _text(f"{root}/v1/{noun}/{record['id']}")
    link = f'<a href="{here}" target="_blank">{here}</a>'
    return f"<h1>{_text(name_of(record))}</h1><p>{link}</p><dl>{lines}</dl>"


def about_term(name: str, description: str) -> str:
    """A type or a property in HTML."""
    return f"<h1>{_text(name)}</h1><p>{_text(description)}</p>"


def _text(value: str) -> str:
    return html.escape(value)
