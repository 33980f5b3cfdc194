from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ferriage.core.clock import from_unix
from ferriage.core.models import CodeField

if TYPE_CHECKING:
    from datetime import datetime


class Gateway(models.Model):
    """A host of the operator's that ends tunnels and runs the agent.

    `lease_*` and `fence` keep a second agent with the same identity out; `rival_at` is when one
    was last refused. One that is draining since `draining_at` is offered to nobody anew. `signs`
    are what its agent last counted of things that a person should know (see `wire.Sign`).

    `spoken` is the feed format of its agent, also of one that was refused for it. `checks` are what
    the agent saw on its host (`wire.Check`), `outward_address` where its report came from as far as
    the site can tell, `probe` what came of a WireGuard handshake that the site tried with it.
    """

    class Probe(models.TextChoices):
        ANSWERED = "answered", _("answered")
        SILENT = "silent", _("silent")
        UNSENT = "unsent", _("could not be sent")

    class State(models.TextChoices):
        WAITING = (
            "waiting",
            _("waiting for its agent"),
        )  # enrolment token given out, agent not seen yet
        ACTIVE = "active", _("active")
        CLOSED = "closed", _("closed")

    code = CodeField("gw")
    name = models.CharField(max_length=60, unique=True)
    place = models.CharField(max_length=6)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    signing_key = models.CharField(max_length=44, blank=True)
    wireguard_key = models.CharField(max_length=44, blank=True)
    endpoint_host = models.CharField(max_length=255, blank=True)
    endpoint_port = models.PositiveIntegerField(default=51820)
    enrolled_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(null=True)
    agent_version = models.CharField(max_length=32, blank=True)
    backend = models.CharField(max_length=16, blank=True)
    boot_id = models.CharField(max_length=36, blank=True)
    warnings = models.JSONField(default=list)
    signs = models.JSONField(default=list)
    lease_instance = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.PositiveBigIntegerField(default=0)
    report_sequence = models.PositiveBigIntegerField(default=0)
    rival_at = models.DateTimeField(null=True)
    draining_at = models.DateTimeField(null=True)
    spoken = models.PositiveIntegerField(null=True)
    checks = models.JSONField(default=list)
    checked_at = models.DateTimeField(null=True)
    outward_address = models.CharField(max_length=45, blank=True, db_default="")
    probe = models.CharField(max_length=8, choices=Probe, blank=True, db_default="")
    probed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "fleet_gateway"
        constraints = [
            models.CheckConstraint(
                condition=Q(probe__in=["", "answered", "silent", "unsent"]),
                name="fleet_gateway_probe",
            ),
            # Every customer's file of this gateway names it.
            models.CheckConstraint(
                condition=~Q(state="active", endpoint_host=""), name="fleet_gateway_endpoint"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class EnrolToken(models.Model):
    """A one-time secret with which a host becomes the gateway it was made for."""

    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, related_name="+")
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "fleet_enroltoken"


class Line(models.Model):
    """A sellable route from where tunnels enter to their exit. Everything is judged by line.

    `party` is the operator or lessee who acts; `sell_places` are the places it may be sold in.
    Only `planned`, `in_service`, `held` and `closed` are stored: authorised and open are derived.
    A line that is leased names its lessor, the contract and the capacity, in the contract's words.
    `permit_floor` is the highest serial that a gateway proved and this database does not know.
    """

    class State(models.TextChoices):
        PLANNED = "planned", _("planned")
        IN_SERVICE = "in_service", _("in service")
        HELD = "held", _("held")
        CLOSED = "closed", _("closed")

    class Use(models.TextChoices):
        RESALE = "resale", _("resale")
        INTERNAL_OFFICE = "internal_office", _("internal office")

    code = CodeField("ln")
    name = models.CharField(max_length=60)
    party = models.ForeignKey("approvals.Party", on_delete=models.PROTECT, related_name="+")
    enter_place = models.CharField(max_length=6)
    exit_place = models.CharField(max_length=6)
    sell_places = models.JSONField(default=list)
    customer_class = models.CharField(max_length=16, default="public")
    use = models.CharField(max_length=16, choices=Use, default=Use.RESALE)
    lessor = models.CharField(max_length=120, blank=True, db_default="")
    lease_contract = models.CharField(max_length=120, blank=True, db_default="")
    capacity = models.CharField(max_length=120, blank=True, db_default="")
    state = models.CharField(max_length=12, choices=State, default=State.PLANNED)
    hold_reason = models.CharField(max_length=200, blank=True)
    permit_floor = models.PositiveBigIntegerField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "fleet_line"

    def __str__(self) -> str:
        return self.name


class Pool(models.Model):
    """Gateways with the same peers, serving one line. Its row holds the feed's revision.

    A line has one, and siblings once that one is full; each is one more interface on every gateway
    of the line. `placed` counts the registered devices that were placed in it, served now or not.
    """

    code = CodeField("pool")
    line = models.ForeignKey(Line, on_delete=models.PROTECT, related_name="pools")
    revision = models.PositiveBigIntegerField(default=0)
    digest = models.CharField(max_length=64, default="0" * 64)
    mtu = models.PositiveIntegerField(default=1420)
    size_limit = models.PositiveIntegerField(default=60_000)
    placed = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "fleet_pool"
        constraints = [
            models.CheckConstraint(
                condition=Q(placed__lte=F("size_limit")), name="fleet_pool_within_limit"
            )
        ]


class PoolGateway(models.Model):
    """One gateway's membership in a pool: one WireGuard interface, and what it last reported.

    `deferred*` say how many devices it keeps that the snapshot of that revision did not name,
    `waiting*` how many are off that were removed or held before the database was restored, and
    `since` what it knows of devices and the restored database does not (`wire.Since`). `probe` is
    what came of the last handshake that the site tried at `listen_port`.
    """

    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, related_name="memberships")
    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, related_name="memberships")
    interface = models.PositiveSmallIntegerField()
    listen_port = models.PositiveIntegerField()
    applied_epoch = models.CharField(max_length=32, blank=True)
    applied_rev = models.PositiveBigIntegerField(default=0)
    applied_digest = models.CharField(max_length=64, blank=True)
    permit_serial = models.PositiveBigIntegerField(default=0)
    line_open = models.BooleanField(default=False)
    peers = models.PositiveIntegerField(default=0)
    refused = models.JSONField(default=list)
    deferred = models.PositiveIntegerField(default=0)
    deferred_rev = models.PositiveBigIntegerField(default=0)
    deferred_digest = models.CharField(max_length=64, blank=True, default="")
    waiting = models.PositiveIntegerField(default=0)
    waiting_rev = models.PositiveBigIntegerField(default=0)
    waiting_digest = models.CharField(max_length=64, blank=True, default="")
    since = models.JSONField(default=list)
    probe = models.CharField(max_length=8, choices=Gateway.Probe, blank=True, db_default="")
    reported_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "fleet_poolgateway"
        constraints = [
            models.UniqueConstraint(fields=["pool", "gateway"], name="fleet_poolgateway_once"),
            models.UniqueConstraint(
                fields=["gateway", "interface"], name="fleet_poolgateway_interface"
            ),
            models.UniqueConstraint(
                fields=["gateway", "listen_port"], name="fleet_poolgateway_port"
            ),
            models.CheckConstraint(
                condition=Q(probe__in=["", "answered", "silent", "unsent"]),
                name="fleet_poolgateway_probe",
            ),
        ]

    @property
    def known_since(self) -> list[tuple[str, str, datetime | None]]:
        """Of `since`: device, what happened, and until when it runs; None where it is off."""
        return [
            (row["device"], row["what"], from_unix(row["until"]) if row["until"] else None)
            for row in self.since
        ]


class LeftPool(models.Model):
    """A pool that a gateway was taken off, so that what it counted there is taken all the same.

    Never forgotten: a gateway that was off for months tells of it when it comes back.
    """

    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, related_name="+")
    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, related_name="+")
    left_at = models.DateTimeField()

    class Meta:
        db_table = "fleet_leftpool"
        constraints = [
            models.UniqueConstraint(fields=["gateway", "pool"], name="fleet_leftpool_once")
        ]

    def __str__(self) -> str:
        return f"{self.gateway_id} left {self.pool_id}"


class PoolChange(models.Model):
    """The pool's log: what a gateway that holds `rev - 1` must do. The hub reads it.

    `payload` is the canonical `wire.Put`, `wire.Del` or `wire.PermitItem`; `subject` the device
    or line. Written in the transaction of the business change, after the pool row was locked.
    `digest` is the pool's once this change is applied, so that a delta may end anywhere.
    """

    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, related_name="+")
    rev = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=8)
    subject = models.CharField(max_length=24)
    payload = models.TextField()
    digest = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        db_table = "fleet_poolchange"
        constraints = [models.UniqueConstraint(fields=["pool", "rev"], name="fleet_poolchange_rev")]
        indexes = [models.Index(fields=["at"], name="fleet_poolchange_at")]


class PoolCurrent(models.Model):
    """The latest item of each device and of the line in a pool: what a snapshot holds.

    `needs` is the first feed format that can say the record, 0 when every one that is spoken can.
    """

    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, related_name="+")
    subject = models.CharField(max_length=24)
    rev = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=8)
    payload = models.TextField()
    at = models.DateTimeField()
    needs = models.PositiveSmallIntegerField(default=0, db_default=0)

    class Meta:
        db_table = "fleet_poolcurrent"
        constraints = [
            models.UniqueConstraint(fields=["pool", "subject"], name="fleet_poolcurrent_subject")
        ]
        indexes = [
            models.Index(fields=["pool", "rev"], name="fleet_poolcurrent_rev"),
            models.Index(fields=["at"], condition=Q(kind="del"), name="fleet_poolcurrent_gone"),
            models.Index(
                fields=["pool", "needs"], condition=Q(needs__gt=0), name="fleet_poolcurrent_needs"
            ),
        ]


class Permit(models.Model):
    """The signed word that a line may be open until an instant. Newest serial counts.

    An open one must rest on a Decision that allows this line at least as long (R9, by trigger).
    """

    class State(models.TextChoices):
        OPEN = "open", _("open")
        HELD = "held", _("held")
        CLOSED = "closed", _("closed")

    line = models.ForeignKey(Line, on_delete=models.PROTECT, related_name="+")
    serial = models.PositiveBigIntegerField()
    state = models.CharField(max_length=8, choices=State)
    open_until = models.DateTimeField()
    decision = models.ForeignKey("approvals.Decision", on_delete=models.PROTECT, related_name="+")
    payload = models.TextField()
    signature = models.CharField(max_length=88)
    written_at = models.DateTimeField()

    class Meta:
        db_table = "fleet_permit"
        constraints = [
            models.UniqueConstraint(fields=["line", "serial"], name="fleet_permit_serial"),
            models.CheckConstraint(
                condition=Q(state__in=["open", "held", "closed"]), name="fleet_permit_state"
            ),
        ]


EARLIER_COUNTERS: Final = ""  # an incarnation no report can name: of a pool's forgotten counters


class PoolUsage(models.Model):
    """Bytes of one pool on one gateway in one life of its counters: absolute, only growing.

    A life that has ended is summed up with the earlier ones 35 days after it was told of last.
    """

    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, related_name="+")
    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, related_name="+")
    incarnation = models.CharField(max_length=80)
    bytes_down = models.BigIntegerField(default=0)
    bytes_up = models.BigIntegerField(default=0)
    final = models.BooleanField(default=False)
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "fleet_poolusage"
        constraints = [
            models.UniqueConstraint(
                fields=["gateway", "pool", "incarnation"], name="fleet_poolusage_once"
            )
        ]


class Alarm(models.Model):
    """Something that a person should look at: noticed, opened, at last ended, kept 90 days.

    It is opened once it has stood as long as its kind must, and ended once nobody has seen it for
    as long as its kind lingers. Before it was opened nobody is told of it. `subject` is the code
    of a gateway or line, or the name of a part of the shop.
    """

    class Kind(models.TextChoices):
        GATEWAY_SILENT = "gateway_silent", _("gateway silent")
        GATEWAY_LAGS = "gateway_lags", _("gateway lags")
        GATEWAY_LACKS = "gateway_lacks", _("gateway lacks what it needs")
        GATEWAY_REFUSES = "gateway_refuses", _("gateway refuses records")
        FOREIGN_CHANGES = "foreign_changes", _("somebody changed the gateway")
        REMOVALS_DEFERRED = "removals_deferred", _("removals wait")
        SECOND_AGENT = "second_agent", _("second agent refused")
        OTHER_HISTORY = "other_history", _("records older than a gateway")
        SLOW_BUILD = "slow_build", _("slow build of WireGuard")
        METERING = "metering", _("bytes do not add up")
        UNPLACED = "unplaced", _("devices without room")
        UNSERVED = "unserved", _("sold, but no gateway serves")
        LINE_CLOSING = "line_closing", _("line closes soon")
        WORKER_LATE = "worker_late", _("worker late")
        HUB_AWAY = "hub_away", _("hub away")
        CLOCK_WRONG = "clock_wrong", _("clock wrong")

    kind = models.CharField(max_length=24, choices=Kind)
    subject = models.CharField(max_length=64)
    details = models.JSONField(default=dict)
    noticed_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    told_opened_at = models.DateTimeField(null=True)
    told_ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "fleet_alarm"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"],
                condition=Q(ended_at=None),
                name="fleet_alarm_one_open",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(opened_at__isnull=False),
                name="fleet_alarm_opened_first",
            ),
        ]
        indexes = [models.Index(fields=["ended_at"], name="fleet_alarm_ended")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.subject}"
