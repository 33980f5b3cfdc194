from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ferriage.core.models import CodeField


class Service(models.Model):
    """A VPN that is sold under a name, such as each of the two of the story we come from."""

    code = CodeField("svc")
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=60)
    description = models.CharField(max_length=300, blank=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        db_table = "plans_service"
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name


class Plan(models.Model):
    """What is sold of a service: lines, number of devices, speed, and how much in a month.

    `quota_bytes` is what the devices of one subscription may use together, both ways, in a month
    of its quota (see `plans.quota`); None is as much as they like, and then nothing is counted.

    `routes` are the inner networks that its devices reach, and nothing else; empty, it is the
    internet. The database itself holds them against the rules (0003_closed_services).
    """

    code = CodeField("pln")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="plans")
    name = models.CharField(max_length=60)
    device_limit = models.PositiveSmallIntegerField(default=5)
    rate_down_bps = models.PositiveBigIntegerField(default=100_000_000)
    rate_up_bps = models.PositiveBigIntegerField(default=100_000_000)
    quota_bytes = models.PositiveBigIntegerField(null=True)
    routes = models.JSONField(default=list)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "plans_plan"
        constraints = [
            models.CheckConstraint(
                condition=Q(device_limit__gte=1, rate_down_bps__gte=8000, rate_up_bps__gte=8000),
                name="plans_plan_limits",
            ),
            models.CheckConstraint(
                condition=Q(quota_bytes__isnull=True) | Q(quota_bytes__gte=1_000_000),
                name="plans_plan_quota",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Offer(models.Model):
    """A plan on a line. Whether it is on sale is judged live; only `withdrawn` is stored."""

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="offers")
    line = models.ForeignKey("fleet.Line", on_delete=models.PROTECT, related_name="+")
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "plans_offer"
        constraints = [models.UniqueConstraint(fields=["plan", "line"], name="plans_offer_once")]


class Price(models.Model):
    """A term of a plan in a currency, with dates; never edited, replaced by a new row."""

    code = CodeField("prc")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="prices")
    term_months = models.PositiveSmallIntegerField()
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True)

    class Meta:
        db_table = "plans_price"
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_minor__gte=0, term_months__in=[1, 6, 12, 24]),
                name="plans_price_sane",
            ),
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gte=F("valid_from")),
                name="plans_price_dates",
            ),
            models.UniqueConstraint(
                fields=["plan", "term_months", "currency"],
                condition=Q(valid_to__isnull=True),
                name="plans_price_one_current",
            ),
        ]


class AddOnPrice(models.Model):
    """What an add-on to a plan costs; never edited, replaced by a new row.

    A place for a device costs it for each calendar month. A quota pack costs it once, for its
    `quota_bytes`, which are to be used in the month of the quota in which it is bought.
    """

    class Kind(models.TextChoices):
        DEVICE_SLOT = "device_slot", _("place for one more device")
        QUOTA_PACK = "quota_pack", _("more data for a month")

    code = CodeField("adp")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="addon_prices")
    kind = models.CharField(max_length=12, choices=Kind)
    quota_bytes = models.PositiveBigIntegerField(null=True)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True)

    class Meta:
        db_table = "plans_addonprice"
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="plans_addonprice_sane"),
            models.CheckConstraint(
                condition=Q(kind="quota_pack", quota_bytes__gte=1_000_000)
                | ~Q(kind="quota_pack") & Q(quota_bytes__isnull=True),
                name="plans_addonprice_bytes",
            ),
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gte=F("valid_from")),
                name="plans_addonprice_dates",
            ),
            models.UniqueConstraint(
                fields=["plan", "kind", "currency"],
                condition=Q(valid_to__isnull=True),
                name="plans_addonprice_one_current",
            ),
        ]

    def __str__(self) -> str:
        return self.code


class Subscription(models.Model):
    """An account's right to a plan of a service. Its end is derived from its periods.

    `anchor_at` is where boundaries are counted from: the first purchase, and again after a gap.
    `quota_anchor_at` is where the months of its quota are counted from: see `plans.quota`.
    An account may hold several of a service: `number` tells them apart, and `label`, if the
    customer gave one. In a closed service it holds one (members.0003_one_subscription).
    """

    code = CodeField("sub")
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    anchor_at = models.DateTimeField()
    quota_anchor_at = models.DateTimeField()
    number = models.PositiveSmallIntegerField(default=1)
    label = models.CharField(max_length=30, blank=True, db_default="")
    version = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "plans_subscription"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "service", "number"], name="plans_subscription_numbered"
            )
        ]

    def __str__(self) -> str:
        return self.code


class Period(models.Model):
    """A posted stretch of a subscription, half-open. Append-only.

    `cut` takes its stretch away from what the others give; `ends_at` is null only in a grant
    without end. `freeze` is posted twice: without an end when days begin to stand still, and again
    with the same start when they go on. `slot` gives no time but a place for one more device; cuts
    and freezes that are posted later move it as they move the rest. `pack` gives none either, but
    `quota_bytes` on top of the plan's quota, for what is left of a month of it. `revoke` takes its
    stretch away from the slot or pack with the same `source_code`, and from nothing else.
    """

    class Kind(models.TextChoices):
        PURCHASE = "purchase", _("Purchase")
        GIFT = "gift", _("Gift")
        GRANT = "grant", _("Grant")
        CUT = "cut", _("Cut")
        FREEZE = "freeze", _("Freeze")
        SLOT = "slot", _("Slot")
        PACK = "pack", _("Pack")
        REVOKE = "revoke", _("Revoke")

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="periods")
    kind = models.CharField(max_length=8, choices=Kind)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    source_code = models.CharField(max_length=24)
    reason = models.CharField(max_length=200, blank=True)
    quota_bytes = models.PositiveBigIntegerField(null=True)
    posted_at = models.DateTimeField()

    class Meta:
        db_table = "plans_period"
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at"))
                | Q(ends_at__isnull=True, kind__in=["grant", "cut", "freeze"]),
                name="plans_period_forward",
            ),
            models.UniqueConstraint(
                fields=["source_code", "kind"],
                condition=Q(kind="purchase"),
                name="plans_period_purchase_once",
            ),
            models.UniqueConstraint(
                fields=["source_code"],
                condition=Q(kind="slot"),
                name="plans_period_slot_once",
            ),
            models.UniqueConstraint(
                fields=["source_code"],
                condition=Q(kind="pack"),
                name="plans_period_pack_once",
            ),
            models.CheckConstraint(
                condition=Q(kind="pack", quota_bytes__gt=0)
                | ~Q(kind="pack") & Q(quota_bytes__isnull=True),
                name="plans_period_pack_bytes",
            ),
            models.UniqueConstraint(
                fields=["source_code"],
                condition=Q(kind="freeze", ends_at__isnull=True),
                name="plans_period_frozen_once",
            ),
            models.UniqueConstraint(
                fields=["source_code"],
                condition=Q(kind="freeze", ends_at__isnull=False),
                name="plans_period_thawed_once",
            ),
        ]


class Lapse(models.Model):
    """A time in which no line of a subscription's plan may serve its customer, and how it ended.

    Its days are frozen from `lapsed_at`, the true instant, whenever it was noticed. Without a
    choice it ends by itself: in service again, or at `due_at` by a refund. `due_at` is null where
    nothing was sold, so there is nothing to refund. `plan` is the one that was held then.
    """

    class Choice(models.TextChoices):
        NONE = ""
        WAIT = "wait"

    class Outcome(models.TextChoices):
        OPEN = ""
        RESUMED = "resumed"
        MOVED = "moved"
        REFUNDED = "refunded"
        ENDED = "ended"

    code = CodeField("lps")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="lapses")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    lapsed_at = models.DateTimeField()
    noticed_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    choice = models.CharField(max_length=4, choices=Choice, blank=True)
    outcome = models.CharField(max_length=8, choices=Outcome, blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "plans_lapse"
        constraints = [
            models.UniqueConstraint(
                fields=["subscription"],
                condition=Q(ended_at__isnull=True),
                name="plans_lapse_one_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, outcome="")
                | Q(ended_at__isnull=False, ended_at__gt=F("lapsed_at")) & ~Q(outcome=""),
                name="plans_lapse_ended_whole",
            ),
            models.CheckConstraint(
                condition=Q(due_at__isnull=True) | Q(due_at__gt=F("lapsed_at")),
                name="plans_lapse_due_later",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(ended_at__isnull=True), name="plans_lapse_due"
            )
        ]

    def __str__(self) -> str:
        return self.code


class Hold(models.Model):
    """A time in which a subscription's devices are held for a reason that is not its term.

    Days run on meanwhile; what must be made good afterwards is granted by staff.
    """

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="holds")
    source_code = models.CharField(max_length=24, unique=True)
    reason = models.CharField(max_length=200)
    begun_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "plans_hold"
        indexes = [
            models.Index(
                fields=["subscription"],
                condition=Q(ended_at__isnull=True),
                name="plans_hold_open",
            )
        ]


class PlannedChange(models.Model):
    """Another plan of the service that a subscription is to go on with where its time ends.

    It is booked for nothing; the next term is then sold at the other plan's price. `source_code`
    is the order that paid for that term: from then on the change is certain, and the plan is
    changed at the instant at which that term begins.
    """

    class Outcome(models.TextChoices):
        OPEN = "", _("booked")
        DONE = "done", _("done")
        CANCELLED = "cancelled", _("cancelled")
        WITHDRAWN = "withdrawn", _("not sold any more")
        DENIED = "denied", _("not to be sold to you now")

    code = CodeField("chg")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="changes")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    booked_at = models.DateTimeField()
    source_code = models.CharField(max_length=24, blank=True)
    outcome = models.CharField(max_length=9, choices=Outcome, blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "plans_plannedchange"
        constraints = [
            models.UniqueConstraint(
                fields=["subscription"],
                condition=Q(ended_at__isnull=True),
                name="plans_plannedchange_one_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, outcome="")
                | Q(ended_at__isnull=False) & ~Q(outcome=""),
                name="plans_plannedchange_ended_whole",
            ),
        ]

    def __str__(self) -> str:
        return self.code
