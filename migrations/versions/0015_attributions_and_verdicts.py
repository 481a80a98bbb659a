"""Attributions and verdicts in today's words: `altered` is `misquoted`, that somebody else said it is ruled as
an attribution alone, and `fabricated`, `out_of_context` and `disputed` are new. The ledger stays as it is.

What is derived from claims shows the words, so it is taken away: `python -m app migrate` makes it anew.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

from app.base.types import Id, Json

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_VERDICTS = (
    "true",
    "mostly_true",
    "half_true",
    "mostly_false",
    "false",
    "misleading",
    "unsupported",
    "outdated",
)
_BEFORE = {
    "verdict": (*_VERDICTS, "misattributed", "satire", "not_checkable"),
    "attribution": ("unconfirmed", "confirmed", "altered", "misattributed"),
}
_SINCE = {
    "verdict": (*_VERDICTS, "disputed", "satire", "not_checkable"),
    "attribution": ("unconfirmed", "confirmed", "misquoted", "misattributed", "fabricated", "out_of_context"),
}
_FIELDS = {
    "claim": ("verdict", "attribution", "agreement", "attribution_agreement", "correction"),
    "review": ("verdict", "attribution"),
}
_TABLES = {
    "claim": sa.table(
        "claims",
        sa.column("id", Id()),
        sa.column("repeats_id", Id()),
        sa.column("correction", Json()),
        *(sa.column(name, sa.Text()) for name in _FIELDS["claim"][:4]),
    ),
    "review": sa.table(
        "reviews", sa.column("id", Id()), *(sa.column(name, sa.Text()) for name in _FIELDS["review"])
    ),
}
_DIFFERENCE = "coalesce(changes.difference, change_values.difference)"
_ENTRIES = (
    f"SELECT changes.seq, changes.resource, changes.resource_id, {_DIFFERENCE} AS difference "
    "FROM changes LEFT JOIN change_values ON change_values.seq = changes.seq "
)


def upgrade() -> None:
    _drop_checks()
    op.execute(
        "UPDATE claims SET attribution = 'misattributed', attribution_agreement = coalesce("
        "attribution_agreement, CASE agreement WHEN 'split' THEN 'single' ELSE agreement END) "
        "WHERE verdict = 'misattributed' AND attribution = 'unconfirmed' AND repeats_id IS NULL"
    )
    op.execute("UPDATE claims SET verdict = NULL, agreement = NULL WHERE verdict = 'misattributed'")
    op.execute(
        "UPDATE reviews SET attribution = 'misattributed' "
        "WHERE verdict = 'misattributed' AND coalesce(attribution, 'unconfirmed') = 'unconfirmed'"
    )
    op.execute("UPDATE reviews SET verdict = NULL WHERE verdict = 'misattributed'")
    for table in ("claims", "reviews"):
        op.execute(f"UPDATE {table} SET attribution = 'misquoted' WHERE attribution = 'altered'")
    _translate_corrections()
    _add_checks(_SINCE)
    op.execute("DELETE FROM claim_bodies")


def _translate_corrections() -> None:
    claims = _TABLES["claim"]
    corrected = sa.select(claims.c.id, claims.c.repeats_id, claims.c.correction)
    for row in op.get_bind().execute(corrected.where(claims.c.correction.is_not(None))).all():
        was = dict(row.correction["was"])
        if was["attribution"] == "altered":
            was["attribution"] = "misquoted"
        if was["verdict"] == "misattributed":
            was["verdict"] = None
            if row.repeats_id is None and was["attribution"] == "unconfirmed":
                was["attribution"] = "misattributed"
        if was != row.correction["was"]:
            _set("claim", row.id, {"correction": {**row.correction, "was": was}})


def downgrade() -> None:
    _refuse_todays_words()
    _drop_checks()
    for (resource, record_id), state in _states_in_the_words_of_before().items():
        _set(resource, record_id, {name: state.get(name) for name in _FIELDS[resource]})
    _add_checks(_BEFORE)
    op.execute("DELETE FROM claim_bodies")


def _refuse_todays_words() -> None:
    words = {
        name: {f'"{word}"' for word in {*_SINCE[name]} - {*_BEFORE[name]}}
        for name in ("verdict", "attribution")
    }
    for seq, _, difference in _entries_with(*(word for some in words.values() for word in some)):
        was = ((difference.get("correction") or {}).get("new") or {}).get("was") or {}
        for name, some in words.items():
            told = [*difference.get(name, {}).values(), was.get(name)]
            for word in told:
                if f'"{word}"' in some:
                    raise ValueError(
                        f"Entry {seq} has the {name} {word}, which the version before does not know: "
                        "restore a backup from before the upgrade instead"
                    )


def _states_in_the_words_of_before() -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """What entries make of the records whose rows were translated, or may have been."""
    states: dict[tuple[str, str], dict[str, Any]] = {
        record: {} for _, record, _ in _entries_with('"altered"', '"misattributed"')
    }
    ids = sorted(record_id for _, record_id in states)
    for n in range(0, len(ids), 500):
        query = sa.text(
            _ENTRIES
            + "WHERE changes.resource IN ('claim', 'review') AND changes.resource_id IN :ids ORDER BY changes.seq"
        )
        query = query.bindparams(sa.bindparam("ids", expanding=True))
        for row in op.get_bind().execute(query, {"ids": ids[n : n + 500]}):
            difference = orjson.loads(row.difference or "null") or {}
            state = states[row.resource, row.resource_id]
            state |= {name: change["new"] for name, change in difference.items()}
    return states


def _entries_with(*words: str) -> Iterator[tuple[int, tuple[str, str], Mapping[str, Any]]]:
    """The entries of claims and reviews that have one of some words, by which record, and what they changed."""
    told = " OR ".join(f"{_DIFFERENCE} LIKE :word{n}" for n, _ in enumerate(words))
    query = sa.text(
        _ENTRIES + f"WHERE changes.resource IN ('claim', 'review') AND ({told}) ORDER BY changes.seq"
    )
    wanted = {f"word{n}": f"%{word}%" for n, word in enumerate(words)}
    for row in op.get_bind().execute(query, wanted).all():
        yield row.seq, (row.resource, row.resource_id), orjson.loads(row.difference)


def _set(resource: str, record_id: str, values: Mapping[str, Any]) -> None:
    table = _TABLES[resource]
    op.get_bind().execute(sa.update(table).where(table.c.id == record_id).values(values))


def _drop_checks() -> None:
    for table in ("claims", "reviews"):
        with op.batch_alter_table(table) as batch:
            for name in ("verdict", "attribution"):
                batch.drop_constraint(op.f(f"ck_{table}_{name}"), type_="check")


def _add_checks(words: Mapping[str, tuple[str, ...]]) -> None:
    for table in ("claims", "reviews"):
        with op.batch_alter_table(table) as batch:
            for name, some in words.items():
                listed = ", ".join(f"'{word}'" for word in some)
                batch.create_check_constraint(op.f(f"ck_{table}_{name}"), f"{name} IN ({listed})")
