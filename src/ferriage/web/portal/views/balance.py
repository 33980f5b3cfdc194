"""The account's balance: what it holds, putting money on it, paying orders from it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import Http404
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from ferriage.accounts.actions import declare_place
from ferriage.approvals.packfile import is_place
from ferriage.core.actors import CUSTOMER
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.orders import actions as orders
from ferriage.orders import balance
from ferriage.orders.queries import place_of
from ferriage.payments import payback
from ferriage.payments import topups as payments
from ferriage.web.portal import catalogue, purse, topups
from ferriage.web.portal.customer import for_customers
from ferriage.web.portal.views.orders import order_page, own_order
from ferriage.web.shared import quotes
from ferriage.web.shared.refusals import status_of

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.orders.models import Order
    from ferriage.web.portal.customer import CustomerRequest

UNPROCESSABLE = 422
MOST_MOVES = 100


@require_safe
@for_customers
def show(request: CustomerRequest) -> HttpResponse:
    """Show what the balance holds and every move of it, newest first."""
    return _page(request)


@require_POST
@for_customers
def top_up(request: CustomerRequest) -> HttpResponse:
    """Place an order that puts an amount on the balance."""
    offered = topups.offered()
    if offered is None:
        raise Http404
    chosen, typed = request.POST.get("amount", ""), request.POST.get("other", "")
    place = request.POST.get("place", "")
    money = offered.read("" if typed.strip() else chosen, typed)
    missing = [
        sentence
        for said, sentence in (
            (money is not None, _("Choose an amount, or type one within the limits.")),
            (is_place(place), _("Choose the place where you are.")),
        )
        if not said
    ]
    if missing or money is None:
        return _page(request, errors=missing, status=UNPROCESSABLE)
    try:
        return redirect("order", _placed(request, money, place).code)
    except FerriageError as refusal:
        return _page(request, error=refusal, status=status_of(refusal))


@require_POST
@for_customers
def pay(request: CustomerRequest, code: str) -> HttpResponse:
    """Pay an order from the balance as far as it goes, or take back what it was to pay."""
    mine = own_order(request, code)
    minor = 0 if request.POST.get("use") == "none" else None
    try:
        orders.pay_from_balance(order=mine, minor=minor, now=request.now, actor=CUSTOMER)
    except FerriageError as refusal:
        return order_page(request, own_order(request, code), error=refusal)
    return redirect("order", code)


@require_POST
@for_customers
def give_back(request: CustomerRequest, code: str) -> HttpResponse:
    """Send what is left of a top-up back to where it came from."""
    mine = own_order(request, code)
    try:
        payments.return_topup(order=mine, now=request.now, actor=CUSTOMER)
    except FerriageError as refusal:
        return order_page(request, own_order(request, code), error=refusal)
    return redirect("order", code)


@require_POST
@for_customers
def pay_back(request: CustomerRequest) -> HttpResponse:
    """Send a balance, or a part of it, back to the payments that brought it."""
    held = balance.balances_of(request.customer)
    mine = held.filter(currency=request.POST.get("currency", "")).first()
    if mine is None:
        raise Http404
    try:
        money = Money.parse(request.POST.get("amount", ""), mine.currency)
        seen = int(request.POST.get("seen", ""))
    except ValueError:
        errors = [_("This is not an amount of this currency. Write 1250 or 1250.50.")]
        return _page(request, errors=errors, status=UNPROCESSABLE)
    try:
        payback.ask(
            balance=mine,
            money=money,
            seen=seen,
            with_changes=_with_changes(),
            now=request.now,
            actor=CUSTOMER,
        )
    except FerriageError as refusal:
        return _page(request, error=refusal, status=status_of(refusal))
    return redirect("balance")


def _with_changes() -> bool:
    """Tell whether what a change of plan left over goes back on request: as a refund would."""
    return quotes.refund_rules().after == "pro_rata"


def _placed(request: CustomerRequest, money: Money, place: str) -> Order:
    """Note the place and place the order: both, or neither when it is refused."""
    with writing():
        declare_place(account=request.customer, place=place, now=request.now, actor=CUSTOMER)
        return orders.place_topup(
            account=request.customer,
            money=money,
            place=place,
            now=request.now,
            expires_at=request.now + timedelta(hours=settings.FERRIAGE.shop.order_hours),
            actor=CUSTOMER,
        )


def _page(
    request: CustomerRequest,
    *,
    errors: list[str] | None = None,
    error: FerriageError | None = None,
    status: int = 200,
) -> HttpResponse:
    offers = payback.offers(request.customer, with_changes=_with_changes())
    context = {
        "balances": balance.balances_of(request.customer),
        "offers": [(offer, purse.ways_back(offer)) for offer in offers],
        "going_back": payback.going_back(request.customer)[:MOST_MOVES],
        "moves": balance.moves_of(request.customer)[:MOST_MOVES],
        "offered": topups.offered(),
        "places": catalogue.places_of_lines(request.now),
        "chosen": request.POST.get("place") or place_of(request.customer),
        "errors": errors or [],
        "error": error,
    }
    return render(request, "portal/balance.html", context, status=status)
