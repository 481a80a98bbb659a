"""One entry of the ledger: how its hash is made, and how a part of it is withheld so that the hash can still
be checked.

The hash of an entry of the first form covers all of it. In the second form, whatever might have to be
withheld or erased enters the hash by a commitment: SHA-256 over a salt of 16 bytes and the value as canonical
JSON (RFC 8785). An entry has one random salt, of which the salt of each value is derived (HMAC-SHA-256), so
that a value that is shown with its salt tells nothing of another.
"""

import hashlib
import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from app.base.canonical import canonical

FORM = 2
"""The form of new entries."""

_FIRST_FORM = ("seq", "at", "actor", "actor_name", "action", "resource", "resource_id", "version",
               "difference", "reason", "request_id", "previous_hash")  # fmt: skip
_IN_CLEAR = ("form", "seq", "at", "previous_hash")
_COMMITTED = ("actor", "actor_name", "action", "resource", "resource_id", "version", "reason", "request_id")
_SALT_BYTES = 16

Entry = Mapping[str, Any]


def new_salt() -> str:
    """A random salt for an entry, as base64url."""
    return _text(os.urandom(_SALT_BYTES))


def entry_hash(entry: Entry) -> str:
    """Return the hash of an entry as it is shown, all of it or with parts withheld: SHA-256 of its canonical
    JSON (RFC 8785). Raises KeyError, TypeError or ValueError for what is no entry.
    """
    return hashlib.sha256(canonical(_hashed(entry))).hexdigest()


def _hashed(entry: Entry) -> dict[str, Any]:
    match entry.get("form", 1):
        case 1:
            return {name: entry[name] for name in _FIRST_FORM}
        case 2:
            return {**{name: entry[name] for name in _IN_CLEAR}, "commitments": commitments(entry)}
        case other:
            raise ValueError(f"no form of an entry: {other}")


def commitments(entry: Entry) -> dict[str, str]:
    """Return the commitment to each value of an entry of the second form, by name: `difference.text` is that
    to what `difference` has of `text`.
    """
    withheld, values = entry.get("commitments") or {}, dict(_values(entry))
    found = {name: _commitment(salt, values[name]) for name, salt in _salts(entry, values).items()}
    if withheld.keys() & found.keys() or not withheld.keys() | found.keys() >= {*_COMMITTED}:
        raise ValueError("a value and its commitment are given, or neither is")
    return {**withheld, **found}


def _values(entry: Entry) -> Iterator[tuple[str, Any]]:
    """The values that are shown, by the names of their commitments."""
    withheld = entry.get("commitments") or {}
    for name in _COMMITTED:
        if name not in withheld:
            yield name, entry[name]
        elif entry[name] is not None:
            raise ValueError(f"{name} is withheld, and given")
    for name, change in (entry["difference"] or {}).items():
        yield f"difference.{name}", change


def _salts(entry: Entry, names: Collection[str]) -> dict[str, bytes]:
    """The salt of each value that is shown, by its name."""
    if (whole := entry.get("salt")) is None:
        salts = entry.get("salts") or {}
        if salts.keys() != {*names}:
            raise ValueError("each value that is shown has a salt, and nothing else")
        return {name: _bytes(salts[name]) for name in names}
    found = {}
    keyed = hmac.new(_bytes(whole), digestmod=hashlib.sha256)  # copied: to key it takes most of the time
    for name in names:
        derived = keyed.copy()
        derived.update(name.encode())
        found[name] = derived.digest()[:_SALT_BYTES]
    return found


def _commitment(salt: bytes, value: Any) -> str:
    return hashlib.sha256(salt + canonical(value)).hexdigest()


def withheld(entry: Entry, hides: Callable[[str], bool]) -> dict[str, Any]:
    """Return an entry without the values whose names (as `commitments` has them) are to be hidden. One of the
    first form loses its difference and reason whole, and its hash can no longer be made anew.
    """
    if entry.get("form", 1) == 1:
        return {**without_remains(entry), "difference": None, "reason": None}
    named = _salts(entry, dict(_values(entry)))
    hidden = {name for name in named if hides(name)}
    if not hidden:
        return dict(entry)
    difference = {
        name: change
        for name, change in (entry["difference"] or {}).items()
        if f"difference.{name}" not in hidden
    }
    made = commitments(entry)
    return {
        **{name: None if name in hidden else value for name, value in entry.items() if name != "salt"},
        "difference": difference or None,
        "salts": {name: _text(salt) for name, salt in named.items() if name not in hidden},
        "commitments": {name: each for name, each in made.items() if name in hidden or name not in named},
        **_remains_but(entry, hides),
    }


def _remains_but(entry: Entry, hides: Callable[[str], bool]) -> dict[str, Any]:
    """Return what remains of erased values but for those that are to be hidden."""
    if "remains" not in entry:
        return {}
    left = entry["remains"]["difference"]
    shown = {name: change for name, change in left.items() if not hides(f"difference.{name}")}
    return {"remains": {**entry["remains"], "difference": shown}}


def erased(entry: Entry, names: Collection[str], remains: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry without the values of these names, as `commitments` has them. `remains` is the
    difference that rows are made of from now on, by field; what it has of other fields is left out.
    """
    left = entry.get("remains") or {"difference": {}}
    told: dict[str, Any] = {"nonce": new_salt()}
    if entry.get("form", 1) == 1:
        told["difference"] = remains
        if "reason" not in names and (reason := entry["reason"] or left.get("reason")):
            told["reason"] = reason
    else:
        fields = {name.removeprefix("difference.") for name in names}
        told["difference"] = {**left["difference"], **{n: each for n, each in remains.items() if n in fields}}
    if told["difference"] == left["difference"] and told.get("reason") == left.get("reason"):
        told["nonce"] = left.get("nonce", told["nonce"])  # what names its digest goes on to be right
    return {**withheld(entry, frozenset(names).__contains__), "remains": told}


def without_remains(entry: Entry) -> Entry:
    """Return an entry as it is shown: without what is left of erased values for rows to be made of."""
    return (
        {name: value for name, value in entry.items() if name != "remains"} if "remains" in entry else entry
    )


def effective(entry: Entry) -> Mapping[str, Any]:
    """Return the difference that rows are made of: what an entry tells, and what remains of erased values."""
    told = entry["difference"] or {}
    return {**told, **entry["remains"]["difference"]} if "remains" in entry else told


def has_its_hash(entry: Entry) -> bool:
    """Return whether an entry's hash is that of its values. One of the first form, of which something was
    erased, has a hash that can no longer be made. Raise as `entry_hash` does.
    """
    if "remains" in entry and entry.get("form", 1) == 1:
        return entry["difference"] is None and entry["reason"] is None
    return bool(entry_hash(entry) == entry["hash"])


def missing(entry: Entry, but: Collection[str] = ()) -> dict[str, Any] | None:
    """Return which values of an entry were erased and the digest of what remains of them, as the entry of the
    erasure names them; None if nothing was. Values named by `but` are withheld here.
    """
    if "remains" not in entry:
        return None
    whole = entry.get("form", 1) == 1
    names = {"difference", "reason"} if whole else (entry.get("commitments") or {}).keys()
    return {
        "values": sorted({*names} - {*but}),
        "remains": hashlib.sha256(canonical(entry["remains"])).hexdigest(),
    }


def erasures(entry: Entry) -> Mapping[str, Any]:
    """Return which entries an entry of an erasure names, by `seq`, with what `missing` has of each."""
    told = (entry["difference"] or {}).get("erased") or {}
    return (told.get("new") or {}).get("entries") or {}


def _text(salt: bytes) -> str:
    return urlsafe_b64encode(salt).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    salt = urlsafe_b64decode(text + "==")
    if len(salt) != _SALT_BYTES or _text(salt) != text:
        raise ValueError("a salt is 16 bytes as base64url")
    return salt
