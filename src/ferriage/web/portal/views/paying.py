"""Paying over the net: leaving for the provider's page, and coming back from it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import FerriageError
from ferriage.payments import actions as payments
from ferriage.payments.asking import ask_soon
from ferriage.payments.providers.contract import Urls
from ferriage.web.portal.customer import for_customers
from ferriage.web.portal.views.orders import order_page, own_order

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.portal.customer import CustomerRequest


@require_POST
@for_customers
def start(request: CustomerRequest, code: str, slug: str) -> HttpResponse:
    """Begin a payment, and show the way to where it is paid.

    A page and not a redirect: the site's policy lets no form lead to another site.
    """
    mine = own_order(request, code)
    choice = request.POST.get("choice", "")
    try:
        payment = payments.start(
            order=mine,
            slug=slug,
            choice=choice,
            urls=urls(code, slug, host=request.get_host()),
            now=request.now,
            actor=CUSTOMER,
        )
    except FerriageError as refusal:
        return order_page(request, own_order(request, code), error=refusal)
    if not payment.pay_url:
        return redirect("order", code)
    context = {"payment": payment, "host": urlsplit(payment.pay_url).hostname}
    response = render(request, "portal/leaving.html", context)
    response["Refresh"] = f"1; url={payment.pay_url}"
    return response


@require_safe
@for_customers
def back(request: CustomerRequest, code: str) -> HttpResponse:
    """Receive a customer from the provider's page; what they say of having paid is not believed."""
    mine = own_order(request, code)
    if mine.state == "open":
        ask_soon(order=mine, now=request.now)
    response = order_page(request, mine)
    if mine.state == "open":
        response["Refresh"] = f"5; url={reverse('pay-back', args=[code])}"
    return response


def urls(order: str, slug: str, *, host: str) -> Urls:
    """Return where a provider sends the customer back to, and where it reports to.

    Args:
        host: The name by which the customer came, one of the shop's: only there are they logged in.
    """
    site: str = settings.FERRIAGE.site.url.rstrip("/")
    here = f"{urlsplit(site).scheme}://{host}"
    return Urls(
        back=here + reverse("pay-back", args=[order]),
        cancelled=here + reverse("order", args=[order]),
        events=site + reverse("provider-events", args=[slug]),
    )
