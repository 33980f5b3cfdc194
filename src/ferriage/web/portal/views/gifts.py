"""Gifts: a term for somebody else's number, or a code to hand on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.cache import cache
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST, require_safe

from ferriage.accounts.queries import account_by_number
from ferriage.approvals.packfile import is_place
from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import FerriageError
from ferriage.core.hashing import hash_secret
from ferriage.orders import actions as orders
from ferriage.orders.models import Order
from ferriage.orders.queries import place_of
from ferriage.payments import gifts
from ferriage.web.portal import catalogue, served
from ferriage.web.portal.customer import for_customers
from ferriage.web.portal.views.orders import order_page, own_order, price_in_force, purchase
from ferriage.web.shared.refusals import status_of

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.portal.customer import CustomerRequest

UNPROCESSABLE = 422
TRIES: Final = 5
TRIES_SECONDS: Final = 3600


class TooManyTries(FerriageError):
    """So many numbers are typed by nobody who was given them."""

    slug = "too-many-tries"
    status = 429

    def __init__(self) -> None:
        super().__init__(
            gettext_lazy("You typed too many numbers that a gift cannot go to."),
            gettext_lazy("Try again in an hour, or buy a gift code and hand that on."),
        )


@require_safe
@for_customers
def choose(request: CustomerRequest, code: str) -> HttpResponse:
    """Ask who the gift is for: a number, or whoever gets the code."""
    return _page(request, code)


@require_POST
@sensitive_post_parameters("number")
@for_customers
def to_number(request: CustomerRequest, code: str) -> HttpResponse:
    """Order a term for the account of a number."""
    price = price_in_force(code, request)
    try:
        _count_try(request)
        served.check_sold(price.plan, now=request.now)
        order = orders.give(
            account=request.customer,
            recipient=account_by_number(request.POST.get("number", "")),
            price=price,
            now=request.now,
            expires_at=_expires_at(request),
            actor=CUSTOMER,
        )
    except FerriageError as refusal:
        return _page(request, code, error=refusal, status=status_of(refusal))
    return redirect("order", order.code)


@require_POST
@for_customers
def as_code(request: CustomerRequest, code: str) -> HttpResponse:
    """Order a code that whoever has it turns into a term."""
    price = price_in_force(code, request)
    place = request.POST.get("place", "")
    if not is_place(place):
        errors = [_("Choose the place where you are.")]
        return _page(request, code, errors=errors, status=UNPROCESSABLE)
    try:
        served.check_sold(price.plan, now=request.now)
        order = orders.place(
            account=request.customer,
            price=price,
            place=place,
            kind=Order.Kind.GIFT,
            now=request.now,
            expires_at=_expires_at(request),
            actor=CUSTOMER,
        )
    except FerriageError as refusal:
        return _page(request, code, error=refusal, status=status_of(refusal))
    return redirect("order", order.code)


@require_POST
@for_customers
@sensitive_variables("code_shown")
def reveal(request: CustomerRequest, code: str) -> HttpResponse:
    """Show the code of a paid gift, in this answer and never again."""
    mine = own_order(request, code)
    try:
        code_shown = gifts.reveal(order=mine, now=request.now, actor=CUSTOMER)
    except FerriageError as refusal:
        return order_page(request, mine, error=refusal)
    response = render(request, "portal/gift_code.html", {"order": mine, "code": code_shown})
    add_never_cache_headers(response)
    return response


def _page(
    request: CustomerRequest, code: str, *, status: int = 200, **context: Any
) -> HttpResponse:
    context = purchase(request, code) | {"chosen": place_of(request.customer)} | context
    context["others"] = [
        (card.plan, term)
        for card in catalogue.plans_on_sale(now=request.now, language=get_language() or "en")
        if card.plan != context["card"].plan
        for term in [next(term for term in card.terms if not term.too_long)]
    ]
    return render(request, "portal/gift.html", context, status=status)


def _count_try(request: CustomerRequest) -> None:
    """Count what an account types; a gift that was ordered forgets its tries."""
    key = _tries_key(request)
    cache.add(key, 0, TRIES_SECONDS)
    if cache.incr(key) > TRIES:
        raise TooManyTries


def _tries_key(request: CustomerRequest) -> str:
    return f"gift-{hash_secret('gift-tries', str(request.customer.pk))}"


def _expires_at(request: CustomerRequest) -> datetime:
    return request.now + timedelta(hours=settings.FERRIAGE.shop.order_hours)
