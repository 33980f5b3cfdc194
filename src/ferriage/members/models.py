from __future__ import annotations

from django.db import models
from django.db.models import Q

from ferriage.core.models import CodeField


class ClosedService(models.Model):
    """A service for invited, named people only, and the plan that each of them gets.

    `customer_class` is that of the plan's lines; the accounts of its members carry it too.
    """

    class Class(models.TextChoices):
        ENTERPRISE = "enterprise"
        OWN_STAFF = "own_staff"

    service = models.OneToOneField("plans.Service", on_delete=models.PROTECT, related_name="+")
    plan = models.ForeignKey("plans.Plan", on_delete=models.PROTECT, related_name="+")
    customer_class = models.CharField(max_length=16, choices=Class)

    class Meta:
        db_table = "members_closedservice"
        constraints = [
            models.CheckConstraint(
                condition=Q(customer_class__in=["enterprise", "own_staff"]),
                name="members_closedservice_class",
            )
        ]

    def __str__(self) -> str:
        return self.service.name


class Member(models.Model):
    """A named person of a closed service: one line of the user file that the law asks for.

    `reference` is what the organisation calls them by: a personnel or member number. `subject`
    is who they are to the identity provider `issuer`, once they have signed in with it. The
    account stays when they leave, and is theirs again when they come back.
    """

    class State(models.TextChoices):
        INVITED = "invited"  # on the list, nothing accepted yet
        ACTIVE = "active"
        LEFT = "left"

    code = CodeField("mbr")
    closed = models.ForeignKey(ClosedService, on_delete=models.PROTECT, related_name="members")
    reference = models.CharField(max_length=60)
    name = models.CharField(max_length=100)
    language = models.CharField(max_length=10, default="en")
    state = models.CharField(max_length=8, choices=State, default=State.INVITED)
    account = models.OneToOneField(
        "accounts.Account", on_delete=models.PROTECT, null=True, related_name="+"
    )
    issuer = models.CharField(max_length=200, blank=True)
    subject = models.CharField(max_length=255, blank=True)
    entered_at = models.DateTimeField()
    active_at = models.DateTimeField(null=True)
    left_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "members_member"
        constraints = [
            models.UniqueConstraint(fields=["closed", "reference"], name="members_member_once"),
            models.UniqueConstraint(
                fields=["closed", "issuer", "subject"],
                condition=~Q(subject=""),
                name="members_member_identity",
            ),
            models.CheckConstraint(
                condition=~Q(reference="") & ~Q(name=""), name="members_member_named"
            ),
            models.CheckConstraint(
                condition=Q(state="invited", active_at__isnull=True, left_at__isnull=True)
                | Q(
                    state="active",
                    account__isnull=False,
                    active_at__isnull=False,
                    left_at__isnull=True,
                )
                | Q(state="left", left_at__isnull=False),
                name="members_member_state",
            ),
        ]
        indexes = [models.Index(fields=["closed", "state"], name="members_member_state_of")]

    def __str__(self) -> str:
        return f"{self.reference} {self.name}"


class Invitation(models.Model):
    """A link with which one person accepts and becomes active: once, and for a limited time.

    One that follows a sign-in with the identity provider (`by_sign_in`) shows no account number:
    these members come in by signing in, so that they are asked about each time.
    """

    token_hash = models.CharField(max_length=64, unique=True)
    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="invitations")
    by_sign_in = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "members_invitation"


class SignInAttempt(models.Model):
    """A browser that was sent to the identity provider and is expected back, once.

    `nonce` comes back inside the signed token, `verifier` proves to the provider that whoever
    fetches the token is who asked for it.
    """

    state_hash = models.CharField(max_length=64, unique=True)
    nonce = models.CharField(max_length=64)
    verifier = models.CharField(max_length=128)
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "members_signinattempt"
