from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Account(models.Model):
    """One customer, known by a number that only its keyed hash is kept of.

    `place` is where the customer says to be (ISO 3166, with subdivision where the law differs);
    `label` names the person or device's owner in a closed service only. An account that ended
    (`closed_at`) lets nobody in, by number or session.
    """

    class Class(models.TextChoices):
        PUBLIC = "public", _("Public")
        ENTERPRISE = "enterprise", _("Enterprise")
        OWN_STAFF = "own_staff", _("Own Staff")

    number_hash = models.CharField(max_length=64, unique=True)
    account_class = models.CharField(max_length=16, choices=Class, default=Class.PUBLIC)
    place = models.CharField(max_length=6, blank=True)
    label = models.CharField(max_length=100, blank=True)
    language = models.CharField(max_length=10, default="en")
    created_on = models.DateField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "accounts_account"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(account_class="public") | ~models.Q(label=""),
                name="accounts_account_named_where_closed",
            )
        ]


class CustomerSession(models.Model):
    """A customer's browser that is logged in; the token itself is only in its cookie."""

    token_hash = models.CharField(max_length=64, unique=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    created_on = models.DateField()
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "accounts_customersession"


class StaffProfile(models.Model):
    """The role of somebody who logs in to the back office."""

    class Role(models.TextChoices):
        OWNER = "owner", _("owner")
        PARTNER = "partner", _("partner")
        SUPPORT = "support", _("support")
        AUDITOR = "auditor", _("auditor")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="staff_profile"
    )
    role = models.CharField(max_length=16, choices=Role)

    class Meta:
        db_table = "accounts_staffprofile"

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class StaffLink(models.Model):
    """A link that works once: it makes a member of staff, or gives one a new password."""

    class Purpose(models.TextChoices):
        INVITE = "invite"
        RESET = "reset"

    token_hash = models.CharField(max_length=64, unique=True)
    purpose = models.CharField(max_length=8, choices=Purpose)
    role = models.CharField(max_length=16, choices=StaffProfile.Role, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+"
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "accounts_stafflink"


class CalendarFeed(models.Model):
    """An address from which the calendar program of a member of staff reads what is due."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "accounts_calendarfeed"
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=models.Q(ended_at__isnull=True),
                name="accounts_calendarfeed_one_each",
            )
        ]
