from __future__ import annotations

from django.db import models
from django.db.models import F, Q

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
    """What is sold of a service: lines, number of devices, speed.

    `routes` are the inner networks that its devices reach, and nothing else; empty, it is the
    internet. The database itself holds them against the rules (0003_closed_services).
    """

    code = CodeField("pln")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="plans")
    name = models.CharField(max_length=60)
    device_limit = models.PositiveSmallIntegerField(default=5)
    rate_down_bps = models.PositiveBigIntegerField(default=100_000_000)
    rate_up_bps = models.PositiveBigIntegerField(default=100_000_000)
    routes = models.JSONField(default=list)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "plans_plan"
        constraints = [
            models.CheckConstraint(
                condition=Q(device_limit__gte=1, rate_down_bps__gte=8000, rate_up_bps__gte=8000),
                name="plans_plan_limits",
            )
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


class Subscription(models.Model):
    """An account's right to a plan of a service. Its end is derived from its periods.

    `anchor_at` is where boundaries are counted from: the first purchase, and again after a gap.
    """

    code = CodeField("sub")
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    anchor_at = models.DateTimeField()
    version = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "plans_subscription"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "service"], name="plans_subscription_one_per_service"
            )
        ]

    def __str__(self) -> str:
        return self.code


class Period(models.Model):
    """A posted stretch of a subscription, half-open. Append-only.

    `cut` takes its stretch away from what the others give; `ends_at` is null only in a grant
    without end. `freeze` is posted twice: without an end when days begin to stand still, and again
    with the same start when they go on.
    """

    class Kind(models.TextChoices):
        PURCHASE = "purchase"
        GIFT = "gift"
        GRANT = "grant"
        CUT = "cut"
        FREEZE = "freeze"

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="periods")
    kind = models.CharField(max_length=8, choices=Kind)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    source_code = models.CharField(max_length=24)
    reason = models.CharField(max_length=200, blank=True)
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
