"""Ending a subscription: the amount first, and the withdrawal that the law gives in two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import FerriageError
from ferriage.orders import refunds
from ferriage.orders.actions import refunds as actions
from ferriage.orders.models import Withdrawal
from ferriage.plans.models import Subscription
from ferriage.plans.queries import subscription_end, subscriptions_of
from ferriage.web.portal.customer import for_customers
from ferriage.web.shared import quotes
from ferriage.web.shared.papers import LANGUAGES
from ferriage.web.shared.quotes import refund_rules
from ferriage.web.shared.refusals import status_of

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpResponse

    from ferriage.web.portal.customer import CustomerRequest


@require_safe
@for_customers
def refund(request: CustomerRequest, code: str) -> HttpResponse:
    """Show what ending a subscription comes to, and by which rule."""
    return _refund_page(request, _own(request, code))


@require_POST
@for_customers
def refund_confirm(request: CustomerRequest, code: str) -> HttpResponse:
    """End a subscription for exactly what was shown."""
    mine = _own(request, code)
    try:
        at, quoted = quotes.sent(request.POST)
        done = actions.refund_on_request(
            subscription=mine,
            at=at,
            quoted=quoted,
            shares=quotes.shares_sent(request.POST),
            rules=refund_rules(),
            now=request.now,
            actor=CUSTOMER,
        )
    except FerriageError as refusal:
        return _refund_page(request, mine, refusal)
    messages.success(request, _said(done) % {"at": f"{done.ends_at:%Y-%m-%d %H:%M} UTC"})
    return redirect("account")


@require_safe
@for_customers
def withdraw_index(request: CustomerRequest) -> HttpResponse:
    """Step one: name the contract. Nothing but the account number is asked for before."""
    offered = [
        (mine, found, subscription_end(mine).if_resumed(request.now))
        for mine in subscriptions_of(request.customer)
        if (found := _withdrawal(mine, request.now)).parts
    ]
    context = {"offered": offered, "earlier": _earlier(request)}
    return render(request, "portal/withdraw.html", context)


@require_safe
@for_customers
def withdraw(request: CustomerRequest, code: str) -> HttpResponse:
    """Step two: what it is about and what it comes to, with the button that declares it."""
    mine = _own(request, code)
    found = _withdrawal(mine, request.now)
    if not found.parts:
        return redirect("withdraw")
    context = {
        "subscription": mine,
        "quote": found,
        "lost": refunds.lost_of(mine, now=request.now),
        "rules": refund_rules(),
    }
    return render(request, "portal/withdraw_confirm.html", context)


@require_POST
@for_customers
def withdraw_confirm(request: CustomerRequest, code: str) -> HttpResponse:
    """Take the declaration and hand out its acknowledgement at once."""
    mine = _own(request, code)
    done = actions.withdraw(
        subscription=mine, rules=refund_rules(), now=request.now, actor=CUSTOMER
    )
    return redirect("withdrawn", done.code)


@require_safe
@for_customers
def withdrawn(request: CustomerRequest, code: str) -> HttpResponse:
    """Show a withdrawal that was declared, with the file to keep."""
    found = _earlier(request).filter(code=code).first()
    if found is None:
        raise Http404
    context = {"withdrawal": found, "languages": LANGUAGES}
    return render(request, "portal/withdrawn.html", context)


def _said(done: refunds.Quote) -> str:
    """Return what is said of a refund that was booked, and to whom it goes."""
    if "payer" in done.goes_to:
        return _("It ends at the instant that was shown, %(at)s. The amount is owed to you.")
    if "reseller" in done.goes_to:
        return _("It ends at the instant that was shown, %(at)s. The order’s page has your note.")
    return _("It ends at the instant that was shown, %(at)s. The amount goes to whoever gave it.")


def _refund_page(
    request: CustomerRequest, mine: Subscription, error: FerriageError | None = None
) -> HttpResponse:
    context = quotes.shown(mine, request.now) | {"subscription": mine, "error": error}
    status = status_of(error) if error else 200
    return render(request, "portal/refund.html", context, status=status)


def _withdrawal(subscription: Subscription, now: datetime) -> refunds.Quote:
    decide = refunds.by_law(refund_rules(), now=now)
    return refunds.quote(subscription, at=now, decide=decide)


def _earlier(request: CustomerRequest) -> QuerySet[Withdrawal]:
    return Withdrawal.objects.filter(subscription__account=request.customer).order_by("-pk")


def _own(request: CustomerRequest, code: str) -> Subscription:
    """Return the customer's own subscription; somebody else's is no different from none."""
    mine = Subscription.objects.filter(account=request.customer, code=code).first()
    if mine is None:
        raise Http404
    return mine
