"""What the worker watches: gateways, lines, the hub and itself; and whom it tells.

Nothing here is inside a transaction while it waits for the hub or for the program that tells.

Source: docs/decisions/0045-alarms-are-rows.md
"""

from __future__ import annotations

import os
import subprocess
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import requests

from ferriage import wire
from ferriage.core import rounds
from ferriage.fleet import alarmwords, lookout, site
from ferriage.fleet.actions import forget_unopened, raise_alarms, settle_alarms
from ferriage.fleet.models import Alarm

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

NAME: Final = "alarms"
EVERY: Final = timedelta(seconds=10)
HUB_EVERY: Final = timedelta(seconds=20)
TOLD_EVERY: Final = timedelta(seconds=30)
_TELLING: Final = "telling"
_HUB_SECONDS: Final = 3
_COMMAND_SECONDS: Final = 15
_SERVER_ERROR: Final = 500
MOST_TOLD: Final = 50


def run(now: datetime) -> int:
    """Look when it is due, and tell what is new; return how many alarms ended."""
    if not rounds.claim("look", every=EVERY, now=now):
        return 0
    if rounds.claim(lookout.HUB, every=HUB_EVERY, now=now):
        _ask_hub(now)
    ended = look(now, by_worker=True)
    _tell(now)
    return ended


def stand_in(now: datetime) -> None:
    """Look in the worker's place when it did not for a minute: it cannot tell that it is away."""
    if rounds.claim_known("look", every=lookout.WORKER_LATE_AFTER, now=now):
        look(now, by_worker=False)


def look(now: datetime, *, by_worker: bool) -> int:
    """Raise what is so, forget what is not; return how many alarms ended."""
    found = lookout.facts(now=now, by_worker=by_worker)
    raise_alarms(found, now=now)
    forget_unopened(kinds=lookout.LOOKED_FOR, facts=found)
    return settle_alarms(now=now)


# --- the hub ----------------------------------------------------------------------------------


def _ask_hub(now: datetime) -> None:
    began = time.monotonic()
    failure = _hub_failure()
    seconds = time.monotonic() - began
    rounds.note([rounds.Run(name=lookout.HUB, seconds=seconds, failure=failure)], now=now)


def _hub_failure() -> str:
    """Return why gateways hear nothing from the hub where they ask it; empty text when they do.

    An unsigned question is refused, but refused by the hub itself: it signs every answer.
    """
    url = f"{site.hub_url()}/gateway/v1/watch"
    try:
        answer = requests.get(url, timeout=_HUB_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        return f"{url} does not answer: {type(error).__name__}"
    if wire.HEADER_SIGNATURE not in answer.headers:
        return f"{url} is answered by somebody else ({answer.status_code})"
    if answer.status_code >= _SERVER_ERROR:
        return f"{url} answers {answer.status_code}: its database is away"
    return ""


# --- telling ----------------------------------------------------------------------------------


def _tell(now: datetime) -> None:
    """Run the operator's program once with all that opened and ended since it was run last."""
    command = site.alarm_command()
    if not command:
        return
    opened = list(Alarm.objects.filter(told_opened_at=None, ended_at=None, opened_at__lte=now))
    ended = list(
        Alarm.objects.filter(ended_at__lte=now, told_opened_at__lte=now, told_ended_at=None)
    )
    if not (opened or ended) or not rounds.claim(_TELLING, every=TOLD_EVERY, now=now):
        return
    began = time.monotonic()
    failure = _run(command, message(opened, ended), counts=(len(opened), len(ended)))
    if not failure:
        Alarm.objects.filter(pk__in=[row.pk for row in opened]).update(told_opened_at=now)
        Alarm.objects.filter(pk__in=[row.pk for row in ended]).update(told_ended_at=now)
    seconds = time.monotonic() - began
    rounds.note([rounds.Run(name=_TELLING, seconds=seconds, failure=failure)], now=now)


def message(opened: Sequence[Alarm], ended: Sequence[Alarm]) -> str:
    """Return the text that the program gets: each alarm with what to do, then those that ended."""
    lines = []
    for row in opened[:MOST_TOLD]:
        lines += [f"ALARM {alarmwords.title(row)}"]
        lines += [f"  {text}" for text in (alarmwords.said(row), alarmwords.remedy(row)) if text]
    lines += [f"ended {alarmwords.title(row)}" for row in ended[:MOST_TOLD]]
    left_out = max(0, len(opened) - MOST_TOLD) + max(0, len(ended) - MOST_TOLD)
    if left_out:
        lines.append(f"and {left_out} more")
    return "\n".join([*lines, f"{site.site_url()}/staff/alarms/", ""])


def _run(command: tuple[str, ...], text: str, *, counts: tuple[int, int]) -> str:
    """Run the program; return why it failed, or nothing."""
    told = {"FERRIAGE_ALARMS_OPENED": str(counts[0]), "FERRIAGE_ALARMS_ENDED": str(counts[1])}
    try:
        done = subprocess.run(
            command,
            input=text,
            env={**os.environ, **told},
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    return f"{command[0]} ended with {done.returncode}: {done.stderr}" if done.returncode else ""
