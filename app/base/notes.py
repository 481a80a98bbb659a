"""Signed notes and checkpoints: text that anyone can check the signature of (c2sp.org/signed-note,
c2sp.org/tlog-checkpoint, c2sp.org/tlog-proof), with Ed25519.
"""

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"
_MOST = 1_000_000
"""Bytes of a note that is read."""
_MOST_SIGNATURES = 100
_MOST_HASHES = 63
"""Hashes of a proof: one for each level of the tallest tree."""
_PROOF = "c2sp.org/tlog-proof@v1"
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_NAME = r"[^\s+]+"


@dataclass(frozen=True)
class Verifier:
    """A public key, with the name of what it signs for."""

    name: str
    public: bytes

    @classmethod
    def read(cls, text: str) -> "Verifier":
        """A key as it is written, `name+hash+base64`. Raises ValueError."""
        if not (parts := _key_parts(text)):
            raise ValueError("A public key is written as name+hash+base64, as /v1/log/key has it.")
        name, key_id, key = parts
        found = cls(name, key)
        if found.key_id.hex() != key_id:
            raise ValueError("The public key is not the one that its hash is of.")
        return found

    @cached_property
    def key_id(self) -> bytes:
        """What tells it from other keys of its name: four bytes."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(_ED25519 + self.public).decode()}"

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Whether the key has signed a message so."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def text_of(self, note: str) -> str:
        """Return the text of a note that this key has signed, read as strictly as Go's `sumdb/note` reads it:
        every line is looked at before any is believed, and of several signatures of this key the first
        counts. Raise ValueError for any other.
        """
        text, signatures = _opened(note)
        own = [each for name, each in signatures if (name, each[:4]) == (self.name, self.key_id)]
        if not own:
            raise ValueError(f"It is not signed by {self}.")
        if not self.accepts(own[0][4:], text.encode()):
            raise ValueError(f"The signature of {self.name} is forged, or the text was altered.")
        return text


@dataclass(frozen=True)
class Signer:
    """A private key (32 bytes), with the name of what it signs for."""

    name: str
    seed: bytes

    @classmethod
    def read(cls, text: str) -> "Signer":
        """A key as it is written, `PRIVATE+KEY+name+hash+base64`. Raises ValueError."""
        if not (parts := _key_parts(text, before="PRIVATE+KEY+")):
            raise ValueError("A private key is written as PRIVATE+KEY+name+hash+base64.")
        name, key_id, seed = parts
        found = cls(name, seed)
        if found.verifier.key_id.hex() != key_id:
            raise ValueError("The private key is not the one that its hash is of.")
        return found

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @cached_property
    def verifier(self) -> Verifier:
        """The public key."""
        return Verifier(self.name, self._key.public_key().public_bytes_raw())

    def signature(self, message: bytes) -> bytes:
        """64 bytes, always the same of the same message."""
        return self._key.sign(message)

    def note(self, text: str) -> str:
        """A text that ends in a newline, signed."""
        signed = b64encode(self.verifier.key_id + self.signature(text.encode())).decode()
        return f"{text}\n— {self.name} {signed}\n"


@dataclass(frozen=True)
class Checkpoint:
    """What a log was: its name, how many leaves it had, and their root."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def read(cls, note: str, key: Verifier) -> "Checkpoint":
        """A checkpoint that a key has signed. Raises ValueError for any other."""
        lines = key.text_of(note).split("\n")[:-1]
        if (
            len(lines) < 3
            or lines[0] != key.name
            or not re.fullmatch(r"0|[1-9]\d{0,15}", lines[1], re.ASCII)
            or not all(lines[3:])
        ):
            raise ValueError("That is signed, but is not a checkpoint.")
        found = cls(lines[0], int(lines[1]), _decoded(lines[2]))
        if len(found.root) != 32:
            raise ValueError("That is signed, but is not a checkpoint.")
        return found


def written_proof(index: int, hashes: Sequence[bytes], checkpoint: str) -> str:
    """A proof that a leaf is in a log, with the checkpoint that it leads to."""
    lines = [_PROOF, f"index {index}", *(b64encode(each).decode() for each in hashes), "", checkpoint]
    return "\n".join(lines)


def read_proof(text: str) -> tuple[int, list[bytes], str]:
    """The index, hashes and checkpoint of such a proof. Raises ValueError."""
    head, _, checkpoint = text.partition("\n\n")
    form, *lines = head.split("\n", _MOST_HASHES + 3)
    if lines and lines[0].startswith("extra ") and _decoded(lines[0].removeprefix("extra ")):
        lines = lines[1:]
    if form != _PROOF or not lines or not re.fullmatch(r"index (0|[1-9]\d{0,15})", lines[0], re.ASCII):
        raise ValueError("That is not a proof.")
    hashes = [*map(_decoded, lines[1:])]
    if len(hashes) > _MOST_HASHES or any(len(each) != 32 for each in hashes):
        raise ValueError("That is not a proof.")
    return int(lines[0].removeprefix("index ")), hashes, checkpoint


def _opened(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return the text of a note and the name and bytes of each signature. Raise ValueError."""
    text, gap, block = note.rpartition("\n\n")
    lines = block.split("\n")
    if (
        not gap
        or lines.pop() != ""
        or not 1 <= len(lines) <= _MOST_SIGNATURES
        or _CONTROL.search(note)
        or len(note.encode(errors="replace")) > _MOST
    ):
        raise ValueError("That is not a signed note.")
    signatures = []
    for line in lines:
        parts = re.fullmatch(rf"— ({_NAME}) (\S+)", line)
        signature = _decoded(parts[2]) if parts else b""
        if not parts or len(signature) < 5:
            raise ValueError("That is not a signed note.")
        signatures.append((parts[1], signature))
    return f"{text}\n", signatures


def _key_parts(text: str, before: str = "") -> tuple[str, str, bytes] | None:
    """Return the name, hash and 32 bytes of an Ed25519 key as it is written; None for what is none."""
    parts = re.fullmatch(rf"{re.escape(before)}({_NAME})\+([0-9a-f]{{8}})\+(\S+)\n?", text)
    key = _decoded(parts[3]) if parts else b""
    return (parts[1], parts[2], key[1:]) if parts and len(key) == 33 and key[:1] == _ED25519 else None


def _decoded(text: str) -> bytes:
    """Return what Base64 says, in the one spelling that it has; nothing for any other."""
    try:
        found = b64decode(text, validate=True)
    except ValueError:
        return b""
    return found if b64encode(found).decode() == text else b""
