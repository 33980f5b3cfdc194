"""A cache that cannot be read or written keeps no agent from starting."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ferriage.agent.recovery import CacheUnreadable, recovered
from ferriage.agent.store import Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A closed cache of several pages that remembers one value."""
    path = tmp_path / "state.sqlite3"
    store = Store(path)
    for number in range(200):
        store.put(f"key {number}", "value" * 50)
    store.close()
    return path


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def scribble(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))


def replace(path: Path) -> None:
    path.write_bytes(b"something else altogether" * 100)


def test_sound_cache_is_opened_as_it_is(cache: Path) -> None:
    store, trouble = recovered(cache)

    assert (store.get("key 7"), trouble) == ("value" * 50, "")
    store.close()


@pytest.mark.parametrize("damage", [cut, scribble, replace])
def test_damaged_cache_is_put_aside_and_told(cache: Path, damage: object) -> None:
    assert callable(damage)
    damage(cache)
    damaged = cache.read_bytes()

    store, trouble = recovered(cache)

    assert store.get("key 7") == ""
    assert trouble.startswith("The cache was damaged (")
    assert cache.with_name("state.sqlite3.damaged").read_bytes() == damaged
    store.close()
    store, trouble = recovered(cache)
    assert trouble == ""
    store.close()


def test_cache_that_no_new_one_can_stand_in_for_is_an_error_in_words(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    replace(path)
    path.with_name("state.sqlite3.damaged").mkdir()
    (path.with_name("state.sqlite3.damaged") / "file").touch()

    with pytest.raises(CacheUnreadable, match="cannot be read"):
        recovered(path)
