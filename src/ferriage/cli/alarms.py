"""`ferriage alarms`: what is open, for people and for cron."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.cli import house
from ferriage.cli.words import Exit, say

if TYPE_CHECKING:
    import argparse

    from ferriage.fleet.models import Alarm


def run(_: argparse.Namespace) -> int:
    """Look now, print each open alarm with what to do; 1 while there is one.

    It looks itself, so that a worker that is away is among them.
    """
    house.enter()
    from ferriage.core import clock
    from ferriage.fleet import watch
    from ferriage.fleet.alarming import open_alarms

    watch.look(clock.now(), by_worker=False)
    found = list(open_alarms())
    for alarm in found:
        for line in told(alarm):
            say(line)
    if not found:
        say("No alarm is open.")
    return Exit.REFUSED if found else Exit.DONE


def told(alarm: Alarm) -> list[str]:
    """Return an alarm as lines of text, what to do below it."""
    from ferriage.fleet import alarmwords

    assert alarm.opened_at is not None  # noqa: S101 -- only open ones are told
    since = f"since {alarm.opened_at:%Y-%m-%d %H:%M:%S} UTC"
    seen = f", {alarm.acknowledged_by} sees to it" if alarm.acknowledged_by else ""
    texts = [alarmwords.said(alarm), alarmwords.remedy(alarm)]
    return [f"{alarmwords.title(alarm)} ({since}{seen})", *(f"  {t}" for t in texts if t)]
