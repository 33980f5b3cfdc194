"""What devices with a quota used. Beside `models.py`, which names them. Of others nothing is kept.

Source: docs/explanation/quotas.md
"""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import F, Q

MOST_COUNTED: Final = (1 << 63) - 1
"""Where a count of bytes stays: what is beyond was made up."""
MOST_RULED: Final = MOST_COUNTED >> 8
"""What staff may count of a month, 32 PiB: so much that the sum of some hundred still fits."""


class Incarnation(models.Model):
    """One life of a device's counter on a gateway: the greatest absolute values it was told.

    Of `told_*`, `aside_*` were told faster than they can have been used: they are kept, shown to
    staff, and count against nobody. Staff count them, then they are set aside no more, or drop
    them: `dropped_*` of `aside_*`. `rate_*` is the speed that the device had at `told_at`, and
    `spare_ms` the time at full speed that it had not used by then, a minute at most. A `final` one
    grows no more, and is forgotten 35 days after `told_at`.
    """

    gateway = models.ForeignKey("fleet.Gateway", on_delete=models.PROTECT, related_name="+")
    device = models.ForeignKey("devices.Device", on_delete=models.PROTECT, related_name="+")
    incarnation = models.CharField(max_length=80)
    told_down = models.BigIntegerField(default=0)
    told_up = models.BigIntegerField(default=0)
    aside_down = models.BigIntegerField(default=0)
    aside_up = models.BigIntegerField(default=0)
    dropped_down = models.BigIntegerField(default=0, db_default=0)
    dropped_up = models.BigIntegerField(default=0, db_default=0)
    rate_down_bps = models.PositiveBigIntegerField()
    rate_up_bps = models.PositiveBigIntegerField()
    final = models.BooleanField(default=False)
    told_at = models.DateTimeField()
    spare_ms = models.PositiveIntegerField(default=60_000)

    class Meta:
        db_table = "devices_incarnation"
        constraints = [
            models.UniqueConstraint(
                fields=["gateway", "device", "incarnation"], name="devices_incarnation_once"
            ),
            models.CheckConstraint(
                condition=Q(aside_down__gte=0, aside_up__gte=0)
                & Q(told_down__gte=F("aside_down"), told_up__gte=F("aside_up")),
                name="devices_incarnation_sane",
            ),
            models.CheckConstraint(
                condition=Q(dropped_down__gte=0, dropped_up__gte=0)
                & Q(aside_down__gte=F("dropped_down"), aside_up__gte=F("dropped_up")),
                name="devices_incarnation_dropped",
            ),
        ]
        indexes = [
            models.Index(
                fields=["told_at"], condition=Q(final=True), name="devices_incarnation_done"
            )
        ]

    def __str__(self) -> str:
        return self.incarnation

    @property
    def waits(self) -> int:
        """Return the bytes set aside that nobody has ruled on, both ways together."""
        return self.aside_down - self.dropped_down + self.aside_up - self.dropped_up


class UsageMonth(models.Model):
    """What a subscription used in one month of its quota, both ways together, half-open.

    The sum of the month's days; kept so that nobody needs to add them up.
    """

    subscription = models.ForeignKey(
        "plans.Subscription", on_delete=models.PROTECT, related_name="+"
    )
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    bytes_used = models.BigIntegerField(default=0)
    used_at = models.DateTimeField()

    class Meta:
        db_table = "devices_usagemonth"
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "begins_at"], name="devices_usagemonth_once"
            ),
            models.CheckConstraint(
                condition=Q(bytes_used__gte=0, ends_at__gt=F("begins_at")),
                name="devices_usagemonth_sane",
            ),
        ]
        indexes = [
            models.Index(fields=["ends_at"], name="devices_usagemonth_ends"),
            models.Index(fields=["used_at"], name="devices_usagemonth_used"),
        ]


class UsageDay(models.Model):
    """What a device used on one day (UTC) in one month of its subscription's quota.

    The day is the one on which the gateway's report was taken over. It goes with its month.
    """

    device = models.ForeignKey("devices.Device", on_delete=models.PROTECT, related_name="+")
    month = models.ForeignKey(UsageMonth, on_delete=models.PROTECT, related_name="days")
    on = models.DateField()
    bytes_down = models.BigIntegerField(default=0)
    bytes_up = models.BigIntegerField(default=0)

    class Meta:
        db_table = "devices_usageday"
        constraints = [
            models.UniqueConstraint(fields=["device", "on", "month"], name="devices_usageday_once"),
            models.CheckConstraint(
                condition=Q(bytes_down__gte=0, bytes_up__gte=0), name="devices_usageday_sane"
            ),
        ]


class UsageRest(models.Model):
    """What a device's forgotten incarnations counted, less what its forgotten days did.

    With it the incarnations that are kept still add up to the days that are kept, to the byte.
    """

    device = models.OneToOneField("devices.Device", on_delete=models.PROTECT, related_name="+")
    bytes_down = models.BigIntegerField(default=0)
    bytes_up = models.BigIntegerField(default=0)

    class Meta:
        db_table = "devices_usagerest"


class GatewayMeter(models.Model):
    """What all devices with a quota told on a gateway, only growing, and when it was compared.

    `checked_*` are what the devices and the pools' sums had come to when they were compared last;
    `checked_at` is null until they were looked at for the first time. `checked_all` tells that
    every device had a quota then.
    """

    gateway = models.OneToOneField("fleet.Gateway", on_delete=models.PROTECT, related_name="+")
    bytes_told = models.BigIntegerField(default=0)
    checked_at = models.DateTimeField(null=True)
    checked_told = models.BigIntegerField(default=0)
    checked_pools = models.BigIntegerField(default=0)
    checked_all = models.BooleanField(default=False)

    class Meta:
        db_table = "devices_gatewaymeter"
