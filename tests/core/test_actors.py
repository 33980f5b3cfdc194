"""Who acts, and when two names are one person's."""

from __future__ import annotations

import pytest

from ferriage.core.actors import Actor


@pytest.mark.parametrize("name", ["olga", "OLGA", " olga", "olga\t", "ol ga", "ｏｌｇａ"])
def test_one_person_has_one_name_in_any_spelling(name: str) -> None:
    assert Actor("staff", "olga").is_called(name)
    assert Actor("staff", name).is_called("olga")


@pytest.mark.parametrize("name", ["olgа", "olga1", "sam", ""], ids=ascii)
def test_another_name_is_another_person(name: str) -> None:
    assert not Actor("staff", "olga").is_called(name)
