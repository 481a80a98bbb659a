"""Documents that carry their own proof: W3C Data Integrity, with the cryptosuite eddsa-jcs-2022 (Ed25519 over
canonical JSON). Nothing is fetched to check one.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from app.base.canonical import canonical
from app.base.notes import Signer, Verifier

_DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ED25519 = b"\xed\x01"
"""What stands before an Ed25519 public key in a Multikey."""


def proven(document: Mapping[str, Any], signer: Signer, created: str) -> dict[str, Any]:
    """The document with its proof; `created` is an RFC 3339 instant."""
    options = _options(document, signer.verifier, created)
    signature = signer.signature(_hashed(document, options))
    return {**document, "proof": {**options, "proofValue": f"z{_base58(signature)}"}}


def is_proven(document: Mapping[str, Any], key: Verifier) -> bool:
    """Whether the key has signed the document as it stands."""
    try:
        given = document["proof"]
        rest = {name: value for name, value in document.items() if name != "proof"}
        options = _options(rest, key, given["created"])
        signature = _from_base58(given["proofValue"])
        same = {**options, "proofValue": given["proofValue"]} == given
        return bool(same and key.accepts(signature, _hashed(rest, options)))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        return False


def _options(document: Mapping[str, Any], key: Verifier, created: str) -> dict[str, Any]:
    name = f"z{_base58(_ED25519 + key.public)}"
    return {
        "@context": document["@context"],
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "created": created,
        "verificationMethod": f"did:key:{name}#{name}",
        "proofPurpose": "assertionMethod",
    }


def _hashed(document: Mapping[str, Any], options: Mapping[str, Any]) -> bytes:
    return b"".join(hashlib.sha256(canonical(each)).digest() for each in (options, document))


def _base58(value: bytes) -> str:
    number, found = int.from_bytes(value), ""
    while number:
        number, digit = divmod(number, 58)
        found = _DIGITS[digit] + found
    return "1" * (len(value) - len(value.lstrip(b"\0"))) + found


def _from_base58(multibase: str) -> bytes:
    if multibase[:1] != "z" or len(multibase) > 100:
        raise ValueError
    text, number = multibase[1:], 0
    for digit in text:
        number = number * 58 + _DIGITS.index(digit)
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8)
