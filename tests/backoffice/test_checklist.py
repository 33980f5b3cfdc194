"""What the start page and `ferriage check` say of a shop that cannot sell yet."""

from __future__ import annotations

import pytest

from ferriage.web.backoffice import checklist


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, []), (6, list("abcdef")), (7, [*"abcdef", "and 1 more"])],
)
def test_what_is_cut_off_is_counted(count: int, shown: list[str]) -> None:
    assert checklist._first("abcdefg"[:count], checklist.MOST_MISSING) == shown
