"""The stories, each as somebody plays it who has nothing but the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from running_ferriage import ferriage

if TYPE_CHECKING:
    from pathlib import Path

ENDINGS = {
    "nanjing": "in the end no line is open and nothing was sold",
    "office-line": "the laptop is held at once",
    "stockholm": "the transfer came, and the term has begun",
    "lapse": "refunds and earnings sum to what came",
}


@pytest.mark.parametrize("name", ENDINGS)
def test_story_comes_to_its_end_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    # A database of somebody's shop in the environment must not be touched, or even opened.
    done = ferriage(
        tmp_path,
        *("scenario", name),
        TMPDIR=str(tmp_path),
        FERRIAGE_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none",
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert ENDINGS[name] in done.stdout
    assert "gives no legal advice" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_seed_is_refused_three_times_by_notice_and_item(tmp_path: Path) -> None:
    done = ferriage(tmp_path, "scenario", "nanjing")

    refusal = "   refused, by the notice 工信部信管函〔2017〕32号, item 二(二)4"
    assert done.stdout.splitlines().count(refusal) == 3
