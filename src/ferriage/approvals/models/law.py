"""Rule packs as they came to this shop, and when staff let them take effect."""

from __future__ import annotations

from django.db import models


class PackVersion(models.Model):
    """A rule pack as it came to this shop, whole. Append-only; a later row is a newer version.

    It is in force once a `PackAcceptance` names it. Until then it waits, and may only take away.
    """

    place = models.CharField(max_length=6)
    version = models.CharField(max_length=40)
    digest = models.CharField(max_length=64, unique=True)
    text = models.TextField()
    came_at = models.DateTimeField()

    class Meta:
        db_table = "approvals_packversion"
        constraints = [
            models.UniqueConstraint(fields=["place", "version"], name="approvals_packversion_once")
        ]

    def __str__(self) -> str:
        return f"{self.place} {self.version}"


class PackAcceptance(models.Model):
    """Who let a version take effect, and when. Append-only; never one older than the last."""

    pack = models.OneToOneField(PackVersion, on_delete=models.PROTECT, related_name="acceptance")
    accepted_at = models.DateTimeField()
    accepted_by = models.CharField(max_length=150)

    class Meta:
        db_table = "approvals_packacceptance"
