"""This release's agent with a site of the release before, and with one too far away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ferriage import wire
from ferriage.agent.client import OLDER_SECONDS, Tongue
from ferriage.agent.errors import Declined

if TYPE_CHECKING:
    from collections.abc import Callable


class Site:
    """Answers in the formats that it speaks; every question is written down."""

    def __init__(self, *spoken: int, slug: str = wire.FORMAT_REFUSED) -> None:
        self.spoken, self.slug = spoken, slug
        self.asked: list[int] = []
        self.mark = 0.0

    async def answer(self, spoken: int) -> int:
        self.asked.append(spoken)
        if spoken not in self.spoken:
            raise Declined(400, self.slug, f"this site speaks {self.spoken}")
        return spoken

    def tongue(self) -> Callable[[], int]:
        tongue = Tongue(lambda: self.mark)
        return lambda: asyncio.run(tongue.ask(self.answer))


def test_newest_format_comes_first() -> None:
    site = Site(4, 5)
    ask = site.tongue()

    assert [ask(), ask()] == [5, 5]
    assert site.asked == [5, 5]


@pytest.mark.parametrize("slug", ["format", "malformed", "report-wrong", "enrolment-wrong"])
def test_older_site_is_spoken_to_in_its_own_format_and_asked_again_later(slug: str) -> None:
    site = Site(3, 4, slug=slug)
    ask = site.tongue()

    assert [ask(), ask()] == [4, 4]
    site.mark, site.spoken = OLDER_SECONDS + 1, (4, 5)

    assert ask() == 5
    assert site.asked == [5, 4, 4, 5]


def test_site_too_far_away_is_told_of_and_asked_in_ours_the_next_time() -> None:
    site = Site(2, 3)
    ask = site.tongue()

    for _ in range(2):
        with pytest.raises(Declined, match="speaks"):
            ask()

    assert site.asked == [5, 4, 5, 4]


def test_other_refusals_are_no_reason_to_speak_older() -> None:
    site = Site(4, slug="lease")

    with pytest.raises(Declined):
        site.tongue()()

    assert site.asked == [5]
