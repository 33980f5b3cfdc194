"""A second person's word: on a clock that ran ahead, and from outside the house."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from ferriage.approvals.models.record import Approval
from ferriage.core.models import CodeField


class ClockRepair(models.Model):
    """Two people's word that Decisions were written while the site's clock ran ahead.

    Confirmed, the clock guard measures against the newest Decision outside its range. The
    Decisions stay; `last_hash` says which chain was looked at.
    """

    code = CodeField("rep")
    first_sequence = models.PositiveBigIntegerField()
    last_sequence = models.PositiveBigIntegerField()
    last_hash = models.CharField(max_length=64)
    reason = models.CharField(max_length=500)
    proposed_by = models.CharField(max_length=150)
    proposed_at = models.DateTimeField()
    confirmed_by = models.CharField(max_length=150, blank=True)
    confirmed_at = models.DateTimeField(null=True)
    dropped_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "approvals_clockrepair"
        constraints = [
            models.CheckConstraint(
                condition=Q(first_sequence__gte=1)
                & Q(first_sequence__lte=models.F("last_sequence"))
                & ~Q(reason=""),
                name="approvals_clockrepair_range",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_by="", confirmed_at__isnull=True)
                | (
                    ~Q(confirmed_by="")
                    & ~Q(confirmed_by=models.F("proposed_by"))
                    & Q(confirmed_at__isnull=False, dropped_at__isnull=True)
                ),
                name="approvals_clockrepair_two_people",
            ),
        ]


class OutsideLink(models.Model):
    """A link with which somebody outside the house looks at one record and answers once."""

    token_hash = models.CharField(max_length=64, unique=True)
    approval = models.ForeignKey(
        Approval, on_delete=models.PROTECT, null=True, related_name="links"
    )
    repair = models.ForeignKey(
        ClockRepair, on_delete=models.PROTECT, null=True, related_name="links"
    )
    made_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "approvals_outsidelink"
        constraints = [
            models.CheckConstraint(
                condition=Q(approval__isnull=False, repair__isnull=True)
                | Q(approval__isnull=True, repair__isnull=False),
                name="approvals_outsidelink_one_subject",
            )
        ]


class OutsideAnswer(models.Model):
    """What an outside person answered: who they are, what they looked at, yes or no. Append-only.

    `relation` is theirs to the operator, in their own words, as is all of it.
    """

    link = models.OneToOneField(OutsideLink, on_delete=models.PROTECT, related_name="answer")
    approval = models.ForeignKey(
        Approval, on_delete=models.PROTECT, null=True, related_name="outside_answers"
    )
    repair = models.ForeignKey(
        ClockRepair, on_delete=models.PROTECT, null=True, related_name="outside_answers"
    )
    name = models.CharField(max_length=100)
    relation = models.CharField(max_length=200)
    looked_at = models.TextField()
    confirmed = models.BooleanField()
    reason = models.TextField(blank=True)
    at = models.DateTimeField()

    class Meta:
        db_table = "approvals_outsideanswer"
        constraints = [
            models.CheckConstraint(
                condition=~Q(name="")
                & ~Q(relation="")
                & ~Q(looked_at="")
                & (Q(confirmed=True) | ~Q(reason="")),
                name="approvals_outsideanswer_whole",
            ),
            models.CheckConstraint(
                condition=Q(approval__isnull=False, repair__isnull=True)
                | Q(approval__isnull=True, repair__isnull=False),
                name="approvals_outsideanswer_one_subject",
            ),
        ]
