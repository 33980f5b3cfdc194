from __future__ import annotations

from pathlib import Path

from ferriage.fleet import alarmwords
from ferriage.fleet.models import Alarm

PAGE = Path(__file__).parents[2] / "docs/how-to/run-gateways.md"


def test_every_alarm_is_explained_and_has_a_remedy() -> None:
    rows = [line.split(" | ")[0] for line in PAGE.read_text().splitlines() if " | " in line]

    assert sorted(row.removeprefix("| ") for row in rows if row != "| alarm") == sorted(
        str(kind.label) for kind in Alarm.Kind
    )
    assert set(alarmwords.REMEDIES) == set(Alarm.Kind)
