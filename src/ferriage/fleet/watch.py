"""What the worker watches: gateways, lines, the hub and itself; and whom it tells.

The hub and the program that tells may hang. Both are asked beside the worker's rounds, which wait
for half a second and take what comes later in the next one.

Source: docs/decisions/0045-alarms-are-rows.md
"""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import requests

from ferriage import wire
from ferriage.core import rounds
from ferriage.fleet import alarmwords, lookout, site
from ferriage.fleet.actions import forget_unopened, raise_alarms, settle_alarms
from ferriage.fleet.aside import Aside
from ferriage.fleet.models import Alarm

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.fleet.aside import Outcome

NAME: Final = "alarms"
EVERY: Final = timedelta(seconds=10)
HUB_EVERY: Final = timedelta(seconds=20)
TOLD_EVERY: Final = timedelta(seconds=30)
_TELLING: Final = "telling"
_HUB_SECONDS: Final = 3
_COMMAND_SECONDS: Final = 15
_SERVER_ERROR: Final = 500
MOST_TOLD: Final = 50
PATIENCE_SECONDS = 0.5
"""How long a round waits for the hub or the program."""
_HUB, _TELLER = Aside(), Aside()
_being_told: Final[dict[str, list[int]]] = {"opened": [], "ended": []}
"""Which alarms the program has been given and has not answered for yet."""


def run(now: datetime) -> int:
    """Look when it is due, and tell what is new; return how many alarms ended."""
    if not rounds.claim("look", every=EVERY, now=now):
        return 0
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
    if not _HUB.busy and rounds.claim(lookout.HUB, every=HUB_EVERY, now=now):
        url = f"{site.hub_url()}/gateway/v1/watch"
        _HUB.begin(lambda: _hub_failure(url))
    _note(lookout.HUB, _HUB.take(wait_seconds=PATIENCE_SECONDS), now)


def _note(name: str, outcome: Outcome | None, now: datetime) -> None:
    if outcome is not None:
        run_ = rounds.Run(name=name, seconds=outcome.seconds, failure=outcome.failure)
        rounds.note([run_], now=now)


def _hub_failure(url: str) -> str:
    """Return why gateways hear nothing from the hub where they ask it; empty text when they do.

    An unsigned question is refused, but refused by the hub itself: it signs every answer.
    """
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
    if command and not _TELLER.busy:
        _begin_telling(command, now)
    outcome = _TELLER.take(wait_seconds=PATIENCE_SECONDS)
    if outcome is not None and not outcome.failure:
        Alarm.objects.filter(pk__in=_being_told["opened"]).update(told_opened_at=now)
        Alarm.objects.filter(pk__in=_being_told["ended"]).update(told_ended_at=now)
    _note(_TELLING, outcome, now)


def _begin_telling(command: tuple[str, ...], now: datetime) -> None:
    opened = list(Alarm.objects.filter(told_opened_at=None, ended_at=None, opened_at__lte=now))
    ended = list(
        Alarm.objects.filter(ended_at__lte=now, told_opened_at__lte=now, told_ended_at=None)
    )
    if not (opened or ended) or not rounds.claim(_TELLING, every=TOLD_EVERY, now=now):
        return
    _being_told["opened"] = [row.pk for row in opened]
    _being_told["ended"] = [row.pk for row in ended]
    text, counts = message(opened, ended), (len(opened), len(ended))
    _TELLER.begin(lambda: _run(command, text, counts=counts))


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
