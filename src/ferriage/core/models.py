from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from ferriage.core.codes import new_code

if TYPE_CHECKING:
    _Text = models.CharField[str, str]
else:
    _Text = models.CharField


class CodeField(_Text):
    """A row's name outside the house: prefix and 16 random characters, unique, never edited."""

    def __init__(self, prefix: str, **options: object) -> None:
        self.prefix = prefix
        options.update(max_length=24, unique=True, editable=False, default=self._new)
        super().__init__(**options)  # type: ignore[arg-type]

    def _new(self) -> str:
        return new_code(self.prefix)

    def deconstruct(self) -> tuple[str, str, list[object], dict[str, object]]:
        """Leave out of migrations what the class itself sets."""
        name, path, args, options = super().deconstruct()
        for key in ("max_length", "unique", "editable", "default"):
            options.pop(key, None)
        return name, path, [self.prefix, *args], options


class AuditEntry(models.Model):
    """One thing that somebody did, for people to read. Append-only, hash-chained."""

    sequence = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=16)
    actor_code = models.CharField(max_length=150, blank=True)
    action = models.CharField(max_length=64)
    subject = models.CharField(max_length=64, blank=True)
    details = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        db_table = "core_auditentry"
        indexes = [models.Index(fields=["subject"], name="core_audit_subject")]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"


class SiteState(models.Model):
    """The one row of facts about this shop's database.

    `epoch` names the history of the database (new after a restore); `feed_format` is what the
    hub must speak; `secret_check` is a keyed hash that tells whether the secret key still fits.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    epoch = models.CharField(max_length=32)
    feed_format = models.PositiveSmallIntegerField()
    secret_check = models.CharField(max_length=64)
    inner4 = models.CharField(max_length=43)
    inner6 = models.CharField(max_length=43)
    next_slot = models.PositiveBigIntegerField(default=2)

    class Meta:
        db_table = "core_sitestate"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="core_site_one_row")]


class WorkerRun(models.Model):
    """When something that the worker does again and again was done last, and how it went.

    `done_at` is the last time without a fault; `failure` says what went wrong since.
    """

    name = models.CharField(max_length=32, unique=True)
    ran_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)
    seconds = models.FloatField(default=0)
    failure = models.CharField(max_length=300, blank=True)

    class Meta:
        db_table = "core_workerrun"
