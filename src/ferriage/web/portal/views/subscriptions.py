"""What a customer changes about a subscription: its name, its plan, its room for devices."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import FerriageError
from ferriage.orders import actions as orders
from ferriage.orders import queries
from ferriage.orders.refunds import lost_of
from ferriage.plans import actions as plans
from ferriage.plans import several
from ferriage.plans.models import AddOnPrice, Plan, Price
from ferriage.plans.queries import subscription_end
from ferriage.web.portal import choices
from ferriage.web.portal.customer import for_customers
from ferriage.web.portal.views.account import account_page
from ferriage.web.shared import usage
from ferriage.web.shared.refusals import status_of

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpResponse

    from ferriage.plans.models import Subscription
    from ferriage.web.portal.customer import CustomerRequest


@require_POST
@for_customers
def name(request: CustomerRequest, code: str) -> HttpResponse:
    """Call a subscription by the customer's own short name."""
    mine = _own(request, code)
    try:
        plans.label(
            subscription=mine,
            text=request.POST.get("label", ""),
            now=request.now,
            actor=CUSTOMER,
        )
    except FerriageError as refusal:
        return account_page(request, error=refusal)
    return redirect("account")


@require_safe
@for_customers
def change(request: CustomerRequest, code: str) -> HttpResponse:
    """Show the other plans: what each costs now, and that it can be booked for the end."""
    return _change_page(request, _own(request, code))


@require_POST
@for_customers
def change_now(request: CustomerRequest, code: str) -> HttpResponse:
    """Order another plan for what is left of this one."""
    mine = _own(request, code)
    price = Price.objects.filter(code=request.POST.get("price", "")).select_related("plan").first()
    if price is None:
        raise Http404
    try:
        order = orders.place_change(
            account=request.customer,
            subscription=mine,
            price=price,
            place=request.customer.place,
            now=request.now,
            expires_at=_expiry(request),
            actor=CUSTOMER,
        )
    except FerriageError as refusal:
        return _change_page(request, mine, refusal)
    if order.state == order.State.FULFILLED:
        messages.success(request, _("Your plan is changed. Nothing was to be paid."))
        return redirect("account")
    return redirect("order", order.code)


@require_POST
@for_customers
def change_later(request: CustomerRequest, code: str) -> HttpResponse:
    """Book another plan for where the time ends."""
    mine = _own(request, code)
    plan = Plan.objects.filter(code=request.POST.get("plan", "")).first()
    if plan is None:
        raise Http404
    try:
        orders.plan_change(subscription=mine, plan=plan, now=request.now, actor=CUSTOMER)
    except FerriageError as refusal:
        return _change_page(request, mine, refusal)
    messages.success(
        request, _("It is booked. Renew whenever you like: the new term is of the new plan.")
    )
    return redirect("account")


@require_POST
@for_customers
def keep_plan(request: CustomerRequest, code: str) -> HttpResponse:
    """Take a booked change back."""
    mine = _own(request, code)
    try:
        plans.cancel_change(subscription=mine, now=request.now, actor=CUSTOMER)
    except FerriageError as refusal:
        return account_page(request, error=refusal)
    messages.success(request, _("The change is taken back. Your plan stays as it is."))
    return redirect("account")


@require_POST
@for_customers
def add_place(request: CustomerRequest, code: str) -> HttpResponse:
    """Order a place for one more device, or more data for the month."""
    mine = _own(request, code)
    term_code, _space, price_code = request.POST.get("place", "").partition(" ")
    term = queries.order_of(account=request.customer, code=term_code)
    price = AddOnPrice.objects.filter(code=price_code).select_related("plan").first()
    if term is None or price is None or term.subscription_id != mine.pk:
        raise Http404
    try:
        order = orders.place_addon(
            account=request.customer,
            term=term,
            price=price,
            place=request.customer.place,
            now=request.now,
            expires_at=_expiry(request),
            actor=CUSTOMER,
        )
    except FerriageError as refusal:
        return account_page(request, error=refusal)
    return redirect("order", order.code)


def _change_page(
    request: CustomerRequest, mine: Subscription, error: FerriageError | None = None
) -> HttpResponse:
    context = {
        "subscription": mine,
        "ends_at": subscription_end(mine).if_resumed(request.now),
        "is_over": subscription_end(mine).is_over(request.now),
        "planned": several.planned_change(mine),
        "usage": usage.of(mine, now=request.now),
        "others": choices.other_plans(mine, now=request.now),
        "lost": lost_of(mine, now=request.now),
        "error": error,
    }
    status = status_of(error) if error else 200
    return render(request, "portal/change.html", context, status=status)


def _expiry(request: CustomerRequest) -> datetime:
    return request.now + timedelta(hours=settings.FERRIAGE.shop.order_hours)


def _own(request: CustomerRequest, code: str) -> Subscription:
    """Return the customer's own subscription; somebody else's is no different from none."""
    mine = several.subscription_of(account=request.customer, code=code)
    if mine is None:
        raise Http404
    return mine
