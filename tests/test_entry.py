"""Entries of form 2: what is withheld cannot be told, and the hash is checked without it."""

import math
from copy import deepcopy
from typing import Any

import pytest

from app.changes.entry import commitments, entry_hash, new_salt, withheld
from tests.entries import digest
from tests.newsroom import Newsroom, ok

ENTRY: dict[str, Any] = {
    "form": 2,
    "seq": 7,
    "at": "2026-01-01T00:00:00.000000Z",
    "actor": "key_x",
    "actor_name": "Ann",
    "action": "claim.state",
    "resource": "claim",
    "resource_id": "clm_x",
    "version": 1,
    "difference": {
        "text": {"old": None, "new": "Ja – “так”."},
        "figures": {"old": [], "new": [{"value": "1.5"}]},
    },
    "reason": None,
    "request_id": "req_x",
    "previous_hash": "0" * 64,
    "salt": "AAECAwQFBgcICQoLDA0ODw",
}
HASH = "d3d642def90f19d595a655b448a4d5d5263e08509586eb8503930a6fd287f4c2"


def test_a_known_entry_has_its_known_hash() -> None:
    assert entry_hash(ENTRY) == digest(ENTRY) == HASH


@pytest.mark.parametrize(
    "hidden",
    [["reason"], ["difference.text"], ["actor", "actor_name", "difference.figures"], [*commitments(ENTRY)]],
)
def test_the_hash_is_the_same_whatever_is_withheld(hidden: list[str]) -> None:
    shown = withheld(ENTRY, hidden.__contains__)
    assert entry_hash(shown) == digest(shown) == HASH
    assert shown["commitments"].keys() == {*hidden}
    assert "salt" not in shown, "all salts are made of it"
    again = withheld(withheld(ENTRY, hidden[:1].__contains__), hidden.__contains__)
    assert again == shown


def test_nothing_of_what_is_withheld_is_in_it() -> None:
    shown = str(withheld(ENTRY, lambda name: name.startswith(("actor", "difference"))))
    assert not any(word in shown for word in ("Ann", "key_x", "так", "1.5"))


def test_two_entries_with_the_same_value_have_other_commitments() -> None:
    one, other = ({**ENTRY, "salt": new_salt()} for _ in range(2))
    assert not {*commitments(one).values()} & {*commitments(other).values()}
    assert len({*commitments(one).values()}) == len(commitments(one)), "reason and old values are null alike"


def alterations() -> dict[str, dict[str, Any]]:
    """What a forger would show in the place of the entry, whole or of which the actor is withheld."""
    whole, part = deepcopy(ENTRY), withheld(ENTRY, lambda name: name.startswith("actor"))
    value = {"old": None, "new": "Nein."}
    more = {**part["commitments"], "difference.mode": "0" * 64}
    return {
        "another text": {**whole, "difference": {**whole["difference"], "text": value}},
        "one field more": {**whole, "difference": {**whole["difference"], "mode": value}},
        "one field less": {**whole, "difference": {"text": whole["difference"]["text"]}},
        "no difference": {**whole, "difference": None},
        "another actor": {**whole, "actor_name": "Bob"},
        "another salt": {**whole, "salt": new_salt()},
        "another time": {**whole, "at": "2025-01-01T00:00:00.000000Z"},
        "another place": {**whole, "seq": 8},
        "as of the first form": {name: value for name, value in whole.items() if name != "form"},
        "as of a third form": {**whole, "form": 3},
        "a name that is withheld": {**part, "actor_name": "Bob"},
        "a salt too many": {**part, "salts": {**part["salts"], "actor_name": new_salt()}},
        "a salt too few": {**part, "salts": {**part["salts"], "action": None}},
        "a commitment too few": {**part, "commitments": {}},
        "a commitment too many": {**part, "commitments": more},
        "a commitment and the value": {**part, "commitments": commitments(whole)},
        "a salt that is none": {**whole, "salt": "?"},
        "a number that is none": {**whole, "version": math.nan},
    }


@pytest.mark.parametrize("how", alterations())
def test_no_other_entry_has_its_hash(how: str) -> None:
    try:
        found = entry_hash(alterations()[how])
    except (KeyError, TypeError, ValueError):
        return
    assert found != HASH


def test_what_is_withheld_of_keys_can_be_checked_by_everybody(room: Newsroom) -> None:
    room.key("checker", "Of the night shift")
    [*_, entry] = room.get("/v1/changes", resource="key")["data"]
    assert (entry["difference"], entry["action"]) == (None, "key.create")
    assert "difference.name" in entry["commitments"]
    assert digest(entry) == entry["hash"]
    [*_, whole] = ok(room.admin.get("/v1/changes", params={"resource": "key"}))["data"][:-1]
    assert whole["difference"]["name"]["new"] == "Of the night shift"
    assert digest(whole) == whole["hash"] == entry["hash"]
