"""What the ledger's Merkle log is asked for: signed checkpoints, and proofs that lead to them."""

import hashlib
from base64 import b64encode
from typing import Annotated, Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel
from pydantic import Field as Describe

from app.base import merkle
from app.base.db import ReadSession
from app.base.errors import Invalid, LedgerReset
from app.base.notes import Checkpoint, Signer, written_proof
from app.base.types import MAX_INT
from app.changes.ledger import head
from app.changes.tree import Tree
from app.settings import Settings

MOST_OF_A_NOTE = 4096
"""Characters of a checkpoint that is sent."""

Place = Annotated[int | None, Describe(ge=1, le=MAX_INT)]


class InclusionQuestion(BaseModel):
    """Which entry, and in how large a log."""

    seq: Annotated[int, Describe(ge=1, le=MAX_INT, description="The entry's `seq`.")]
    size: Annotated[Place, Describe(description="Entries of the log; by default, all there are.")] = None


class ConsistencyQuestion(BaseModel):
    """An earlier size of the log, or a checkpoint of it, and a later size."""

    first: Annotated[Place, Describe(description="The earlier size.")] = None
    checkpoint: Annotated[
        str | None,
        Describe(
            max_length=MOST_OF_A_NOTE,
            description="Instead of `first`: a whole checkpoint from earlier, which is checked.",
        ),
    ] = None
    second: Annotated[Place, Describe(description="The later size; by default, all entries.")] = None


class InclusionOut(BaseModel):
    """The proof that an entry is in the log (RFC 9162, section 2.1.3). `hashes` and `root` are in base64;
    the leaf's data is the 32 bytes of the entry's `hash`. `proof` is all that as one text, with a signed
    checkpoint (c2sp.org/tlog-proof).
    """

    seq: int
    index: int
    size: int
    hash: str
    hashes: list[str]
    root: str
    proof: str


class ConsistencyOut(BaseModel):
    """The proof that the log of size `second` begins with that of size `first` (RFC 9162, section 2.1.4)."""

    first: int
    first_root: str
    second: int
    second_root: str
    hashes: list[str]


def signer_of(settings: Settings, secret: bytes) -> Signer:
    """What signs for the log. Raises ValueError for a key that is none."""
    if settings.log_key:
        try:
            return Signer.read(settings.log_key)
        except ValueError as fault:
            raise ValueError(f"RECORD_LOG_KEY: {fault}") from None
    seed = HKDF(SHA256(), 32, salt=None, info=b"on-the-record log key").derive(secret)
    public = Signer("", seed).verifier.public
    return Signer(settings.log_origin or f"on-the-record/{hashlib.sha256(public).hexdigest()[:8]}", seed)


def checkpoint(session: ReadSession, signer: Signer) -> str:
    """A signed checkpoint of all entries."""
    return signed(Tree(session), signer, head(session)[0])


def signed(tree: Tree, signer: Signer, size: int) -> str:
    """A signed checkpoint of the first `size` entries."""
    return signer.note(str(Checkpoint(signer.name, size, tree.root(size))))


def inclusion(session: ReadSession, signer: Signer, seq: int, size: int | None = None) -> dict[str, Any]:
    """The proof that an entry is in the log. Raises Invalid for one that is not."""
    tree = Tree(session)
    size = _size(session, "size", size)
    if seq > size:
        raise Invalid.at("seq", f"is beyond the {size} entries of that log")
    index = seq - 1
    hashes = merkle.inclusion(index, size, tree.at)
    return {
        "seq": seq,
        "index": index,
        "size": size,
        "hash": tree.entry(seq),
        "hashes": [*map(_base64, hashes)],
        "root": _base64(tree.root(size)),
        "proof": written_proof(index, hashes, signed(tree, signer, size)),
    }


def consistency(session: ReadSession, signer: Signer, ask: ConsistencyQuestion) -> dict[str, Any]:
    """The proof that the log was only added to. Raises Invalid for a checkpoint that is forged or sizes
    that cannot be, LedgerReset for a checkpoint of another history, or of a longer one.
    """
    if (ask.first is None) == (ask.checkpoint is None):
        raise Invalid.at("first", "or else checkpoint is needed, and not both")
    tree = Tree(session)
    second = _size(session, "second", ask.second)
    known = _read(ask.checkpoint, signer) if ask.checkpoint is not None else None
    first = known.size if known else ask.first or 0
    if known and first > (last := head(session))[0]:
        raise _reset(f"has {first} entries, and the log has {last[0]}: a backup was restored", last)
    if first > second:
        where = "checkpoint" if known else "first"
        raise Invalid.at(where, f"has {first} entries, more than the {second} of the later log")
    root = tree.root(first)
    if known and known.root != root:
        told = f"is signed, but the first {first} entries here are others: one of the two logs is a fork"
        raise _reset(told, head(session))
    return {
        "first": first,
        "first_root": _base64(root),
        "second": second,
        "second_root": _base64(tree.root(second)),
        "hashes": [*map(_base64, merkle.consistency(first, second, tree.at))],
    }


def _reset(detail: str, head: tuple[int, str]) -> LedgerReset:
    return LedgerReset(f"The checkpoint {detail}.", {"seq": head[0], "hash": head[1]})


def _read(note: str, signer: Signer) -> Checkpoint:
    try:
        return Checkpoint.read(note, signer.verifier)
    except ValueError as fault:
        raise Invalid.at("checkpoint", f"is not one of this log: {fault}") from None


def _size(session: ReadSession, name: str, asked: int | None) -> int:
    whole, _ = head(session)
    if asked is not None and asked > whole:
        raise Invalid.at(name, f"is more than there are: {whole} entries")
    return whole if asked is None else asked


def _base64(value: bytes) -> str:
    return b64encode(value).decode()
