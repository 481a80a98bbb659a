"""Who asks, and what the public is shown."""

import dataclasses

import pytest

from app.access.caller import ANONYMOUS, Caller
from app.access.model import Role
from tests.newsroom import TESTS, Newsroom


def test_one_value_says_who_asks_and_is_never_changed() -> None:
    checker = Caller(TESTS, Role.checker)
    assert [checker.has(role) for role in (Role.reporter, Role.checker, Role.editor)] == [True, True, False]
    assert checker.inside
    assert not ANONYMOUS.inside
    assert not ANONYMOUS.has(Role.reader)
    with pytest.raises(dataclasses.FrozenInstanceError):
        checker.role = Role.admin  # type: ignore[misc]


def test_what_is_read_knows_whether_the_public_asks(room: Newsroom) -> None:
    for base, public in ((room.db, False), (room.db.outside, True), (room.app.state.house.at(0), False)):
        assert base.public is public
        with base.read() as session:
            assert session.public is public
    assert room.app.state.house.at(0, public=True) == room.db.outside
    assert room.db.outside.reader is not room.db.reader
