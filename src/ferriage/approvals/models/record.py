"""What was recorded, concluded and decided about lines."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ferriage.core.models import CodeField


class Party(models.Model):
    """Operator or lessee as a legal person. Lines and approvals name one."""

    code = CodeField("pty")
    name = models.CharField(max_length=120)
    place = models.CharField(max_length=6)
    register_number = models.CharField(max_length=60, blank=True)

    class Meta:
        db_table = "approvals_party"

    def __str__(self) -> str:
        return self.name


class Approval(models.Model):
    """An authority's recorded permission. Expiry is computed from its dates, never stored.

    It counts only when granted, verified by somebody who did not enter it, with evidence. What it
    says is written once: a renewal or correction is a row of its own that supersedes this one, and
    a correction takes its place when it counts. The database refuses everything else, by trigger.

    `capacity` and `customers` are its scope in the document's own words.
    """

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        LODGED = "lodged", _("Lodged")
        GRANTED = "granted", _("Granted")
        SUSPENDED = "suspended", _("Suspended")
        REVOKED = "revoked", _("Revoked")
        SURRENDERED = "surrendered", _("Surrendered")
        REFUSED = "refused", _("Refused")
        SUPERSEDED = "superseded", _("Corrected by a later version")

    code = CodeField("apr")
    kind = models.CharField(max_length=40)
    holder = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="+")
    number = models.CharField(max_length=60, blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.DRAFT)
    issued_on = models.DateField(null=True)
    valid_from = models.DateField(null=True)
    valid_to = models.DateField(null=True)
    conditions = models.TextField(blank=True)
    capacity = models.CharField(max_length=120, blank=True, db_default="")
    customers = models.CharField(max_length=200, blank=True, db_default="")
    lodged_at = models.DateTimeField(null=True)
    entered_by = models.CharField(max_length=150)
    verified_by = models.CharField(max_length=150, blank=True)
    verified_at = models.DateTimeField(null=True)
    supersedes = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+")
    is_correction = models.BooleanField(default=False, db_default=False)
    correction_reason = models.CharField(max_length=200, blank=True, db_default="")
    created_at = models.DateTimeField()

    class Meta:
        db_table = "approvals_approval"
        constraints = [
            models.CheckConstraint(
                condition=Q(verified_by="") | ~Q(verified_by=models.F("entered_by")),
                name="approvals_approval_two_people",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["granted", "suspended", "revoked", "surrendered"])
                | (~Q(number="") & Q(valid_from__isnull=False)),
                name="approvals_approval_granted_whole",
            ),
            models.CheckConstraint(
                condition=Q(is_correction=False)
                | (Q(supersedes__isnull=False) & ~Q(correction_reason="")),
                name="approvals_approval_correction_whole",
            ),
            models.UniqueConstraint(
                fields=["supersedes"],
                condition=Q(is_correction=True),
                name="approvals_approval_corrected_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.number}".strip()

    @property
    def verified_outside(self) -> bool:
        """Whether the second person came from outside the house, by a link."""
        return self.verified_by.startswith("outside:")


class ApprovalLine(models.Model):
    """A line that an approval's scope names, by its code."""

    approval = models.ForeignKey(Approval, on_delete=models.PROTECT, related_name="lines")
    line_code = models.CharField(max_length=24)

    class Meta:
        db_table = "approvals_approvalline"
        constraints = [
            models.UniqueConstraint(
                fields=["approval", "line_code"], name="approvals_approvalline_once"
            )
        ]


class Determination(models.Model):
    """The operator's recorded conclusion on one question that a rule pack leaves unknown.

    It speaks of one line when `line_code` is set. `made_on` is the day of `made_at` in the time
    zone of the place's authority. `kinds` name the approvals it finds necessary.
    """

    class Answer(models.TextChoices):
        REQUIRED = "required", _("Required")
        NOTIFY = "notify", _("Notify")
        NOT_REQUIRED = "not_required", _("Not Required")
        NOT_OBTAINABLE = "not_obtainable", _("Not Obtainable")

    class Grade(models.TextChoices):
        OWN = "own", _("Own")
        COUNSEL = "counsel", _("Counsel")

    code = CodeField("det")
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="+")
    place = models.CharField(max_length=6)
    role = models.CharField(max_length=8)
    customer_class = models.CharField(max_length=16)
    use = models.CharField(max_length=16)
    line_code = models.CharField(max_length=24, blank=True)
    answer = models.CharField(max_length=16, choices=Answer)
    kinds = models.JSONField(default=list)
    grade = models.CharField(max_length=8, choices=Grade, default=Grade.OWN)
    reasoning = models.TextField()
    source_title = models.CharField(max_length=200, blank=True)
    source_clause = models.CharField(max_length=200)
    source_read_on = models.DateField()
    author_name = models.CharField(max_length=100)
    statement = models.BooleanField()
    made_at = models.DateTimeField()
    made_on = models.DateField()
    review_by = models.DateField()
    entered_by = models.CharField(max_length=150)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "approvals_determination"
        constraints = [
            models.CheckConstraint(
                condition=Q(statement=True), name="approvals_determination_statement"
            ),
            models.CheckConstraint(
                condition=~Q(reasoning="") & ~Q(author_name="") & ~Q(source_clause=""),
                name="approvals_determination_reasoned",
            ),
            models.CheckConstraint(
                condition=Q(review_by__gt=models.F("made_on")),
                name="approvals_determination_review",
            ),
        ]


class Evidence(models.Model):
    """A file that proves something, known by its hash; kept sealed on disk. Append-only."""

    sha256 = models.CharField(max_length=64)
    title = models.CharField(max_length=120)
    media_type = models.CharField(max_length=80)
    size_bytes = models.PositiveBigIntegerField()
    original_at = models.CharField(max_length=200, blank=True)
    uploaded_by = models.CharField(max_length=150)
    uploaded_at = models.DateTimeField()
    approval = models.ForeignKey(
        Approval, on_delete=models.PROTECT, null=True, related_name="evidence"
    )
    determination = models.ForeignKey(
        Determination, on_delete=models.PROTECT, null=True, related_name="evidence"
    )

    class Meta:
        db_table = "approvals_evidence"

    @property
    def subject(self) -> str:
        """Code of what it proves."""
        owner = self.approval or self.determination
        return owner.code if owner else ""


class Decision(models.Model):
    """What the register answered, when, and on what inputs. Append-only, hash-chained.

    `subject` is the code of what it was asked for: a line, an order, a device. `packs` holds
    version and digest of every rule pack in force, `inputs_digest` covers the facts.
    """

    sequence = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField()
    subject = models.CharField(max_length=24)
    line_code = models.CharField(max_length=24)
    inputs_digest = models.CharField(max_length=64)
    packs = models.JSONField()
    allowed = models.BooleanField()
    reasons = models.JSONField()
    valid_until = models.DateTimeField()
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        db_table = "approvals_decision"
        indexes = [
            models.Index(fields=["subject"], name="approvals_decision_subject"),
            models.Index(fields=["line_code", "sequence"], name="approvals_decision_line"),
            models.Index(fields=["at", "allowed", "line_code"], name="approvals_decision_month"),
        ]
