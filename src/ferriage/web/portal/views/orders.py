"""Buying: place and consent, the order's page, and the two ways to pay."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from django.conf import settings
from django.http import Http404
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST, require_safe

from ferriage.accounts.actions import declare_place
from ferriage.approvals.packfile import is_place
from ferriage.core.actors import CUSTOMER
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.orders import actions as orders
from ferriage.orders import queries
from ferriage.payments import actions as payments
from ferriage.payments.gifts import is_used
from ferriage.payments.queries import taken_back
from ferriage.plans import several
from ferriage.plans.models import Price
from ferriage.web.portal import catalogue, choices, givenback, purse, tries
from ferriage.web.portal.customer import for_customers
from ferriage.web.portal.views.account import account_page
from ferriage.web.portal.views.number import carried, number_page, own_number
from ferriage.web.shared.refusals import status_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpResponse

    from ferriage.orders.models import Order
    from ferriage.plans.models import Subscription
    from ferriage.web.portal.customer import CustomerRequest, VisitorRequest

UNPROCESSABLE = 422


def purchase(request: VisitorRequest, price_code: str) -> dict[str, Any]:
    """Return what the form of place and consent shows for a price.

    A plan that is not shown at all is not there; one that is shown but not on sale is refused
    with what the register says, and so is one that nobody could pay for.
    """
    price = price_in_force(price_code, request)
    card = catalogue.plan_card(price.plan, now=request.now, language=get_language() or "en")
    if card is None:
        raise Http404
    onto = choices.targets(request.customer, price, sold_until=card.sold_until, now=request.now)
    ends_at = purse.end_if_bought(customer=request.customer, price=price, now=request.now)
    sold = [target for target in onto if not target.too_long]
    if card.sold_until is not None and not sold and (onto or ends_at > card.sold_until):
        raise orders.TermOutlivesApproval(card.sold_until)
    if not card.on_sale:
        raise orders.NotOnSale(catalogue.why_not_on_sale(price.plan, now=request.now))
    purse.check_payable(price)
    return {
        "card": card,
        "term": next(term for term in card.terms if term.price == price),
        "places": catalogue.places_to_choose(card),
        "ends_at": ends_at,
        "targets": onto,
        "onto": _onto(request, sold),
    }


def _onto(request: VisitorRequest, sold: Sequence[choices.Target]) -> str:
    """Return which target is ticked: the customer's choice, else the first that is sold."""
    said = request.POST.get("onto") or request.GET.get("onto", "")
    values = [target.value for target in sold]
    return said if said in values else next(iter(values), "")


@require_safe
@for_customers
def buy(request: CustomerRequest, code: str) -> HttpResponse:
    """Ask for place and consent, for a customer who has an account."""
    context = {**_form(request, code), "chosen": queries.place_of(request.customer)}
    return render(request, "portal/buy.html", context)


@require_POST
@sensitive_post_parameters("number")
@for_customers
@sensitive_variables("number")
def place(request: CustomerRequest) -> HttpResponse:
    """Place an order for the chosen price, place and consent.

    Whoever was shown their number a moment ago sees it again when the order is refused.
    """
    price = price_in_force(request.POST.get("price", ""), request)
    chosen = request.POST.get("place", "")
    consent = request.POST.get("consent") == "yes"
    coupon = request.POST.get("coupon", "").strip()
    missing = _missing(chosen, consent=consent)
    status, refusal = UNPROCESSABLE, None
    if not missing:
        try:
            mine = _named(request, request.POST.get("onto", ""))
            return redirect("order", _place(request, price, chosen, coupon, **mine).code)
        except FerriageError as caught:
            status, refusal = status_of(caught), caught
    number = own_number(request)
    try:
        context = _form(request, price.code)
    except FerriageError as none_left:
        if not number:
            raise
        return number_page(request, number, price.code, error=refusal or none_left)
    context |= {"errors": missing, "error": refusal, "chosen": chosen, "consent": consent}
    context["coupon"] = coupon
    if number:
        context |= carried(number, price.code, reverse("open-account"))
    return render(request, "portal/buy.html", context, status=status)


def _form(request: CustomerRequest, price_code: str) -> dict[str, Any]:
    """Return what the page of place and consent shows to a customer."""
    is_new = not queries.orders_of(request.customer).exists()
    return {**purchase(request, price_code), "is_new": is_new}


def _missing(chosen: str, *, consent: bool) -> list[str]:
    """Return what the customer has not said yet."""
    asked = (
        (is_place(chosen), _("Choose the place where you are.")),
        (consent, _("Tick that you are there and that we may begin at once.")),
    )
    return [sentence for said, sentence in asked if not said]


@require_POST
@for_customers
def renew(request: CustomerRequest, code: str) -> HttpResponse:
    """Place an order for a subscription that there is, with one tap, for the place on record."""
    held = several.subscription_of(account=request.customer, code=code)
    price = price_in_force(request.POST.get("price", ""), request)
    if held is None or price.plan_id not in several.plans_ahead(
        held, several.planned_changes([held])
    ):
        raise Http404
    if not request.customer.place:
        return redirect("buy", price.code)
    try:
        order = _place(request, price, request.customer.place, extends=held)
        return redirect("order", order.code)
    except FerriageError as refusal:
        return account_page(request, error=refusal)


@require_safe
@for_customers
def order(request: CustomerRequest, code: str) -> HttpResponse:
    """Show an order: how to pay it, or what became of it."""
    return order_page(request, own_order(request, code))


@require_POST
@sensitive_post_parameters("code")
@for_customers
def pay_by_voucher(request: CustomerRequest, code: str) -> HttpResponse:
    """Pay an order with a voucher; what is refused leaves voucher and order as they were."""
    mine = own_order(request, code)
    voucher = request.POST.get("code", "")
    try:
        tries.check(request)
        payments.redeem_voucher(order=mine, code=voucher, now=request.now, actor=CUSTOMER)
    except FerriageError as refusal:
        if refusal.slug == "wrong-voucher":
            tries.count_wrong(request)
        return order_page(request, own_order(request, code), error=refusal)
    return redirect("account")


@require_POST
@for_customers
def pay_by_bank(request: CustomerRequest, code: str) -> HttpResponse:
    """Give the order a reference to quote in a bank transfer."""
    shop = settings.FERRIAGE.shop
    if not shop.bank_details:
        raise Http404
    mine = own_order(request, code)
    payments.start_bank(order=mine, payer_place=shop.bank_country, now=request.now, actor=CUSTOMER)
    return redirect("order", mine.code)


@require_POST
@for_customers
def cancel(request: CustomerRequest, code: str) -> HttpResponse:
    """Cancel an order that is not paid."""
    mine = own_order(request, code)
    orders.cancel(order=mine, now=request.now, actor=CUSTOMER)
    return redirect("order", mine.code)


class _Target(TypedDict, total=False):
    extends: Subscription
    beside: bool


def _named(request: CustomerRequest, onto: str) -> _Target:
    """Return what the customer chose to extend; nothing said where there was nothing to choose."""
    if onto in {"", choices.NEW}:
        return {"beside": True} if onto else {}
    mine = several.subscription_of(account=request.customer, code=onto)
    if mine is None:
        raise Http404
    return {"extends": mine}


def _place(
    request: CustomerRequest,
    price: Price,
    chosen: str,
    coupon: str = "",
    **target: Unpack[_Target],
) -> Order:
    """Note the place and place the order: both, or neither when it is refused.

    An order that a coupon leaves nothing to pay of is settled at once.
    """
    purse.check_payable(price)
    expires_at = request.now + timedelta(hours=settings.FERRIAGE.shop.order_hours)
    with writing():
        declare_place(account=request.customer, place=chosen, now=request.now, actor=CUSTOMER)
        order = orders.place(
            account=request.customer,
            price=price,
            place=chosen,
            coupon=coupon,
            now=request.now,
            expires_at=expires_at,
            actor=CUSTOMER,
            **target,
        )
        return orders.settle_if_nothing_due(order=order, now=request.now, actor=CUSTOMER)


def order_page(
    request: CustomerRequest, mine: Order, error: FerriageError | None = None
) -> HttpResponse:
    """Render an order, with a refusal on top when something was just refused."""
    language = get_language() or "en"
    # Of somebody else's term its buyer is told nothing.
    own_term = mine.kind not in {"topup", "gift"} and mine.recipient_id is None
    ends_at = purse.end_if_paid(mine, now=request.now) if own_term else None
    context = {
        "order": mine,
        "ends_at": ends_at,
        "own_term": own_term,
        "too_long": purse.too_long(mine, ends_at=ends_at, now=request.now) if ends_at else None,
        "balance_left": purse.balance_left(mine),
        "returnable": purse.returnable(mine),
        "gift_used": is_used(mine),
        "given_back": givenback.given_back([mine], now=request.now, days=None),
        "ways": purse.ways(mine, now=request.now, language=language),
        "misses_voucher": purse.misses_voucher(mine),
        "bank": purse.bank_payment(mine),
        "bank_details": settings.FERRIAGE.shop.bank_details,
        "waiting": purse.waiting([mine]),
        "disputed": purse.disputed([mine]),
        "lost": purse.lost(mine),
        "taken_back": taken_back([mine]),
        "waits_for_word": purse.waits_for_word(mine),
        "was_declined": purse.was_declined(mine),
        "paid_by": purse.paid_by(mine),
        "refunds": purse.refunds(mine),
        "why_refused": purse.why_refused(mine, language) if mine.recipient_id is None else (),
        "error": error,
        **purse.papers(mine),
    }
    status = status_of(error) if error else 200
    return render(request, "portal/order.html", context, status=status)


def own_order(request: CustomerRequest, code: str) -> Order:
    """Return the customer's own order; somebody else's is no different from none."""
    mine = queries.order_of(account=request.customer, code=code)
    if mine is None:
        raise Http404
    return mine


def price_in_force(code: str, request: VisitorRequest) -> Price:
    """Return a price that is in force now."""
    found = Price.objects.filter(code=code, valid_from__lte=request.now)
    price = found.exclude(valid_to__lte=request.now).select_related("plan__service").first()
    if price is None:
        raise Http404
    return price
