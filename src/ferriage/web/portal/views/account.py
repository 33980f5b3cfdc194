"""The customer's own page: terms, devices, orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from ferriage.core.hashing import new_token
from ferriage.members.queries import member_of
from ferriage.orders import queries
from ferriage.orders.balance import balances_of
from ferriage.orders.models import Order
from ferriage.payments.payback import going_back
from ferriage.payments.queries import taken_back
from ferriage.web.portal import givenback, holdings, purse, topups
from ferriage.web.portal.customer import for_customers
from ferriage.web.shared.refusals import status_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.http import HttpResponse

    from ferriage.core.errors import FerriageError
    from ferriage.web.portal.customer import CustomerRequest


@require_safe
@for_customers
def account(request: CustomerRequest) -> HttpResponse:
    """Show what the customer holds."""
    return account_page(request)


def account_page(
    request: CustomerRequest,
    error: FerriageError | None = None,
    typed: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Render the account, with a refusal on top when something was just refused.

    Args:
        typed: What the form for a device held that was refused.
    """
    language = get_language() or "en"
    hold_days = settings.FERRIAGE.shop.hold_days
    orders = list(queries.orders_of(request.customer))
    cards = holdings.subscriptions(
        request.customer, now=request.now, language=language, hold_days=hold_days
    )
    disputed = purse.disputed(orders)
    back = taken_back(orders)
    held = [dispute.payment.order.subscription_id for dispute in disputed if dispute.payment.order]
    context = {
        "customer": request.customer,
        "now": request.now,
        "member": member_of(request.customer),
        "subscriptions": cards,
        "has_balance": bool(topups.offered()) or balances_of(request.customer).exists(),
        "gift_price": next((card.terms[0].price for card in cards if card.terms), None),
        "orders": orders,
        "owed": purse.owed(orders),
        "taken_back": back,
        "ended_by": _ended_by(orders, back["whole"]),
        "going_back": [one for one in going_back(request.customer) if one.state != "paid"],
        "given_back": givenback.given_back(orders, now=request.now),
        "waiting": purse.waiting(orders),
        "disputed": disputed,
        "held": held,
        "open_orders": [order for order in orders if order.state == "open"],
        "hold_days": hold_days,
        "error": error,
        "typed": typed or {},
        "once": new_token(),
    }
    status = status_of(error) if error else 200
    return render(request, "portal/account.html", context, status=status)


def _ended_by(orders: Sequence[Order], gone: set[int]) -> set[int | None]:
    """Return the keys of subscriptions whose last term was paid with money that was taken back."""
    last: dict[int | None, int] = {}
    for order in orders:  # newest first
        if order.state == Order.State.FULFILLED and order.kind != Order.Kind.ADDON:
            last.setdefault(order.subscription_id, order.pk)
    return {subscription for subscription, pk in last.items() if pk in gone}
