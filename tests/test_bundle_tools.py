"""Bundles are checked by other people's tools: npm's eddsa-jcs-2022 where it is installed, and in Python."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pyld import jsonld

from app.exchange.bundle import CONTEXT
from tests.newsroom import Json, Newsroom
from tests.test_bundle import bundled

NPM = Path(__file__).parent / "npm"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def by_python(bundle: Json) -> bool:
    """Check a proof by the specification (vc-di-eddsa, section 3.3), with nothing of this program."""
    proof = dict(bundle["proof"])
    signature = _decoded(proof.pop("proofValue"))
    document = {name: value for name, value in bundle.items() if name != "proof"}
    if proof["@context"] != document["@context"][: len(proof["@context"])]:
        return False
    key = _decoded(proof["verificationMethod"].partition("#")[2])
    assert key[:2] == b"\xed\x01"
    signed = b"".join(hashlib.sha256(_canonical(each)).digest() for each in (proof, document))
    try:
        Ed25519PublicKey.from_public_bytes(key[2:]).verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _decoded(multibase: str) -> bytes:
    number = 0
    for digit in multibase[1:]:
        number = number * 58 + BASE58.index(digit)
    return number.to_bytes((number.bit_length() + 7) // 8)


def _canonical(value: Any) -> bytes:
    """RFC 8785 of a document whose numbers are integers and whose names are ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def by_npm(bundle: Json) -> bool:
    """Check a proof with Digital Bazaar's library, which fetches nothing."""
    if shutil.which("node") is None or not (NPM / "node_modules").is_dir():
        pytest.skip("other people's verifiers are not installed: npm ci --prefix tests/npm")
    told = json.dumps(bundle).encode()
    done = subprocess.run(
        ["node", "verify.mjs"], cwd=NPM, input=told, capture_output=True, check=True, timeout=60
    )
    found: Json = json.loads(done.stdout)
    assert found["verified"] or "Invalid signature" in found["error"], found
    return bool(found["verified"])


@pytest.mark.parametrize("verifies", [by_python, by_npm])
def test_a_bundle_verifies_and_no_forged_one_does(seeded: Newsroom, verifies: Callable[[Json], bool]) -> None:
    [claim] = seeded.get("/v1/claims", limit=1, mode="direct_quote")["data"]
    bundle = bundled(seeded, claim)
    assert verifies(bundle)
    forged = deepcopy(bundle)
    forged["record"]["claim"]["text"] += " Not."
    assert not verifies(forged)
    other = deepcopy(bundle)
    other["proof"]["created"] = "2020-01-01T00:00:00Z"
    assert not verifies(other)


def test_the_context_is_of_addresses_alone(seeded: Newsroom) -> None:
    claim = seeded.claim("Gas will flow.", said="2022-24")
    bundle = bundled(seeded, claim)
    assert bundle["@context"] == bundle["proof"]["@context"] == [*CONTEXT]
    assert all(each.startswith("https://") for each in CONTEXT)
    assert bundle["dateCreated"] is None  # a season

    def load(url: str, _options: Any) -> Json:
        assert url in CONTEXT, f"{url} would be fetched"
        return {
            "contextUrl": None,
            "documentUrl": url,
            "document": {"@context": {"@vocab": "https://schema.org/"}},
        }

    [node] = jsonld.expand(bundle, {"documentLoader": load})
    assert node["https://schema.org/text"] == [{"@value": "Gas will flow."}]
