"""The three choices of a customer whose line may not be open: move, wait, or be refunded.

The hold page of a gateway links here, so this page is reached through a held tunnel too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import FerriageError
from ferriage.orders import actions
from ferriage.plans import several
from ferriage.plans.models import Plan
from ferriage.web.portal import lapsed
from ferriage.web.portal.customer import for_customers
from ferriage.web.shared.refusals import status_of

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.plans.models import Subscription
    from ferriage.web.portal.customer import CustomerRequest


@require_safe
@for_customers
def index(request: CustomerRequest) -> HttpResponse:
    """Show what no line serves now, and the choices."""
    return _page(request)


@require_POST
@for_customers
def wait(request: CustomerRequest, code: str) -> HttpResponse:
    """Note that the customer waits."""
    mine = _own(request, code)
    try:
        actions.wait(subscription=mine, now=request.now, actor=CUSTOMER)
    except FerriageError as refusal:
        return _page(request, refusal)
    return redirect("held")


@require_POST
@for_customers
def move(request: CustomerRequest, code: str) -> HttpResponse:
    """Let the time that is left go on with another plan of the service."""
    mine = _own(request, code)
    plan = Plan.objects.filter(code=request.POST.get("plan", "")).first()
    if plan is None:
        raise Http404
    try:
        actions.move(
            subscription=mine,
            plan=plan,
            keep_time=settings.FERRIAGE.shop.moves_keep_time,
            now=request.now,
            actor=CUSTOMER,
        )
    except FerriageError as refusal:
        return _page(request, refusal)
    messages.success(
        request,
        _(
            "Your time goes on with another line. The files you have name the old one:"
            " remove each device and add it anew."
        ),
    )
    return redirect("account")


@require_POST
@for_customers
def refund(request: CustomerRequest, code: str) -> HttpResponse:
    """End the subscription; what was unused is owed."""
    mine = _own(request, code)
    try:
        actions.refund(subscription=mine, now=request.now, actor=CUSTOMER)
    except FerriageError as refusal:
        return _page(request, refusal)
    messages.success(request, _("It is ended. What was unused is refunded."))
    return redirect("account")


def _page(request: CustomerRequest, error: FerriageError | None = None) -> HttpResponse:
    found = lapsed.stopped(request.customer, now=request.now, language=get_language() or "en")
    context = {"stopped": found, "error": error}
    return render(request, "portal/held.html", context, status=status_of(error) if error else 200)


def _own(request: CustomerRequest, code: str) -> Subscription:
    """Return the customer's own subscription; somebody else's is no different from none."""
    mine = several.subscription_of(account=request.customer, code=code)
    if mine is None:
        raise Http404
    return mine
