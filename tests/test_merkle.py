"""The Merkle tree against RFC 6962's published vectors, and proofs that hold for what they prove alone."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base import merkle
from app.base.notes import Checkpoint, Signer, Verifier, read_proof, written_proof

LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
"""The leaves that implementations of RFC 6962 are tested with, in hexadecimal."""

ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The roots of the first one, two, … of them."""


def tree_of(leaves: Sequence[bytes]) -> merkle.Subtrees:
    def at(level: int, index: int) -> bytes:
        return merkle.fold([merkle.leaf(each) for each in leaves[index << level : (index + 1) << level]])

    return at


def test_roots_are_those_of_the_published_vectors() -> None:
    at = tree_of([bytes.fromhex(each) for each in LEAVES])
    assert [merkle.root(size, at).hex() for size in range(1, 9)] == ROOTS
    assert merkle.root(0, at) == hashlib.sha256().digest()


SIZES = range(1, 41)


def test_every_leaf_of_every_tree_is_proven_and_no_other() -> None:
    leaves = [bytes([n]) for n in SIZES]
    at = tree_of(leaves)
    for size in SIZES:
        root = merkle.root(size, at)
        for index in range(size):
            proof, leaf = merkle.inclusion(index, size, at), merkle.leaf(leaves[index])
            assert merkle.includes(root, size, index, leaf, proof)
            assert not merkle.includes(root, size, index, merkle.leaf(b"x"), proof)
            assert not merkle.includes(root, size, (index + 1) % size, leaf, proof) or size == 1
            assert not merkle.includes(root, size, index, leaf, [*proof, root])
            assert not proof or not merkle.includes(root, size, index, leaf, proof[:-1])
        assert not merkle.includes(root, size, size, merkle.leaf(leaves[0]), [])
        assert not merkle.includes(root, size, -1, merkle.leaf(leaves[0]), [])


def test_every_tree_extends_the_smaller_ones_and_no_fork() -> None:
    at, fork = tree_of([bytes([n]) for n in SIZES]), tree_of([b"fork", *(bytes([n]) for n in SIZES)])
    for second in SIZES:
        new = merkle.root(second, at)
        for first in range(second + 1):
            proof = merkle.consistency(first, second, at)
            assert merkle.extends(first, merkle.root(first, at), second, new, proof), (first, second)
            if first:
                old, other = merkle.root(first, at), merkle.root(first, fork)
                assert not merkle.extends(first, other, second, new, proof)
                assert not merkle.extends(first, old, second, merkle.root(second, fork), proof)
                assert not merkle.extends(first, old, second, new, [*proof, new])
    assert not merkle.extends(2, merkle.root(2, at), 1, merkle.root(1, at), [])
    assert not merkle.extends(3, merkle.root(3, at), 9, merkle.root(9, at), [])


# --- signed notes ------------------------------------------------------------------------------

SIGNER = Signer("example.org/record", bytes(range(32)))

PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyB"
    "wJnAM=\n"
)
"""The note and the keys that Go's implementation of signed notes has for its examples."""
PETERS_OWN = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"


def test_a_note_of_another_implementation_is_read_and_signed_alike() -> None:
    text = Verifier.read(PETER).text_of(PETERS)
    assert text.startswith("If you think")
    signer = Signer.read(PETERS_OWN)
    assert (str(signer.verifier), signer.note(text)) == (PETER, PETERS)


def test_a_checkpoint_is_read_back_and_no_altered_one() -> None:
    made = Checkpoint(SIGNER.name, 12, b"r" * 32)
    note = SIGNER.note(str(made))
    assert note.split("\n")[:4] == [
        "example.org/record",
        "12",
        "cnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI=",
        "",
    ]
    assert Checkpoint.read(note, SIGNER.verifier) == made
    witnessed = note + "— witness.example " + note.rpartition(" ")[2]
    assert Checkpoint.read(witnessed, SIGNER.verifier) == made


ALTERED = [
    ("\n12\n", "\n13\n"),
    ("cnJy", "cnJx"),
    ("example.org/record\n", "example.org/other\n"),
    ("\n\n", "\n"),
    ("— ", "- "),
    ("\n12\n", "\n12\nmore\n"),
    ("\n12\n", "\n12\x00\n"),
]


@pytest.mark.parametrize("change", ALTERED)
def test_an_altered_note_is_refused(change: tuple[str, str]) -> None:
    note = SIGNER.note(str(Checkpoint(SIGNER.name, 12, b"r" * 32)))
    assert change[0] in note
    with pytest.raises(ValueError, match=r"forged|not a signed note|not signed by"):
        Checkpoint.read(note.replace(*change, 1), SIGNER.verifier)


@given(st.data())
def test_no_note_with_another_byte_passes(data: st.DataObject) -> None:
    note = SIGNER.note(str(Checkpoint(SIGNER.name, 12, b"r" * 32)))
    place = data.draw(st.integers(0, len(note) - 1))
    other = data.draw(
        st.characters(exclude_characters=note[place], categories=["L", "N", "P", "S", "Z", "Cc", "Cf"])
    )
    with pytest.raises(ValueError, match=r"."):
        Checkpoint.read(note[:place] + other + note[place + 1 :], SIGNER.verifier)


NOTE = SIGNER.note("A text.\n")
LINE = NOTE.partition("\n\n")[2]
OTHERS = "— witness.example AAAAAAA=\n"
"""A signature of somebody unknown: four bytes of a hash and one more."""
NO_NOTES = [
    "",
    "A text.\n",
    NOTE[:-1],
    f"{NOTE}\n",
    f"{NOTE} ",
    f"{NOTE}\n\n",
    NOTE.replace("\n", "\r\n"),
    NOTE.replace("\n", " \n"),
    NOTE.replace("\n\n", "\n \n"),
    NOTE.replace("— ", " — "),
    NOTE.replace("— ", "—  "),
    NOTE.replace("— ", "-- "),
    NOTE.replace("text", "te\txt"),
    NOTE.replace("text", "te\x1fxt"),
    NOTE.replace("text", "te\ud800xt"),
    *(
        f"{NOTE}{line}"
        for line in (
            "and more\n",
            "— \n",
            "— witness.example\n",
            "— witness.example \n",
            "—  AAAAAAA=\n",
            "— wit+ness AAAAAAA=\n",
            "— wit\u00a0ness AAAAAAA=\n",
            "— witness.example AAAAAAA\n",
            "— witness.example AAAAAAA= \n",
            "— witness.example AAAA\n",
            "— witness.example AAAAA$A=\n",
            "— witness.example AAAAAAé=\n",
            "— witness.example AAAAAAB=\n",
            "— witness.example AAAAAAA= AAAAAAA=\n",
            f"{OTHERS}\n",
            OTHERS * 100,
        )
    ),
    SIGNER.note("x" * 1_000_000 + "\n"),
]


@pytest.mark.parametrize("note", NO_NOTES, ids=lambda note: repr(note)[-30:])
def test_every_line_of_a_note_is_looked_at_before_any_is_believed(note: str) -> None:
    orders = [note]
    if note.startswith(f"{NOTE}—") and not note.endswith("\n\n"):
        orders.append(note.replace(LINE, "") + LINE)
    for order in orders:
        with pytest.raises(ValueError, match=r"^That is not a signed note\.$"):
            SIGNER.verifier.text_of(order)


def test_signatures_of_others_and_of_the_same_key_again_are_let_be() -> None:
    forged = f"— {SIGNER.name} {b64encode(SIGNER.verifier.key_id + bytes(64)).decode()}\n"
    other_key = f"— {SIGNER.name} AAAAAAA=\n"
    last = NOTE.replace(LINE, OTHERS + other_key + LINE)
    for note in (NOTE, NOTE + OTHERS * 99, NOTE + LINE + forged, last):
        assert SIGNER.verifier.text_of(note) == "A text.\n"
    with pytest.raises(ValueError, match="is forged"):
        SIGNER.verifier.text_of(NOTE.replace(LINE, forged + LINE))
    with pytest.raises(ValueError, match="not signed by"):
        SIGNER.verifier.text_of(NOTE.replace(LINE, OTHERS + other_key))


NO_CHECKPOINTS = [
    "example.org/record\n12\ncnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI=\n\nmore\n",
    "text\n",
    "example.org/record\n012\ncg==\n",
    "example.org/record\n12\ncg==\n",
    "other\n1\n\n",
]


@pytest.mark.parametrize("text", NO_CHECKPOINTS)
def test_a_signed_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a checkpoint"):
        Checkpoint.read(SIGNER.note(text), SIGNER.verifier)


@pytest.mark.parametrize(
    "key", ["", "x", "name+00000000+AQ==", PETER[:-1], PETER.replace("Peter", "Petra"), PETERS_OWN]
)
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="public key"):
        Verifier.read(key)
    with pytest.raises(ValueError, match="private key"):
        Signer.read(key.replace("PRIVATE+KEY+", "PUBLIC+KEY+"))


def test_a_written_proof_is_read_back() -> None:
    note = SIGNER.note(str(Checkpoint(SIGNER.name, 12, b"r" * 32)))
    hashes = [b"a" * 32, b"b" * 32]
    written = written_proof(7, hashes, note)
    assert read_proof(written) == (7, hashes, note)
    assert read_proof(written.replace("\nindex", "\nextra eA==\nindex")) == (7, hashes, note)
    for broken in (
        "",
        "c2sp.org/tlog-proof@v2\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\n\n",
        written.replace("7", "x"),
        written.replace("\nindex", "\nextra ?\nindex"),
        written_proof(7, hashes * 32, note),
    ):
        with pytest.raises(ValueError, match="not a proof"):
            read_proof(broken)
