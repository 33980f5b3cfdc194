"""What the worker did last, kept for people, alarms and metrics; never for deciding what is due.

Source: docs/decisions/0045-alarms-are-rows.md
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ferriage.core.compiled import Compiled
from ferriage.core.db import writing
from ferriage.core.models import WorkerRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

_MOST_TEXT: Final = 300
_FRESH: Final = timedelta(seconds=5)
"""The worker's rounds are a second apart; so much of its last one need not be exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One thing that was done or failed: how long it took, and what went wrong, if anything."""

    name: str
    seconds: float
    failure: str = ""


def claim(name: str, *, every: timedelta, now: datetime) -> bool:
    """Take something that is due every so often; of two processes only one gets it."""
    if WorkerRun.objects.filter(name=name, ran_at__gt=now - every).exists():
        return False
    with writing():
        made = WorkerRun.objects.get_or_create(name=name, defaults={"ran_at": now})[1]
        return made or claim_known(name, every=every, now=now)


def claim_known(name: str, *, every: timedelta, now: datetime) -> bool:
    """Take something as `claim` does, but not what nobody ever did before."""
    # Asked first: even an update of no row waits for the writer before it.
    if not _DUE(name, now - every):
        return False
    due = WorkerRun.objects.filter(name=name, ran_at__lte=now - every)
    return due.update(ran_at=now) == 1


_DUE: Final = Compiled(
    2, lambda name, until: WorkerRun.objects.filter(name=name, ran_at__lte=until).values_list("pk")
)


def note_round(runs: Sequence[Run], *, now: datetime) -> None:
    """Keep how a round of the worker went, unless nothing changed and the last one is fresh."""
    known = {row.name: row for row in WorkerRun.objects.filter(name__in=[r.name for r in runs])}
    fresh = all(
        run.name in known
        and known[run.name].failure == _plain(run.failure)
        and now - known[run.name].ran_at < _FRESH
        for run in runs
    )
    if not fresh:
        note(runs, now=now)


def note(runs: Iterable[Run], *, now: datetime) -> None:
    """Keep how these went; a success forgets the fault before it."""
    made = [
        WorkerRun(
            name=run.name,
            ran_at=now,
            done_at=None if run.failure else now,
            seconds=run.seconds,
            failure=_plain(run.failure),
        )
        for run in runs
    ]
    for rows, fields in (
        ([row for row in made if not row.failure], ["ran_at", "done_at", "seconds", "failure"]),
        ([row for row in made if row.failure], ["ran_at", "seconds", "failure"]),
    ):
        WorkerRun.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["name"], update_fields=fields
        )


def _plain(text: str) -> str:
    return text.replace("\0", "")[:_MOST_TEXT]
