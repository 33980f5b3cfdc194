"""What staff noted in the calendar: tasks seen to, duties done, incidents."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from ferriage.approvals.models.record import Evidence
from ferriage.core.models import CodeField


class Incident(models.Model):
    """Something that happened on a line and that a law may want to be told of. Append-only."""

    code = CodeField("inc")
    line_code = models.CharField(max_length=24)
    noticed_at = models.DateTimeField()
    words = models.CharField(max_length=500)
    noted_by = models.CharField(max_length=150)
    noted_at = models.DateTimeField()

    class Meta:
        db_table = "approvals_incident"
        constraints = [
            models.CheckConstraint(
                condition=Q(noted_at__gte=models.F("noticed_at")) & ~Q(words=""),
                name="approvals_incident_whole",
            )
        ]


class TaskTick(models.Model):
    """Somebody saw to a task of the calendar. Append-only; the task itself is never stored.

    `subject` and `duty` are those of the deadline, `due_at` its first instant too late.
    """

    subject = models.CharField(max_length=24)
    duty = models.CharField(max_length=40, blank=True)
    due_at = models.DateTimeField()
    days_before = models.PositiveSmallIntegerField()
    note = models.CharField(max_length=500, blank=True)
    ticked_by = models.CharField(max_length=150)
    ticked_at = models.DateTimeField()

    class Meta:
        db_table = "approvals_tasktick"
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "duty", "due_at", "days_before"],
                name="approvals_tasktick_once",
            )
        ]


class Fulfilment(models.Model):
    """Somebody noted that a duty was done, or took that back. Append-only: the newest row counts.

    `due_at` is the deadline's, null for a duty without a day; `sequence` counts the notes on it.
    """

    subject = models.CharField(max_length=24)
    duty = models.CharField(max_length=40)
    due_at = models.DateTimeField(null=True)
    sequence = models.PositiveIntegerField()
    done = models.BooleanField()
    note = models.CharField(max_length=500, blank=True)
    evidence = models.ForeignKey(Evidence, on_delete=models.PROTECT, null=True, related_name="+")
    noted_by = models.CharField(max_length=150)
    noted_at = models.DateTimeField()

    class Meta:
        db_table = "approvals_fulfilment"
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "duty", "due_at", "sequence"], name="approvals_fulfilment_once"
            ),
            models.UniqueConstraint(
                fields=["subject", "duty", "sequence"],
                condition=Q(due_at__isnull=True),
                name="approvals_fulfilment_once_without_day",
            ),
            models.CheckConstraint(
                condition=~Q(note="") | Q(evidence__isnull=False),
                name="approvals_fulfilment_shown",
            ),
        ]
