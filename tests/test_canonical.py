"""The canonical form of JSON is RFC 8785's, byte for byte, however quickly it is made."""

from decimal import Decimal
from time import process_time
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as some

from app.base.canonical import NoCanonicalForm, canonical

NUMBERS = some.integers(-(2**53) + 1, 2**53 - 1) | some.floats(allow_nan=False, allow_infinity=False)
TEXTS = some.text(some.characters(exclude_categories=["Cs"]))
LEAVES = some.none() | some.booleans() | NUMBERS | TEXTS
JSON = some.recursive(LEAVES, lambda inner: some.lists(inner) | some.dictionaries(TEXTS, inner))


@given(JSON)
def test_is_that_of_the_reference(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(NUMBERS)
def test_writes_every_number_as_the_reference_does(number: float) -> None:
    for value in (number, [number], {"a": number}, [None, {"b": [0, number]}]):
        assert canonical(value) == rfc8785.dumps(value)


@given(some.dictionaries(TEXTS, some.integers(0, 9)))
def test_sorts_keys_as_the_reference_does(value: dict[str, int]) -> None:
    assert canonical(value) == rfc8785.dumps(value)


KNOWN = [
    98000000000.0, -0.0, 1e21, 1e20, 123456789012345680000.0, 1e-6, 1e-7, 0.1, 5e-324, 1.5, 2.0**53,
    2.0**53 - 1, 1e15, 1e16 + 2, 0.0001, 0.00012, 999999999999999.9,
    "\u007f\u2028\x1f\b\f\n\r\t\"\\/", "é😀",
    {"\ue000": 1, "😀": 2, "é": 3}, {'😀":': 1, "\uffff": 2}, {'a"😀': 1, 'a"\uffff': 2}, [], {}, (),
    ("a", (1.0,)),
]  # fmt: skip


@pytest.mark.parametrize("value", KNOWN, ids=repr)
def test_has_no_trouble_with_what_is_known_to_be_troublesome(value: Any) -> None:
    shapes: tuple[Any, ...] = (value, [value], {"a": value}, {"a": [value, 1.0], "b": {"c": value}})
    for shape in shapes:
        assert canonical(shape) == rfc8785.dumps(shape)


DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]
NONE = [
    2**53, -(2**53), 10**400, "\ud800", {"\ud800": 1}, {1: 2}, {None: 1}, b"x", {1}, object(), DEEP,
    float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Decimal(1),
]  # fmt: skip


@pytest.mark.parametrize("value", NONE, ids=lambda value: type(value).__name__)
def test_what_has_no_such_form_is_refused(value: Any) -> None:
    """Wherever it is, and whatever is beside it."""
    beside = (None, (value,)), [1.5, {"b": value}], {"a": {"😀": value}}
    for shape in (value, [value], {"a": [value]}, *beside):
        with pytest.raises(NoCanonicalForm) as refused:
            canonical(shape)
        assert str(refused.value) == "This has no canonical form in JSON."


@pytest.mark.parametrize("unit", ["1.", "1e", "-1", "😀", '\\"', "\\", ",1", ":1", "[1"])
def test_takes_time_in_proportion_whatever_the_text(unit: str) -> None:
    """Half a million characters: where each place of a text begins another search, they take minutes."""
    value: dict[str, Any] = {"text": unit * (500_000 // len(unit)), unit: 1.5}
    began = process_time()
    assert canonical(value) == rfc8785.dumps(value)
    assert process_time() - began < 2
