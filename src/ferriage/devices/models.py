from __future__ import annotations

from django.db import models
from django.db.models import Q

from ferriage.core.models import CodeField
from ferriage.devices.usagemodels import (
    GatewayMeter,
    Incarnation,
    UsageDay,
    UsageMonth,
    UsageRest,
)

__all__ = [
    "Device",
    "GatewayMeter",
    "Incarnation",
    "UsageDay",
    "UsageMonth",
    "UsageRest",
]


class Device(models.Model):
    """A customer's phone, laptop or router: one key, one pair of inner addresses.

    `hold_at` and `remove_at` are what was last told to the gateways; they are rebuilt from the
    subscription's periods and the register, never edited on their own. `ruling` names the
    register's answers that went into them. `remove_at` is null once the peer was taken away.
    `asked` names the request that added it, so that one sent twice adds one device.
    `quota_ends_at` is where the month of its quota ends that the gateways were told, if any.
    `language_due_at` is when they are told the account's language anew, if they do not know it.
    Its key was changed `rekeyed` times on the day `rekeyed_on`, the last on which it was.
    """

    code = CodeField("dev")
    subscription = models.ForeignKey(
        "plans.Subscription", on_delete=models.PROTECT, related_name="+"
    )
    name = models.CharField(max_length=40)
    platform = models.CharField(max_length=16, blank=True)
    public_key = models.CharField(max_length=44)
    slot = models.PositiveBigIntegerField()
    ip4 = models.GenericIPAddressField(protocol="IPv4")
    ip6 = models.GenericIPAddressField(protocol="IPv6")
    generation = models.PositiveIntegerField(default=1)
    created_on = models.DateField()
    hold_at = models.DateTimeField(null=True)
    hold_reason = models.CharField(max_length=8, default="term")
    remove_at = models.DateTimeField(null=True)
    ruling = models.CharField(max_length=64, blank=True)
    removed_at = models.DateTimeField(null=True)
    asked = models.CharField(max_length=64, blank=True, db_default="")
    quota_ends_at = models.DateTimeField(null=True)
    language_due_at = models.DateTimeField(null=True)
    rekeyed_on = models.DateField(null=True)
    rekeyed = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        db_table = "devices_device"
        constraints = [
            models.UniqueConstraint(
                fields=["public_key"], condition=Q(removed_at__isnull=True), name="devices_key"
            ),
            models.UniqueConstraint(
                fields=["slot"], condition=Q(removed_at__isnull=True), name="devices_slot"
            ),
            models.UniqueConstraint(
                fields=["subscription", "name"],
                condition=Q(removed_at__isnull=True),
                name="devices_name",
            ),
            models.UniqueConstraint(
                fields=["subscription", "asked"],
                condition=~Q(asked=""),
                name="devices_asked_once",
            ),
        ]
        indexes = [
            models.Index(fields=["remove_at"], name="devices_remove_at"),
            models.Index(
                fields=["quota_ends_at"],
                condition=Q(quota_ends_at__isnull=False),
                name="devices_quota_ends",
            ),
            models.Index(
                fields=["language_due_at"],
                condition=Q(language_due_at__isnull=False),
                name="devices_language_due",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Unplaced(models.Model):
    """A device that found no room on a line of its plan: not served there until it is placed."""

    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="+")
    line = models.ForeignKey("fleet.Line", on_delete=models.PROTECT, related_name="+")
    since = models.DateTimeField()

    class Meta:
        db_table = "devices_unplaced"
        constraints = [
            models.UniqueConstraint(fields=["device", "line"], name="devices_unplaced_once")
        ]


class DevicePool(models.Model):
    """Where a device was placed on a line: once, so that its file stays right until it is removed.

    `pool` is one of `line`'s. Kept also while the device's peer is away, for it may be renewed.
    """

    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="places")
    line = models.ForeignKey("fleet.Line", on_delete=models.PROTECT, related_name="+")
    pool = models.ForeignKey("fleet.Pool", on_delete=models.PROTECT, related_name="+")

    class Meta:
        db_table = "devices_devicepool"
        constraints = [
            models.UniqueConstraint(fields=["device", "line"], name="devices_devicepool_once")
        ]
