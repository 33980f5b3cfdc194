"""Customers: found by number, order, subscription or device; their term and devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.db.models import Q
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.accounts.queries import account_by_number
from ferriage.arrivals.queries import openings_of
from ferriage.core.errors import NotFound
from ferriage.devices import actions as devices
from ferriage.devices.liveness import liveness
from ferriage.devices.models import Device
from ferriage.devices.queries import devices_of
from ferriage.orders import actions as orders
from ferriage.orders.actions import refunds as orders_refunds
from ferriage.orders.balance import balances_of
from ferriage.orders.models import Order
from ferriage.payments.queries import taken_back
from ferriage.plans.actions import refuse_over
from ferriage.plans.models import Subscription
from ferriage.plans.queries import device_limit, holds_of, subscription_end
from ferriage.plans.several import planned_change
from ferriage.web.backoffice.access import OWNER
from ferriage.web.backoffice.fields import InstantField, row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.shared import quotes, usage

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

MOST_DAYS = 731


class FindForm(forms.Form):
    """What a customer can name. It is posted, so that no number lands in an address or a log."""

    text = forms.CharField(
        label=gettext_lazy("Account number, or code of an order, device or subscription"),
        max_length=60,
    )


class GrantForm(forms.Form):
    """Days given without payment: so many, or until an instant."""

    days = forms.IntegerField(
        label=gettext_lazy("Days"), min_value=1, max_value=MOST_DAYS, required=False
    )
    ends_at = InstantField(label=gettext_lazy("Or until (UTC)"), required=False)
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)

    def clean(self) -> dict[str, Any]:
        """Refuse both ends, and none."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors and bool(cleaned["days"]) == bool(cleaned["ends_at"]):
            self.add_error("days", _("Type a number of days, or an end; not both."))
        return cleaned


class EndForm(forms.Form):
    """When a subscription ends early, and why."""

    at = InstantField(label=gettext_lazy("Ends at (UTC)"))
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)


def find(request: StaffRequest) -> HttpResponse:
    """Find a customer's subscriptions; go straight to the only one."""
    form = FindForm(request.POST or None)
    found: list[Subscription] = []
    if request.method == "POST" and form.is_valid():
        found = _found(form.cleaned_data["text"])
        if len(found) == 1:
            return redirect("staff-subscription", found[0].code)
        if not found:
            form.add_error("text", _("There is no customer with a subscription by that name."))
    status = 404 if form.errors else 200
    context = {"form": form, "subscriptions": found}
    return render(request, "backoffice/customers.html", context, status=status)


def subscription(request: StaffRequest, code: str) -> HttpResponse:
    """Show one subscription: what its periods give, its devices, its orders."""
    found = row(Subscription, code)
    held = list(devices_of(found))
    live = liveness(held, now=request.now)
    until = subscription_end(found)
    bought = list(Order.objects.filter(subscription=found).order_by("-pk"))
    context = {
        "subscription": found,
        "account": found.account,
        "end": until,
        "is_over": until.is_over(request.now),
        "holds": holds_of(found),
        "limit": device_limit(found, now=request.now),
        "planned": planned_change(found),
        "usage": usage.of(found, now=request.now),
        "periods": found.periods.order_by("pk"),
        "devices": [(device, live.get(device.code)) for device in held],
        "orders": bought,
        "taken_back": taken_back(bought),
        "balances": balances_of(found.account),
        "openings": openings_of(found.account),
    }
    return render(request, "backoffice/subscription.html", context)


def grant(request: StaffRequest, code: str) -> HttpResponse:
    """Give days, from the end of the term or from now."""
    found = row(Subscription, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        orders.grant_until(
            subscription=found,
            days=typed["days"],
            ends_at=typed["ends_at"],
            most_days=_most_days(request),
            reason=typed["reason"],
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The days are granted."), "staff-subscription", code)

    return form_page(
        request,
        GrantForm(request.POST or None),
        title=_("Grant days"),
        submit=_("Grant"),
        back=reverse("staff-subscription", args=[code]),
        act=act,
        intro=_("They follow the end of the term, or begin now if it has ended."),
    )


def _most_days(request: StaffRequest) -> int | None:
    """Return how many days within a year they may give one customer; owners give without limit."""
    if request.staff.role == OWNER:
        return None
    most: int = settings.FERRIAGE.shop.support_grant_days
    return most


def end(request: StaffRequest, code: str) -> HttpResponse:
    """End a subscription early; what was paid for the rest is owed back."""
    found = row(Subscription, code)
    refuse_over(found, now=request.now)

    def act(typed: dict[str, Any]) -> HttpResponse:
        orders.end_subscription(
            subscription=found,
            at=max(typed["at"], request.now),
            reason=typed["reason"],
            now=request.now,
            actor=request.staff.actor,
        )
        text = _("The subscription ends then. What is unused is owed back.")
        return said(request, text, "staff-subscription", code)

    return form_page(
        request,
        EndForm(request.POST or None, initial={"at": request.now}),
        title=_("End a subscription early"),
        submit=_("End it"),
        back=reverse("staff-subscription", args=[code]),
        act=act,
        intro=" ".join(
            [
                _("From that instant its devices are held. The unused part becomes a refund."),
                _("Only its time counts, however much data was used."),
            ]
        ),
    )


def refund(request: StaffRequest, code: str) -> HttpResponse:
    """End a subscription for its customer, for exactly the amount that the page shows."""
    found = row(Subscription, code)
    refuse_over(found, now=request.now)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        at, quoted = quotes.sent(request.POST)
        orders_refunds.refund_on_request(
            subscription=found,
            at=at,
            quoted=quoted,
            shares=quotes.shares_sent(request.POST),
            rules=quotes.refund_rules(),
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The refund is owed."), "staff-subscription", code)

    return form_page(
        request,
        forms.Form(request.POST if request.method == "POST" else None),
        title=_("Refund"),
        submit=_("End it for this amount"),
        back=reverse("staff-subscription", args=[code]),
        act=act,
        intro=_("What the rules of the shop give a customer who asks now."),
        template="backoffice/refund.html",
        **quotes.shown(found, request.now),
    )


def remove_device(request: StaffRequest, code: str) -> HttpResponse:
    """Remove a customer's device, after asking once more."""
    found = row(Device, code)
    owner = found.subscription.code

    def act(_typed: dict[str, Any]) -> HttpResponse:
        devices.remove_device(device=found, now=request.now, actor=request.staff.actor)
        return said(request, _("The device is removed."), "staff-subscription", owner)

    return form_page(
        request,
        forms.Form(request.POST if request.method == "POST" else None),
        title=_("Remove %(device)s") % {"device": found.name},
        submit=_("Remove this device"),
        back=reverse("staff-subscription", args=[owner]),
        act=act,
        intro=_("Its tunnel closes at once. The customer can add it again with a new key."),
    )


def _found(text: str) -> list[Subscription]:
    """Return the subscriptions that a code names, or those of the account with that number."""
    rows = Subscription.objects.select_related("plan__service", "account").order_by("pk")
    code = text.strip()
    if "_" in code:
        orders_of = Order.objects.filter(code=code).values("account")
        devices_named = Device.objects.filter(code=code).values("subscription")
        return list(rows.filter(Q(code=code) | Q(pk__in=devices_named) | Q(account__in=orders_of)))
    try:
        account = account_by_number(code)
    except NotFound:
        account = None
    return list(rows.filter(account=account)) if account else []
