"""What agents say by rote is told in the reader's language; what came from outside stays."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import translation

from ferriage.agent import run, status
from ferriage.fleet import alarmwords, lookout
from ferriage.fleet.actions.reports import RIVAL_WARNING
from ferriage.fleet.models import Alarm
from ferriage.fleet.warningwords import said


@dataclass
class _Pool:
    """What an agent's warnings are made of."""

    kept: int = 0
    held: int = 0
    assignment: Any = field(default_factory=lambda: SimpleNamespace(pool="pool_1"))

    @property
    def deferred(self) -> list[str]:
        return ["dev"] * self.kept

    def off(self) -> list[str]:
        return ["dev"] * self.held


def _told(*pools: _Pool, known: dict[str, str] | None = None, refused: int = 0) -> list[str]:
    listed = {"pool_1": {f"dev_{n}": "slot is taken" for n in range(refused)}}
    found = status.warnings(known or {}, listed, pools)  # type: ignore[arg-type] -- as above
    return [said(text) for text in found]


def test_counts_that_an_agent_tells_are_told_as_such() -> None:
    told = _told(_Pool(kept=1), _Pool(held=12), refused=status.MOST_TOLD + 3)

    assert told == [
        "A snapshot of pool_1 did not name one device; it stays until staff allow that it goes.",
        (
            "12 devices of pool_1 were removed or held before the shop's records were restored; "
            "they are off until staff let them on."
        ),
        "3 more devices of pool_1 are refused than are listed.",
    ]


def test_warnings_without_room_are_counted() -> None:
    told = _told(*[_Pool(kept=1)] * (status.MOST_TOLD + 4))

    assert told[-1] == "There are 4 more warnings than are shown."


@pytest.mark.parametrize(
    ("part", "text", "expected"),
    [
        ("watch pool_1", "no route to host", "Listening for changes (pool_1): no route to host"),
        ("apply", "nft: File exists", "Applying a change: nft: File exists"),
        ("other", "9 lives", "other: 9 lives"),
        (
            "lease",
            run._BORROWED,
            (
                "Its identity: Its state directory was copied or moved from another host or place. "
                "Nothing is changed there until the site has given this agent the lease."
            ),
        ),
    ],
)
def test_part_is_told_in_words_and_what_came_from_outside_stays(
    part: str, text: str, expected: str
) -> None:
    assert _told(known={part: text}) == [expected]


@pytest.mark.parametrize("text", ["", "no colon", "Two\nlines: 3", RIVAL_WARNING])
def test_text_of_no_known_shape_is_left_alone(text: str) -> None:
    assert said(text) == text


def test_words_are_asked_for_in_the_reader_s_language() -> None:
    alarm = Alarm(
        kind=Alarm.Kind.CLOCK_WRONG,
        details={"failure": "This host has not set its clock yet, so nothing is opened or sold."},
    )

    with translation.override("zh-hans"):
        assert alarmwords.said(alarm) == "此主机尚未校准时钟，因此不开通、不销售任何东西。"


def test_every_part_of_the_worker_has_a_name() -> None:
    assert set(alarmwords.WORKER_PARTS) == set(lookout.ROOMS)


@pytest.mark.parametrize(
    ("kind", "details", "expected"),
    [
        (Alarm.Kind.UNPLACED, {"count": 1}, "Not served on this line: one device."),
        (Alarm.Kind.UNPLACED, {"count": 2}, "Not served on this line: 2 devices."),
        (Alarm.Kind.GATEWAY_REFUSES, {"lines": {"a": 1, "b": 2}}, "a: one device; b: 2 devices."),
        (Alarm.Kind.WORKER_LATE, {"parts": ["ledger"]}, "Last round: never. books"),
        (Alarm.Kind.CLOCK_WRONG, {}, ""),
    ],
)
def test_alarm_counts_as_people_do(
    kind: Alarm.Kind, details: dict[str, Any], expected: str
) -> None:
    assert alarmwords.said(Alarm(kind=kind, details=details)) == expected
