"""Paying a balance back: to the payments that brought it, and the rest by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.http import Http404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.core.errors import NotFound
from ferriage.orders.models import Order
from ferriage.payments import payback, seconds
from ferriage.plans.models import Subscription
from ferriage.web.backoffice.fields import AmountForm, row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.words import WAITS

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.accounts.models import Account
    from ferriage.web.backoffice.access import StaffRequest


class PayBackForm(AmountForm):
    """How much of a balance goes back, and why. `seen` is what the page counted."""

    seen = forms.CharField(widget=forms.HiddenInput, max_length=200)
    reason = forms.CharField(
        label=gettext_lazy("Why, and how it is paid"),
        max_length=200,
        help_text=gettext_lazy(
            "Such as “asked by mail, in cash over the counter”. No names and no account numbers."
        ),
    )
    field_order = ["amount", "currency", "reason"]


def of_subscription(request: StaffRequest, code: str) -> HttpResponse:
    """Pay back what the holder of a subscription has on a balance."""
    account = row(Subscription, code).account
    return _pay_back(request, account, None, ("staff-subscription", code))


def of_order(request: StaffRequest, code: str) -> HttpResponse:
    """Pay back what whoever placed an order has on a balance."""
    found = row(Order, code)
    if found.account is None:
        raise Http404
    return _pay_back(request, found.account, found, ("staff-order", code))


def _pay_back(
    request: StaffRequest, account: Account, order: Order | None, back: tuple[str, str]
) -> HttpResponse:
    offers = payback.offers(account, with_changes=True)

    def act(typed: dict[str, Any]) -> HttpResponse:
        money = typed["money"]
        chosen = next((one for one in offers if one.balance.currency == money.currency), None)
        if chosen is None:
            raise NotFound(_("The customer has no balance in this currency."))
        waits = seconds.pay_back(
            balance=chosen.balance,
            order=order,
            money=money,
            seen=_seen(typed["seen"], money.currency),
            reason=typed["reason"],
            limit=settings.FERRIAGE.shop.receipt_limit,
            now=request.now,
            actor=request.staff.actor,
        )
        if waits:
            return said(request, str(WAITS), *back)
        return said(request, _("It is queued among the refunds."), *back)

    first = next(iter(offers), None)
    initial = {"seen": " ".join(f"{one.balance.currency}:{one.seen}" for one in offers)}
    if first is not None:
        initial |= {"amount": first.whole.decimal(), "currency": first.balance.currency}
    return form_page(
        request,
        PayBackForm(request.POST or None, initial=initial),
        title=_("Pay a balance back"),
        submit=_("Queue it"),
        back=reverse(back[0], args=back[1:]),
        act=act,
        intro=_(
            "It leaves the balance now and waits among the refunds. What came by payments goes "
            "back to them, the newest first; the rest you pay by hand and note its number."
        ),
        template="backoffice/pay_back.html",
        offers=offers,
    )


def _seen(text: str, currency: str) -> int:
    """Return the last move that the page counted of a balance; 0 where it showed none."""
    for pair in text.split():
        name, _colon, number = pair.partition(":")
        if name == currency and number.isdecimal():
            return int(number)
    return 0
