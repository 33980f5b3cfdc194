from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ferriage.core.models import CodeField


class Gateway(models.Model):
    """A host of the operator's that ends tunnels and runs the agent.

    `lease_*` and `fence` keep a second agent with the same identity out; `rival_at` is when one
    was last refused. One that is draining since `draining_at` is offered to nobody anew.

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
    """Gateways with the same peers, serving one line. Its row holds the feed's revision."""

    code = CodeField("pool")
    line = models.OneToOneField(Line, on_delete=models.PROTECT, related_name="pool")
    revision = models.PositiveBigIntegerField(default=0)
    digest = models.CharField(max_length=64, default="0" * 64)
    mtu = models.PositiveIntegerField(default=1420)

    class Meta:
        db_table = "fleet_pool"


class PoolGateway(models.Model):
    """One gateway's membership in a pool: one WireGuard interface, and what it last reported.

    `deferred*` say how many devices it keeps that the snapshot of that revision did not name.
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
        ]


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


class PoolUsage(models.Model):
    """Bytes of one pool on one gateway in one life of its counters: absolute, only growing."""

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
